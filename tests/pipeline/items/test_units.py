"""Everything that determines an item is in its key (trap 15), and nothing else."""

import inspect
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest

from pipeline.attribution.graph_units import CANDIDATES, DOSE, GRAPHS, dose_unit, graph_unit
from pipeline.attribution.parameters import GRAPH_PARAMS
from pipeline.features import prompt_units
from pipeline.items import units
from pipeline.items.code import QualifiedName
from pipeline.items.subject import Subject
from pipeline.items.units import make_unit
from pipeline.params.project import load_params
from pipeline.params.runtime import RuntimeParams
from pipeline.stages import evaluate, features
from store.documents.manifest import Manifest
from tests.support.items import MANIFEST, OTHER, PROMPT

ARGUMENTS: dict[str, Any] = {
    "compute": CANDIDATES,
    "prompt_hash": PROMPT.hash,
    "token_ids": PROMPT.token_ids,
    "variants": ("base", "general@1.0"),
    "outputs": (("graphs", "base"),),
    "arguments": {"targets": [1, 2]},
    "manifest": MANIFEST,
    "runtime": RuntimeParams(seed=0, threads=2),
}


def key(**changes: Any) -> str:
    arguments = {**ARGUMENTS, **changes}
    return make_unit(arguments.pop("compute"), **arguments).key


def with_source(name: str) -> Manifest:
    return replace(MANIFEST, **{name: replace(getattr(MANIFEST, name), fingerprint="d" * 64)})


GENERAL = MANIFEST.adapters["general"]
CHANGES: dict[str, Callable[[], dict[str, Any]]] = {
    "code": lambda: {"compute": GRAPHS},
    "base weights": lambda: {"manifest": with_source("base")},
    "transcoders": lambda: {"manifest": with_source("transcoders")},
    "adapter weights": lambda: {
        "manifest": replace(MANIFEST, adapters={"general": replace(GENERAL, fingerprint="d" * 64)})
    },
    "dtype": lambda: {"manifest": replace(MANIFEST, dtype="bfloat16")},
    "variants": lambda: {"variants": ("base",)},
    "scale": lambda: {"variants": ("base", "general@0.5")},
    "token ids": lambda: {"token_ids": (1, 3)},
    "prompt": lambda: {"prompt_hash": "1" * 12},
    "seed": lambda: {"runtime": RuntimeParams(seed=1, threads=2)},
    "threads": lambda: {"runtime": RuntimeParams(seed=0, threads=1)},
    "arguments": lambda: {"arguments": {"targets": [2, 1]}},
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_of_anything_that_determines_an_item_changes_its_key(what: str) -> None:
    assert key(**CHANGES[what]()) != key()


@pytest.mark.parametrize(
    "name",
    [
        CANDIDATES,
        GRAPHS,
        DOSE,
        prompt_units.COMPUTE_ACTIVATIONS,
        prompt_units.COMPUTE_GATES,
        evaluate.COMPUTE,
        features.CONTEXTS,
        features.PROMOTED,
    ],
    ids=lambda name: name.name,
)
def test_what_computes_is_there_by_its_name(name: QualifiedName) -> None:
    compute = getattr(import_module(name.module), name.name)
    assert list(inspect.signature(compute).parameters) == ["models", "unit"]
    assert inspect.isgeneratorfunction(compute)


def test_libraries_are_in_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key()
    monkeypatch.setattr(units, "library_versions", lambda: {"torch": "another"})
    assert key() != before


def test_which_items_are_wanted_and_the_order_of_variants_are_not_in_the_key() -> None:
    # Nor does the order change a graph: see tests/pipeline/attribution/test_paired.py.
    assert key(outputs=(("full_graphs", "base"),)) == key()
    assert key(variants=("general@1.0", "base")) == key()


def test_another_adapter_does_not_change_the_keys_of_base() -> None:
    others = replace(MANIFEST, adapters={"general": replace(GENERAL, fingerprint="d" * 64)})
    assert key(variants=("base",), manifest=others) == key(variants=("base",))


def test_items_of_a_unit_have_names_of_their_own() -> None:
    unit = make_unit(**{**ARGUMENTS})
    base, general = unit.item("base"), unit.item("general@1.0")
    assert base.key != general.key
    assert (base.prompt_hash, base.variant) == (PROMPT.hash, "base")
    assert unit.item("base") == base


def test_items_of_settings_have_names_of_their_own_and_those_without_one_keep_theirs() -> None:
    plain, both = make_unit(**ARGUMENTS), make_unit(**ARGUMENTS, settings=("", "a" * 64))
    assert both.key == plain.key, "what a setting does is among the arguments"
    assert both.item("base") == plain.item("base")
    assert both.item("base", "a" * 64).key not in {plain.item(variant).key for variant in both.variants}
    assert [name.setting for _, name in both.wanted()] == ["", "a" * 64] * len(both.outputs)


def subject(manifest: Manifest) -> Subject:
    found = Subject.__new__(Subject)  # no artifacts needed
    found.manifest = manifest
    found.runtime = load_params().runtime
    return found


OWN = {"base": [1], "general@1.0": [1, 2], "other@1.0": [1]}
THREE = replace(MANIFEST, adapters={**MANIFEST.adapters, "other": OTHER})
TOGETHER: dict[str, dict[str, Any]] = {
    "which variants beside it": {"own": {"base": [1], "general@1.0": [1, 2]}},
    "the scale of another": {"own": {"base": [1], "general@0.5": [1, 2], "other@1.0": [1]}},
    "the weights of another": {
        "manifest": replace(
            THREE, adapters={"general": replace(GENERAL, fingerprint="d" * 64), "other": OTHER}
        )
    },
    "targets": {"own": {**OWN, "other@1.0": [1, 3]}},
    "their order": {"own": {**OWN, "base": [2, 1]}},
}


def graphs_key(own: dict[str, list[int]] = OWN, manifest: Manifest = THREE, **changes: Any) -> str:
    graphs = load_params().graphs.model_copy(update=changes)
    return graph_unit(subject(manifest), PROMPT, own, graphs).item("base").key


@pytest.mark.parametrize("what", TOGETHER)
def test_variants_are_traced_together_so_a_graphs_key_holds_all_of_them(what: str) -> None:
    assert graphs_key(**TOGETHER[what]) != graphs_key()


@pytest.mark.parametrize("name", sorted(GRAPH_PARAMS))
def test_every_parameter_of_a_trace_is_in_its_key(name: str) -> None:
    value = getattr(load_params().graphs, name)
    assert graphs_key(**{name: type(value)(value / 2)}) != graphs_key()


def test_what_an_author_calls_a_prompt_does_not_change_its_key() -> None:
    graphs = load_params().graphs
    renamed = replace(PROMPT, name="other", situation="other", tags=("x", graphs.full_tag), source="file:2")
    plain, tagged = (graph_unit(subject(THREE), prompt, OWN, graphs) for prompt in (PROMPT, renamed))
    assert plain.key == tagged.key
    assert set(tagged.outputs) - set(plain.outputs) == {("full_graphs", variant) for variant in OWN}


def test_graphs_and_doses_are_different_items() -> None:
    graphs = load_params().graphs
    assert dose_unit(subject(THREE), PROMPT, OWN, graphs).key != graphs_key()
