"""Everything that determines an item is in its key (trap 15)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pipeline.items.keys import item_key

from pipeline.items import keys
from pipeline.params.runtime import RuntimeParams
from store.documents.variants import Variant
from tests.support.items import MANIFEST, PROMPT

ARGUMENTS: dict[str, Any] = {
    "kind": "graphs",
    "code": ("pipeline.attribution.prompt_items",),
    "manifest": MANIFEST,
    "variant": Variant(name="general", scale=1.0),
    "prompt": PROMPT,
    "runtime": RuntimeParams(seed=0, threads=2),
    "parameters": {"targets": [1, 2]},
}


def _with(**changes: Any) -> str:
    arguments = {**ARGUMENTS, **changes}
    return item_key(arguments.pop("kind"), **arguments)


CHANGES: dict[str, Callable[[], dict[str, Any]]] = {
    "kind": lambda: {"kind": "activations"},
    "code": lambda: {"code": ("pipeline.evaluation.samples",)},
    "base weights": lambda: {
        "manifest": replace(MANIFEST, base=replace(MANIFEST.base, fingerprint="d" * 64))
    },
    "transcoders": lambda: {
        "manifest": replace(MANIFEST, transcoders=replace(MANIFEST.transcoders, fingerprint="d" * 64))
    },
    "adapter weights": lambda: {
        "manifest": replace(
            MANIFEST,
            adapters={"general": replace(MANIFEST.adapters["general"], fingerprint="d" * 64)},
        )
    },
    "dtype": lambda: {"manifest": replace(MANIFEST, dtype="bfloat16")},
    "variant": lambda: {"variant": Variant(name="base", scale=0.0)},
    "scale": lambda: {"variant": Variant(name="general", scale=0.5)},
    "token ids": lambda: {"prompt": replace(PROMPT, token_ids=(1, 3))},
    "prompt": lambda: {"prompt": replace(PROMPT, hash="1" * 12)},
    "seed": lambda: {"runtime": RuntimeParams(seed=1, threads=2)},
    "threads": lambda: {"runtime": RuntimeParams(seed=0, threads=1)},
    "parameters": lambda: {"parameters": {"targets": [2, 1]}},
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_of_anything_that_determines_an_item_changes_its_key(what: str) -> None:
    assert _with(**CHANGES[what]()) != _with()


def test_a_change_of_code_changes_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = _with()
    monkeypatch.setattr(keys, "code_digest", lambda module: f"other {module}")
    assert _with() != before


def test_what_an_author_calls_a_prompt_does_not_change_its_key() -> None:
    renamed = replace(PROMPT, name="other", situation="other", tags=("x",), source="file:2")
    assert _with(prompt=renamed) == _with()


def test_another_adapter_does_not_change_the_keys_of_base() -> None:
    others = replace(
        MANIFEST, adapters={"general": replace(MANIFEST.adapters["general"], fingerprint="d" * 64)}
    )
    base = Variant(name="base", scale=0.0)
    assert _with(variant=base, manifest=others) == _with(variant=base)
