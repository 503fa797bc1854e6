"""Behaviours as files for other programs: every number as it is stored, and the command that writes them."""

import csv
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from pipeline.exchange.__main__ import main
from pipeline.exchange.behaviour_figures import histogram
from pipeline.exchange.stored_behaviours import COLUMNS, behaviour_files
from store.base.errors import UserError
from store.documents.manifest import write_manifest
from store.documents.token_texts import write_token_texts
from store.views.by_behaviour import open_datasets
from tests.support.demo.behaviour_features import write_behaviour_features
from tests.support.demo.behaviour_graphs import write_behaviour_graphs
from tests.support.demo.behaviours import FAILS, N_PROMPTS, NAMES, behaviour_prompts, write_behaviours
from tests.support.demo.circuits import write_circuits
from tests.support.demo_project import give_parameters
from tests.support.items import MANIFEST

FOLDER = Path("artifacts/demo")
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The profile's folder, which tests copy."""
    folder = tmp_path_factory.mktemp("demo")
    write_manifest(folder / "models.json", MANIFEST)
    write_token_texts(folder / "vocabulary.json", ["a"])
    write_behaviours(folder)
    write_circuits(folder)
    write_behaviour_features(folder)
    write_behaviour_graphs(folder)
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made, FOLDER)
    give_parameters(tmp_path)
    return


def test_every_number_is_the_stored_one(project: None) -> None:
    files = dict(behaviour_files(FOLDER, FAILS[0]))
    table = open_datasets(FOLDER, "behaviours", "prompts").sel(variant=FAILS[0])
    stored = {
        (str(behaviour), str(hash_)): float(value)
        for behaviour, hash_, value in zip(
            table["behaviour"].values, table["prompt_hash"].values, table["difference"].values, strict=True
        )
    }
    seen = 0
    for name in NAMES:
        known = {each.hash: each for each in behaviour_prompts(name)}
        for split in ("train", "test"):
            lines = files[f"{name}_{split}.jsonl"].decode().splitlines()
            rows = list(
                csv.DictReader(io.StringIO(files[f"baseline_{name}_{split}.csv"].decode(), newline=""))
            )
            assert [row["hash"] for row in rows] == [json.loads(line)["hash"] for line in lines]
            for row in rows:
                assert tuple(row) == COLUMNS
                assert float(row["difference"]) == stored[name, row["hash"]]
                apart = float(row["log_prob_correct"]) - float(row["log_prob_incorrect"])
                assert apart == pytest.approx(float(row["difference"]))
                assert row["success"] == ("true" if float(row["difference"]) > 2 else "false")
                assert row["prompt"] == known[row["hash"]].prompt
                seen += 1
    assert seen == len(NAMES) * N_PROMPTS
    metrics = json.loads(files["baseline_metrics.json"])
    assert metrics["variant"] == FAILS[0]
    of = metrics["behaviours"][FAILS[1]]["all"]
    assert of["n"] == N_PROMPTS
    assert of["passes"] is False
    assert of["accuracy"] == np.mean([stored[key] > 2 for key in stored if key[0] == FAILS[1]])


@pytest.mark.parametrize(
    ("values", "bars"), [([1.0, 2.0, 2.0, 5.0], {False: 3, True: 1}), ([2.0], {False: 1}), ([], {})]
)
def test_the_figure_counts_what_succeeds(values: list[float], bars: dict[bool, int]) -> None:
    root = ElementTree.fromstring(histogram(values, success=2.0, title="a < b & c"))
    found: dict[bool, int] = {}
    for title in root.iter(f"{SVG}title"):
        n, low, _, high = (title.text or "").replace(":", "").split()
        assert float(low) < float(high)
        succeeds = float(low) >= 2.0
        assert succeeds or float(high) <= 2.0, "no bar lies on both sides of the threshold"
        found[succeeds] = found.get(succeeds, 0) + int(n)
    assert found == bars
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert texts[0] == "a < b & c"
    assert texts[-1] == f"nats a token, right minus wrong; n = {len(values)}"


def test_the_command(project: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["behaviours", "demo", "--variant", "general"]) == 0
    written = Path("demo-general@1.0-behaviours")
    names = {each.name for each in written.iterdir()}
    of_answers = [
        name for name in names if not name.startswith(("intervention", "feature", "circuit", "graphs"))
    ]
    assert len(of_answers) == 5 * len(NAMES) + 1
    assert {f"circuit_{name}.graphml" for name in NAMES} <= names
    assert "features_summary.json" in names
    graphs = {each.name for each in (written / "graphs").iterdir()}
    assert len(graphs) == 2 * len(NAMES) * N_PROMPTS
    assert "circuit_*.graphml" in capsys.readouterr().out
    assert {f"intervention_ablation_{name}.csv" for name in NAMES} <= names
    assert {"intervention_summary.json", "feature_importance_layer_0.csv"} <= names
    assert main(["behaviours", "demo", "--nodes", "0", "--folder", "without"]) == 0
    assert not Path("without/graphs").exists()
    assert "graphs/" not in capsys.readouterr().out
    assert main(["behaviours", "demo", "--variant", "nobody"]) == 1
    assert "nobody" in capsys.readouterr().err
    Path("file").write_text("mine")
    assert main(["behaviours", "demo", "--folder", "file"]) == 1
    assert "name another place with --folder" in capsys.readouterr().err


def test_what_there_is_not_is_told(project: None) -> None:
    with pytest.raises(UserError, match=r"null-1@1\.0 was not measured in artifacts/demo; there is ba"):
        dict(behaviour_files(FOLDER, "null-1@1.0"))
    shutil.rmtree(FOLDER / "by_behaviour" / "behaviours" / "recall")
    with pytest.raises(UserError, match="recall was not measured yet; `dvc repro baseline@demo-recall`"):
        dict(behaviour_files(FOLDER, "base"))
    for path in (FOLDER / "behaviour_prompts").iterdir():
        path.unlink()
    with pytest.raises(UserError, match="holds no prompts; name `behaviours` of the profile"):
        dict(behaviour_files(FOLDER, "base"))
