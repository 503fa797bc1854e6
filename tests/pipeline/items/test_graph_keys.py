"""Trap 15 for graphs: variants are traced together, so a graph's key holds all of them."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pipeline.items.subject import Subject
from pipeline.params.project import load_params
from pipeline.stages.graphs import TRACED, graph_request
from store.documents.manifest import AdapterFacts
from tests.support.items import MANIFEST, PROMPT

OTHER = AdapterFacts(source="o", revision=None, fingerprint="e" * 64, rank=1, targets=("x",), scaling=1.0)
TRACED_WITH = {
    "manifest": replace(MANIFEST, adapters={**MANIFEST.adapters, "other": OTHER}),
    "variants": ("base", "general@1.0", "other@1.0"),
    "targets": {PROMPT.hash: [1, 2]},
    "own": [1],
    "graphs": load_params().graphs,
}
GENERAL = MANIFEST.adapters["general"]
CHANGES: dict[str, dict[str, Any]] = {
    "which variants beside it": {"variants": ("base", "general@1.0")},
    "the scale of another": {"variants": ("base", "general@0.5", "other@1.0")},
    "the weights of another": {
        "manifest": replace(
            MANIFEST, adapters={"general": replace(GENERAL, fingerprint="d" * 64), "other": OTHER}
        )
    },
    "targets": {"targets": {PROMPT.hash: [1, 2, 3]}},
    "their order": {"targets": {PROMPT.hash: [2, 1]}},
    "own candidates": {"own": [1, 2]},
}


def key_of(**changes: Any) -> str:
    """Of base's graph."""
    given = {**TRACED_WITH, **changes}
    subject = Subject.__new__(Subject)  # no artifacts needed
    subject.manifest = given["manifest"]
    subject.runtime = load_params().runtime
    subject._code = ("pipeline.attribution.prompt_items",)
    item = SimpleNamespace(arrays={"candidate_token": np.array(given["own"])})
    found = SimpleNamespace(item=lambda prompt, variant: item)
    return graph_request(
        subject, found, PROMPT, "base", given["variants"], given["targets"], given["graphs"]
    ).key


@pytest.mark.parametrize("what", CHANGES)
def test_what_changes_a_graph_changes_its_key(what: str) -> None:
    assert key_of(**CHANGES[what]) != key_of()


@pytest.mark.parametrize("name", sorted(TRACED))
def test_every_parameter_of_a_trace_is_in_its_key(name: str) -> None:
    graphs = load_params().graphs
    value = getattr(graphs, name)
    changed = graphs.model_copy(update={name: type(value)(value / 2)})
    assert key_of(graphs=changed) != key_of()


def test_the_order_of_variants_does_not_change_it() -> None:
    # Nor a graph: see tests/pipeline/attribution/test_paired.py.
    assert key_of(variants=TRACED_WITH["variants"][::-1]) == key_of()
