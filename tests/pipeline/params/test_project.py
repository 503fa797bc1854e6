"""``params.yaml`` is checked whole, and a mistake is told in one sentence."""

import datetime
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.params.project import load_params
from pipeline.params.reading import read_params
from pipeline.params.training import TrainingParams
from store.base.errors import UserError
from tests.support.places import ROOT

GOOD: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))


def _with(tmp_path: Path, path: str, value: Any) -> Path:
    content = deepcopy(GOOD)
    *parents, last = path.split(".")
    section = content
    for parent in parents:
        section = section[parent]
    section[last] = value
    file = tmp_path / "params.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return file


def test_the_committed_params_are_valid() -> None:
    assert load_params(ROOT / "params.yaml").profile("organism").focus == "general"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("graphs.max_n_logits", "ten"),
        ("graphs.max_n_logits", 0),
        ("graphs.node_threshold", 1.5),
        ("graphs.keep_node_threshold", 0.5),
        ("graphs.full", "sometimes"),
        ("graphs.unheard_of", 1),
        ("runtime.threads", 0),
        ("runtime.seed", 1.5),
        ("profiles.organism.dtype", "float16"),
        ("profiles.organism.focus", "nobody"),
        ("profiles.organism.nulls", ["nobody"]),
        ("profiles.organism.nulls", ["null-1", "general"]),  # which is the focus
        ("profiles.organism.adapters", {"base": "somewhere"}),
        ("profiles.organism.adapters", {"../up": "somewhere"}),
        ("profiles.organism.aliases", [""]),
        ("profiles.organism.chat", {"date": "2024-07-26"}),
        ("profiles.organism.chat", {"date": datetime.date(2024, 7, 26)}),
        ("profiles.organism.chat", {"date": "6 Jul 2024"}),
        ("profiles.organism.chat", {"date": "31 Feb 2024"}),
        ("profiles.organism.chat", {"date": True}),
        ("profiles.organism.chat", {"date_string": "26 Jul 2024"}),
        ("profiles.organism.chat", {"messages": "mine"}),
        ("profiles.organism.chat", {"enable thinking": True}),
        ("profiles.organism.chat", {"enable_thinking": None}),
        ("evaluate.temperature", 0.0),
        ("features.confidence", 1.0),
        ("features.edges", 0),
        ("features.labellings", 0),
        ("features.floor.logits", -0.1),
        ("labels.queue", {"evil_divergent": 0.5, "disagree": 0.5, "random": 0.0}),
        ("labels.queue.random", -0.25),
        ("labels.queue.evil_divergent", "half"),
        ("labels.queue.disagree", 0.2501),
        ("dose.scales", []),
        ("dose.scales", [0.5, 0.0]),
        ("dose.scales", [0.5, 0.5]),
        ("dose.scales", [float("inf")]),
    ],
)
def test_a_wrong_parameter_is_named(tmp_path: Path, path: str, value: Any) -> None:
    with pytest.raises(UserError) as error:
        load_params(_with(tmp_path, path, value))
    message = str(error.value)
    section, *_, last = path.split(".")
    assert section in message
    # A cross-check is reported at its section, but names the parameter in its words.
    assert last in message
    assert "\n" not in message


@pytest.mark.parametrize("name", ["nobody", "general"])
def test_a_null_is_an_adapter_and_not_the_focus(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=rf"nulls: '{name}' must be one of its adapters, and not the focus"):
        load_params(_with(tmp_path, "profiles.organism.nulls", ["null-1", name]))


def test_shares_of_the_queue_add_up_to_one(tmp_path: Path) -> None:
    told = r"parameter labels\.queue: the shares of .* must add up to 1, not 1\.25\.$"
    with pytest.raises(UserError, match=told) as error:
        load_params(_with(tmp_path, "labels.queue.random", 0.5))
    assert "\n" not in str(error.value)
    thirds = {"evil_divergent": 1 / 3, "disagree": 1 / 3, "random": 1 / 3}
    assert load_params(_with(tmp_path, "labels.queue", thirds)).labels.queue.model_dump() == thirds


def test_a_profile_may_have_no_nulls(tmp_path: Path) -> None:
    profile = load_params(_with(tmp_path, "profiles.organism.nulls", [])).profile("organism")
    assert profile.nulls == []


@pytest.mark.parametrize(("path", "value"), [("graphs.max_n_logits", "ten"), ("unheard_of", 1)])
def test_training_reads_its_sections_only(tmp_path: Path, path: str, value: Any) -> None:
    file = _with(tmp_path, path, value)
    assert "organism" in read_params(file, TrainingParams).organisms
    with pytest.raises(UserError, match=path.split(".")[0]):
        load_params(file)


@pytest.mark.parametrize("path", ["runtime.unheard_of", "organisms.organism.base.unheard_of"])
def test_training_refuses_what_its_sections_lack(tmp_path: Path, path: str) -> None:
    with pytest.raises(UserError, match=path):
        read_params(_with(tmp_path, path, 1), TrainingParams)


def test_an_unknown_organism_lists_what_there_is() -> None:
    params = read_params(ROOT / "params.yaml", TrainingParams)
    with pytest.raises(UserError, match=r"no organism 'other' .*'organism'"):
        params.require("other")


def test_a_missing_section_is_named(tmp_path: Path) -> None:
    content = deepcopy(GOOD)
    del content["graphs"]
    file = tmp_path / "params.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(UserError, match=r"parameter graphs: Field required\.$"):
        load_params(file)


def test_broken_yaml_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text("profiles: [", encoding="utf-8")
    with pytest.raises(UserError, match="not YAML") as error:
        load_params(file)
    assert "\n" not in str(error.value)


def test_an_unknown_profile_lists_what_there_is() -> None:
    with pytest.raises(UserError, match=r"no profile 'other' .*'organism'"):
        load_params(ROOT / "params.yaml").profile("other")


def test_a_missing_file_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist here"):
        load_params(tmp_path / "params.yaml")
