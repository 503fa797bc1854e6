"""Which rows of the transcoders a LoRA component points at, by weights alone.

Two questions: which features of its layer *write* like it (decoder rows), and which features of the
layers that it reaches *read* what it writes (encoder rows). Rows are taken back to the output of the
module through what lies between: times the gain of the norm before the encoder, and times that of the
norm behind the module, which Gemma 2 has. Scales of norms are one positive number a position, and
change no cosine. So a random direction in the module's output is uniform, whatever the architecture, and the
chance of a cosine is exact (`pipeline.analysis.component_tables`). Where a norm lies between, a cosine
of 1 means: no direction of this norm does more along the row.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import torch
from transformers import PreTrainedModel

from pipeline.attribution.component_writers import DOWN_PROJ, Writer, component_names, writers_of
from pipeline.items.units import Unit
from pipeline.models.dictionaries import Transcoders, decoder_rows, dictionary_size, encoder_rows
from pipeline.models.pool import ModelPool
from pipeline.models.stream_norms import gain_of, stream_norms
from store.collections.item import Item
from store.schema.vocabulary import SIDES

KIND: Final = "component_rows"
_DECODER, _ENCODER = range(len(SIDES))
# Rows of a dictionary at a time: 128 MB of float32 at a width of 2,048.
_BLOCK: Final = 1 << 14


def compute_component_rows(models: ModelPool, unit: Unit) -> Iterator[tuple[str, Item]]:
    """Closest rows of a unit's one variant; its argument is how many of each dictionary."""
    (variant,) = unit.variants
    name = unit.item(variant)
    arrays = component_rows(models, variant, unit.arguments["strongest"])
    scalars = {"width": models.causal_lm(variant).config.hidden_size}
    yield (
        KIND,
        Item(key=name.key, prompt_hash=name.prompt_hash, variant=variant, arrays=arrays, scalars=scalars),
    )


@torch.inference_mode()
def component_rows(models: ModelPool, variant: str, strongest: int) -> dict[str, np.ndarray]:
    """The closest rows of every dictionary to every component of an adapted variant.

    Parameters
    ----------
    models, variant
        Whose adapter; its scale counts.
    strongest
        Rows of each dictionary that are kept of a component; fewer where it is smaller.

    Returns
    -------
    dict of numpy.ndarray
        ``module``, ``layer``, ``index`` of the components; ``norm``, ``stream_norm``, ``read_norm``
        (component,) float64; and (match,) ``match_of`` (component), ``match_side``, ``match_layer``,
        ``match_feature``, ``match_rank``, ``match_cosine``, ``match_dot`` (float32, the component times
        the row), ``match_rows`` (size of the dictionary).
    """
    model, transcoders = models.causal_lm(variant), models.transcoders
    writers = writers_of(models, variant)
    starts = np.cumsum([0, *(len(each.up) for each in writers)])
    found = []
    for layer in range(model.config.num_hidden_layers):
        for side, group, gains, rows, row_gain in _tests(model, transcoders, writers, layer):
            places = np.concatenate([np.arange(starts[at], starts[at + 1]) for at in group])
            up = torch.cat([writers[at].up for at in group])
            gain = torch.cat(
                [each.expand(len(writers[at].up), -1) for at, each in zip(group, gains, strict=True)]
            )
            dot, cosine, feature = _closest(up, gain, rows, row_gain, strongest)
            rank = np.arange(feature.shape[1])
            whole = np.broadcast_arrays(
                *(places[:, None], side, layer, feature, rank, cosine, dot, dictionary_size(transcoders))
            )
            found.append([each.ravel() for each in whole])
    columns = {
        "match_of": np.int32,
        "match_side": np.int8,
        "match_layer": np.int16,
        "match_feature": np.int32,
        "match_rank": np.int16,
        "match_cosine": np.float32,
        "match_dot": np.float32,
        "match_rows": np.int32,
    }
    matches = {
        name: np.concatenate([np.zeros(0), *(each[place] for each in found)]).astype(dtype)
        for place, (name, dtype) in enumerate(columns.items())
    }
    return {**component_names(writers), **_norms(writers), **matches}


_Test = tuple[int, list[int], list[torch.Tensor], torch.Tensor, torch.Tensor]


def _tests(
    model: PreTrainedModel, transcoders: Transcoders, writers: Sequence[Writer], layer: int
) -> Iterator[_Test]:
    """Side, writers by place, what lies behind each of them, rows of a dictionary and their own gain."""
    norms, ones = stream_norms(model, layer), torch.ones(model.config.hidden_size, device=model.device)
    behind = transcoders.feature_output_hook == "hook_mlp_out"
    decoder_gain = ones if norms.behind_mlp is None or behind else gain_of(norms.behind_mlp)
    for at, writer in enumerate(writers):
        if writer.layer == layer:
            # Before the norm behind the MLP there is nothing between down_proj and the decoder.
            beside = writer.module == DOWN_PROJ and not behind
            gain, row_gain = (ones, ones) if beside else (writer.gain, decoder_gain)
            yield _DECODER, [at], [gain], decoder_rows(transcoders, layer)[0], row_gain
    reaching = [at for at, writer in enumerate(writers) if writer.reaches(layer)]
    if reaching:
        plain = transcoders.feature_input_hook != "mlp.hook_in"
        encoder_gain = ones if plain else gain_of(norms.read)
        gains = [writers[at].gain for at in reaching]
        yield _ENCODER, reaching, gains, encoder_rows(transcoders, layer), encoder_gain


def _closest(
    up: torch.Tensor, gain: torch.Tensor, rows: torch.Tensor, row_gain: torch.Tensor, strongest: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Products, cosines and numbers of the rows with the largest |cosine|; (component, strongest)."""
    parts = []
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK].to(up.device).float() * row_gain
        dot = (up * gain) @ block.T
        # Of each row as it is taken back through the gain behind each component's module.
        size = (gain.square() @ block.square().T).sqrt() * up.norm(dim=1, keepdim=True)
        cosine = torch.where(size > 0, dot / size, 0.0).clamp(-1.0, 1.0)
        top = cosine.abs().topk(min(strongest, len(block)), dim=1).indices
        parts.append((dot.gather(1, top), cosine.gather(1, top), top + start))
    dot, cosine, feature = (torch.cat(each, dim=1) for each in zip(*parts, strict=True))
    best = cosine.abs().topk(min(strongest, cosine.shape[1]), dim=1).indices
    kept = [each.gather(1, best).cpu().numpy() for each in (dot, cosine, feature)]
    return kept[0], kept[1], kept[2]


def _norms(writers: Sequence[Writer]) -> dict[str, np.ndarray]:
    """(component,) float64 each."""
    by_name = {
        "norm": [each.up for each in writers],
        "stream_norm": [each.up * each.gain for each in writers],
        "read_norm": [each.down for each in writers],
    }
    return {
        name: np.concatenate([np.zeros(0), *(each.double().norm(dim=1).cpu().numpy() for each in of)])
        for name, of in by_name.items()
    }
