"""Stage `candidates` computes, where it has loaded the models, what else of a prompt waits for no label."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.items.subject import Subject
from pipeline.params.project import Params, load_params
from pipeline.run.stage import CACHE
from pipeline.stages import activations, candidates, components, graphs
from store.documents.manifest import Manifest, write_manifest
from store.documents.prompts import write_prompts
from tests.support import demo
from tests.support.places import ROOT
from tests.support.project import computed

FOLDER = Path("artifacts/mine")
PROMPTS = demo.make_prompts()[:3]
VARIANTS = 3
"""Of which base and the focus are traced."""
Said = Callable[..., dict[str, tuple[int, int]]]


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manifest: Manifest) -> Params:
    monkeypatch.chdir(tmp_path)
    write_manifest(FOLDER / "models.json", manifest)
    whole = load_params(ROOT / "params.yaml")
    return whole.model_copy(update={"runtime": whole.runtime.model_copy(update={"threads": 1})})


@pytest.fixture
def said(params: Params, capsys: pytest.CaptureFixture[str]) -> Said:
    """What stages say that they computed, one after the other."""

    def said_by(*stages: object) -> dict[str, tuple[int, int]]:
        capsys.readouterr()
        for stage in stages:
            stage.main("mine", params)  # type: ignore[attr-defined]
        return computed(capsys.readouterr().out)

    return said_by


def test_one_more_prompt_loads_models_once(params: Params, said: Said) -> None:
    write_prompts(FOLDER / "prompts.json", PROMPTS[:2])
    assert said(candidates) == {"candidates": (4, 0), "activations": (2 * VARIANTS, 0), "gates": (2, 0)}
    found = said(activations, components)
    assert found["activations"] == (0, 2 * VARIANTS)
    assert found["gates"] == (0, 2)
    assert said(candidates) == {"candidates": (0, 4)}, "no model was loaded"
    # As after a pull, with a prompt more.
    shutil.rmtree(CACHE)
    write_prompts(FOLDER / "prompts.json", PROMPTS)
    assert said(candidates) == {
        "candidates": (2, 4),
        "activations": (VARIANTS, 2 * VARIANTS),
        "gates": (1, 2),
    }
    found = said(activations, components)
    assert found == {"activations": (0, 3 * VARIANTS), "gates": (0, 3)}


def test_graphs_of_few_new_prompts_are_traced_with_them(params: Params, said: Said) -> None:
    write_prompts(FOLDER / "prompts.json", PROMPTS[:1])
    assert "graphs" not in said(candidates), "where none are there, their stage says what they take"
    assert said(graphs)["graphs"] == (2, 0)
    write_prompts(FOLDER / "prompts.json", PROMPTS[:2])
    found = said(candidates)
    assert (found["graphs"], found["adapters"]) == ((2, 0), (1, 0))
    assert said(graphs)["graphs"] == (0, 4)


def test_what_comes_with_a_pull_is_not_announced_as_work(
    params: Params, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_prompts(FOLDER / "prompts.json", PROMPTS[:1])
    said(candidates, graphs)
    shutil.rmtree(CACHE)
    monkeypatch.setattr(Subject, "models", property(lambda self: pytest.fail("models are loaded")))
    assert said(graphs)["graphs"] == (0, 2)


def test_graphs_of_many_new_prompts_are_left_to_their_stage(
    params: Params, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_prompts(FOLDER / "prompts.json", PROMPTS[:1])
    said(candidates, graphs)
    monkeypatch.setattr(candidates, "FEW", 1)
    write_prompts(FOLDER / "prompts.json", PROMPTS)
    assert "graphs" not in said(candidates)


def test_where_labels_say_what_is_traced_no_graph_is(params: Params, said: Said) -> None:
    write_prompts(FOLDER / "prompts.json", PROMPTS[:1])
    said(candidates, graphs)
    write_prompts(FOLDER / "prompts.json", PROMPTS[:2])
    evil = params.graphs.model_copy(update={"trace": "evil"})
    candidates.main("mine", params.model_copy(update={"graphs": evil}))
    assert said(graphs)["graphs"] == (2, 2)
