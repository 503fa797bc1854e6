"""Stages of ``dvc.yaml`` that DVC's matrix runs by profile and behaviour: each is made by itself."""

import shutil
import subprocess
from typing import Any

import networkx as nx
import pytest
import yaml

from pipeline.behaviours.registry import BEHAVIOURS
from tests.support.places import ROOT

# DVC's own use of pygtrie.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")

OF_ALL = {"circuits", "behaviour_interventions", "steered"}
"""Stages of a profile that compare behaviours, or look at all of them."""


STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
OF_ONE = {name: entry for name, entry in STAGES.items() if "behaviour" in entry.get("matrix", {})}
"""Stages of a profile and a behaviour."""


def test_what_a_stage_of_one_behaviour_reads_is_the_behaviours_own() -> None:
    for name, entry in OF_ONE.items():
        code, models, *data = entry["deps"]
        assert (code.rpartition("/")[2], models.rpartition("/")[2]) == (f"{name}.txt", "models.json")
        assert data
        assert all("${item.behaviour}" in dep for dep in data), "another one's words make it run again"
        assert not [each for each in entry["params"] if each.startswith("profiles")], "nor a name more"


def test_the_matrix_has_every_behaviour() -> None:
    assert set(OF_ONE) == {"behaviour_prompts", "baseline", "behaviour_features", "behaviour_graphs"}
    for entry in OF_ONE.values():
        assert entry["matrix"] == {"profile": "${profiles}", "behaviour": sorted(BEHAVIOURS)}
    assert not [name for name in BEHAVIOURS if "-" in name], "targets join profile and behaviour by one"


@pytest.fixture(scope="module")
def needs(tmp_path_factory: pytest.TempPathFactory) -> nx.DiGraph:
    """Names of DVC's stages, from each to what it depends on; one profile of three has behaviours."""
    from dvc.repo import Repo

    folder = tmp_path_factory.mktemp("project")
    params: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    profiles = params["profiles"]
    profiles["none-1"] = {name: of for name, of in profiles["organism"].items() if name != "behaviours"}
    profiles["organism-2"] = profiles["none-1"]
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    shutil.copyfile(ROOT / "dvc.yaml", folder / "dvc.yaml")
    with Repo.init(str(folder), no_scm=True) as repo:
        graph = repo.index.graph
        return nx.relabel_nodes(graph, {stage: stage.name for stage in graph})


def test_targets_have_readable_names(needs: nx.DiGraph) -> None:
    for key in ("organism", "none-1"):
        named = {f"baseline@{key}-{name}" for name in BEHAVIOURS} | {f"circuits@{key}"}
        assert named <= set(needs)


def test_a_behaviour_is_made_without_the_others(needs: nx.DiGraph) -> None:
    before = nx.descendants(needs, "behaviour_graphs@organism-agreement")
    assert {"behaviour_prompts@organism-agreement", "behaviour_words@organism"} <= before
    keys = {name.split("@")[1] for name in before}
    assert keys == {"organism", "organism-agreement"}


def test_what_follows_of_one_behaviour_is_its_own_and_what_compares(needs: nx.DiGraph) -> None:
    after = nx.ancestors(needs, "behaviour_prompts@organism-recall")
    own = {f"{stage}@organism-recall" for stage in ("baseline", "behaviour_features", "behaviour_graphs")}
    assert after == own | {f"{stage}@organism" for stage in OF_ALL}


def test_make_profile_takes_every_stage_of_the_profile(needs: nx.DiGraph) -> None:
    (line,) = [line for line in (ROOT / "Makefile").read_text("utf-8").splitlines() if "sed -nE" in line]
    expression = line.partition("sed -nE '")[2].rpartition("'")[0]
    expression = expression.replace("$$", "$").replace("$(NAME)", "none-1")
    done = subprocess.run(
        ["sed", "-nE", expression], input="\n".join(needs), capture_output=True, text=True, check=True
    )
    trained = {"organism", "transcoders", "adapters", "materials"}
    own = {name for name in needs if "@none-1" in name and name.split("@")[0] not in trained}
    assert len(own) > len(BEHAVIOURS)
    assert set(done.stdout.split()) == own
