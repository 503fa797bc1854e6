"""A manifest, a prompt and an item, with nothing behind them."""

import numpy as np

from store.collections.item import Item
from store.documents.manifest import AdapterFacts, Manifest, ModelFacts, Source, TranscoderSource
from store.documents.prompts import Prompt

KEY = "ab" * 32


def small_item(key: str = KEY, **arrays: np.ndarray) -> Item:
    return Item(
        key=key,
        prompt_hash="0123456789ab",
        variant="base",
        arrays=arrays or {"x": np.arange(3, dtype=np.float32)},
        scalars={"n": 3, "share": 0.1, "flag": True, "word": "ü"},
    )


MANIFEST = Manifest(
    profile="p",
    dtype="float32",
    focus="general",
    base=Source(source="base", revision=None, fingerprint="a" * 64),
    transcoders=TranscoderSource(source="transcoders", revision=None, fingerprint="b" * 64),
    adapters={
        "general": AdapterFacts(
            source="g", revision=None, fingerprint="c" * 64, rank=1, targets=("x",), scaling=1.0
        )
    },
    model=ModelFacts(
        architecture="LlamaForCausalLM",
        n_layers=1,
        d_model=2,
        vocab_size=3,
        context=4,
        d_transcoder=5,
        n_parameters=6,
        feature_input_hook="mlp.hook_in",
        feature_output_hook="mlp.hook_out",
    ),
)
PROMPT = Prompt(
    hash="0" * 12,
    name="n",
    situation="s",
    domain=None,
    held_out=False,
    tags=(),
    text="t",
    token_ids=(1, 2),
    tokens=("a", "b"),
    source="file:1",
)
OTHER = AdapterFacts(source="o", revision=None, fingerprint="e" * 64, rank=1, targets=("x",), scaling=1.0)
