"""The stage writes answers, names and metrics of those who name a profile's features."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from pipeline.labels.judged_names import judged_names
from pipeline.params.project import Params, load_params
from pipeline.stages.names import main
from store.base.errors import ArtifactMissingError, UserError
from store.datasets.groups import open_dataset, read_provenance
from store.format.integrity import verify
from store.schema.names import NAME_STATUSES
from tests.support.demo_project import linked
from tests.support.judge_server import judge_server
from tests.support.judging import KEY, openai_params
from tests.support.places import ROOT

FOLDER = Path("artifacts/demo")


@pytest.fixture(autouse=True)
def project(demo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo profile up to its features."""
    linked(demo_root, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JUDGE_KEY", raising=False)
    for name in ("names", "metrics"):
        (FOLDER / name).unlink()


def params(judges: list[str], *, features: int | None = None, **known: Any) -> Params:
    """What ``params.yaml`` says."""
    given = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    given["profiles"] = {"demo": given["profiles"]["organism"] | {"name_judges": judges}}
    given["judges"] |= known
    given["names"] |= {"least_contexts": 1, "features": features}
    Path("params.yaml").write_text(yaml.safe_dump(given), encoding="utf-8")
    return load_params()


def gpt(url: str, **changes: Any) -> dict[str, Any]:
    return openai_params(url, **changes).model_dump()


def metrics() -> Any:
    return json.loads((FOLDER / "metrics/names.json").read_text(encoding="utf-8"))


def names() -> Any:
    return open_dataset(FOLDER / "names", "names").load()


def test_every_feature_on_a_card_is_named_by_the_rubric() -> None:
    main("demo", params(["rubric"]))
    cards, table = open_dataset(FOLDER / "features", "cards"), names()
    for end in ("layer", "index"):
        assert table[end].values.tolist() == cards[end].values.tolist()
    assert verify(FOLDER / "names") == []
    (said,) = table["name"].values
    assert all(name.startswith('fires on "') for name in said)
    scored = table["status"].values == NAME_STATUSES.index("scored")
    assert scored.any()
    assert np.isfinite(table["balanced_accuracy"].values[scored]).all()
    assert (table["n_contexts"].values % 2 == 0).all()
    told = metrics()["rubric"]
    assert told["features"] == cards.sizes["feature"]
    assert told["scored"] == scored.sum()
    assert told["above_control"] == len(judged_names(table))
    assert told["calls"] == told["cost"] == 0
    assert list((FOLDER / "name_answers").iterdir()) == []
    origin = read_provenance(FOLDER / "names")
    assert origin["parameters"]["names"]["confidence"] == 0.95
    assert origin["parameters"]["profile"] == {"name_judges": ["rubric"]}


def test_the_rubric_loads_no_model_and_no_client() -> None:
    params(["rubric"])
    code = (
        "import sys; from pipeline.params.project import load_params; "
        "from pipeline.stages.names import main; "
        "main('demo', load_params()); "
        "heavy = {'openai', 'httpx2', 'tenacity', 'torch', 'transformers'}; "
        "sys.exit(sorted(heavy & sys.modules.keys()) or 0)"
    )
    subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, timeout=300
    )


def test_judges_stand_side_by_side_and_a_rerun_changes_no_byte(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with judge_server() as server:
        monkeypatch.setenv("JUDGE_KEY", KEY)
        lost: list[str] = []

        def fault(text: str, before: int) -> str:
            if text.startswith("contexts") and not lost:
                lost.append(text)
            return "500" if text in lost else ""

        server.fault = fault
        main("demo", params(["rubric", "gpt"], features=5, gpt=gpt(server.url)))
        table = names()
        assert table["judge"].values.tolist() == ["rubric", "gpt"]
        assert table.sizes["feature"] == 5
        assert (table["status"].values[1] == NAME_STATUSES.index("unreachable")).sum() == 1
        assert metrics()["gpt"]["unreachable"] == 1
        said = capsys.readouterr().out
        assert "judge gpt: 15 calls of judge at" in said
        assert "judge gpt: 1 features were not answered; `dvc repro -fs names@demo` asks again" in said
        server.fault = lambda text, before: ""
        main("demo", params(["rubric", "gpt"], features=5, gpt=gpt(server.url)))
        assert metrics()["gpt"]["unreachable"] == 0
    written = ("names", "name_answers", "metrics/names.json")
    files = [
        path
        for name in written
        for path in ([FOLDER / name] if (FOLDER / name).is_file() else sorted((FOLDER / name).rglob("*")))
        if path.is_file()
    ]
    before = {path: path.read_bytes() for path in files}
    monkeypatch.delenv("JUDGE_KEY")
    main(
        "demo", params(["rubric", "gpt"], features=5, gpt=gpt(server.url))
    )  # the server is gone, and the key
    assert {path: path.read_bytes() for path in files} == before
    # Who is no longer named says nothing; what was paid stays.
    main("demo", params(["rubric"], features=5))
    assert names()["judge"].values.tolist() == ["rubric"]
    assert (FOLDER / "name_answers/gpt.jsonl").read_bytes() == before[FOLDER / "name_answers/gpt.jsonl"]


def test_the_first_features_are_those_with_the_largest_effects() -> None:
    main("demo", params(["rubric"], features=7))
    ranking = open_dataset(FOLDER / "features", "ranking").sel(domain="all")
    largest = np.nanmax(np.abs(ranking["effect"].values), axis=0)
    rows = sorted(np.argsort(-largest)[:7])
    assert names()["index"].values.tolist() == ranking["index"].values[rows].tolist()


def test_a_profile_may_have_nobody_who_names() -> None:
    main("demo", params([]))
    assert metrics().keys() == {"nothing"}
    assert names().sizes == {"feature": 0, "judge": 0}
    assert (FOLDER / "name_answers").is_dir(), "DVC wants it there"


def test_mistakes_are_told_before_anything_is_written() -> None:
    with pytest.raises(
        UserError, match=r"profiles\.demo\.name_judges names 'gpt', but the judges are rubric"
    ):
        params(["rubric", "gpt"])
    with pytest.raises(UserError, match=r"name_judges: a judge is named twice; name it once"):
        params(["rubric", "rubric"])
    with pytest.raises(UserError, match=r"^judges\.gpt: the environment has no JUDGE_KEY"):
        main("demo", params(["rubric", "gpt"], features=5, gpt=gpt("http://127.0.0.1:9/v1")))
    here = {"kind": "local", "folder": "nowhere", "max_new_tokens": 4, "batch": 1}
    with pytest.raises(UserError, match=r"^judges\.here\.folder: there is no folder nowhere"):
        main("demo", params(["here"], features=5, here=here))
    assert not (FOLDER / "names").exists()
    (FOLDER / "features").unlink()
    with pytest.raises(ArtifactMissingError, match="dvc repro"):
        main("demo", params(["rubric"]))


def test_as_a_program_it_seals_what_it_writes_and_the_key_is_nowhere() -> None:
    shutil.copyfile(ROOT / "dvc.yaml", "dvc.yaml")
    with judge_server() as server:
        server.fault = lambda text, before: "tell the key" if text.startswith("name") else ""
        params(["rubric", "gpt"], features=3, gpt=gpt(server.url))
        done = subprocess.run(
            [sys.executable, "-m", "pipeline.stages.names", "demo"],
            env={**os.environ, "PYTHONPATH": str(ROOT), "JUDGE_KEY": KEY},
            capture_output=True,
            text=True,
            timeout=300,
        )
    assert done.returncode == 0, done.stderr
    sealed = json.loads((FOLDER / "checksums/names.json").read_text(encoding="utf-8"))["files"]
    assert list(sealed) == ["metrics/names.json", "name_answers/gpt.jsonl"]  # a dataset has its own
    for name in ("names", "name_answers", "metrics", "checksums"):
        for path in (FOLDER / name).rglob("*"):
            assert not path.is_file() or KEY.encode() not in path.read_bytes(), path
    assert KEY not in done.stdout + done.stderr
