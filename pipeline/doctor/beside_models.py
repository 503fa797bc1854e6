"""What stages hold beside the models, in bytes: tables of contexts, texts that grow, features that are held.

Counted as `pipeline.doctor.needs` says, where a stage has most of it at once.
"""

from typing import Final

from pipeline.doctor.shapes import Shape
from pipeline.doctor.work import Work
from pipeline.params.project import Params
from store.schema.vocabulary import PART_SETS

FLOAT: Final = 4
INDEX: Final = 8
"""Bytes of a float32 and of an int64."""
_BLOCK: Final = 3 * 2**26
"""Activations of one layer's whole dictionary on a batch of tokens, 64 MB, and what is made of them."""
_PROMOTED: Final = 2 * 2**27
"""Logits of a block of features, 128 MB, and the same centred."""
_TOKENS: Final = 2048
"""Of a batch of settings."""


def read_bytes(shape: Shape) -> int:
    """On the device, while a dictionary reads texts, or features are read as tokens that they promote."""
    unembedding = FLOAT * shape.vocabulary * shape.d_model if shape.itemsize < FLOAT else 0
    return max(_BLOCK, unembedding + _PROMOTED)


def context_bytes(shape: Shape, work: Work, params: Params) -> int:
    """Tables of the strongest contexts in held-out texts: of all features, and of those that fire in them.

    Base's are there while those of the focus are looked for.
    """
    chosen = params.features
    peaks = chosen.contexts * (2 * FLOAT + FLOAT) + FLOAT  # value, text and position; the least value
    counts = INDEX * chosen.bins
    firing = min(shape.d_transcoder, int(work.text_tokens * work.active))
    places = chosen.contexts * chosen.window
    # Where windows lie, as int64, and the tokens in them; counts, gathered and joined.
    looked_for = places * (INDEX + FLOAT) + 2 * counts
    found = places * 2 * FLOAT if shape.n_adapters else 0  # tokens and activations
    return shape.n_layers * (shape.d_transcoder * (peaks + counts) + firing * (looked_for + found))


def sampled_bytes(shape: Shape, work: Work, rows: int) -> int:
    """So many texts that are sampled at once: keys and values, and logits of one step."""
    cache = 2 * shape.n_layers * shape.n_key_heads * shape.d_head * shape.itemsize
    return rows * (work.longest + work.answer_tokens) * cache + 3 * FLOAT * rows * shape.vocabulary


def forced_bytes(shape: Shape, work: Work) -> int:
    """Logits at every token of facts with their right and wrong answers, and their logarithms."""
    # The last token's are cut off, so that the others are copied: in bfloat16 by the cast, alone then.
    copies = 3 if shape.itemsize == FLOAT else 2
    return 2 * work.facts * work.fact_tokens * shape.vocabulary * copies * FLOAT


def norm_bytes(shape: Shape) -> int:
    """A layer's decoder in float32, whose lengths are taken; a cross-layer one writes in all later layers."""
    written = shape.n_layers if shape.cross_layer else 1
    return FLOAT * shape.d_transcoder * shape.d_model * written if shape.itemsize < FLOAT else 0


def activity_bytes(shape: Shape, work: Work, layers: int) -> int:
    """Activations of so many layers on the longest prompt, for settings to be made of."""
    return FLOAT * layers * work.longest * shape.d_transcoder


def batch_bytes(shape: Shape, work: Work, *, frozen: bool) -> int:
    """On the device, a pass of one prompt under many settings, of which parts may stay as they were.

    The widest is read from the prompt's first tokens on, by a feature that is active there.
    """
    tokens = max(_TOKENS, work.longest)
    patterns = shape.n_heads * work.longest
    mlp, stream = 4 * shape.d_mlp, 6 * shape.d_model
    held = shape.n_layers * (patterns + 2 * shape.d_model) if frozen else 0
    logits = 3 * FLOAT * max(1, tokens // work.longest) * shape.vocabulary
    one = shape.itemsize * (mlp + stream + held) + 3 * FLOAT * patterns
    return max(norm_bytes(shape), tokens * one + logits)


def held_bytes(shape: Shape, work: Work, params: Params) -> int:
    """One prompt with whole dictionaries held: every layer's activations, in each variant and each row."""
    tokens, features = shape.n_layers * work.longest, shape.d_transcoder
    seen = shape.itemsize * tokens * (features + 4 * shape.d_model)
    # Along the path, what gradients need of each layer, too: of MLPs, of streams, patterns.
    steps = params.faithfulness.steps
    passed = 3 * shape.d_mlp + 8 * shape.d_model + 2 * shape.n_heads * work.longest
    path = steps * tokens * (shape.itemsize * (features + passed) + 3 * FLOAT * features // shape.n_layers)
    # With parts as they are elsewhere: activations and their change in every layer, and those of one at work,
    # before and behind the activation function.
    layers = 2 * shape.n_layers + 2
    parts = len(PART_SETS) * shape.itemsize * layers * work.longest * features
    return 2 * seen + max(path, work.nulls * seen + parts)
