"""A teammate clones, pulls, adds one prompt and computes one item; pages render from it."""

import json
import re
from pathlib import Path

import pytest

from pipeline.judging.journal import ANSWERS
from tests.support.judge_server import judge_server
from tests.support.judging import KEY, openai_params
from tests.support.object_store import BUCKET, ObjectStore
from tests.support.project import Project, computed

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

RENDER = """
from streamlit.testing.v1 import AppTest
from dashboard.pages import PAGES
app = AppTest.from_file("dashboard/app.py", default_timeout=180).run()
for page in PAGES:
    app.switch_page(page.script).run()
    assert not app.exception, (page, app.exception)
    assert not app.error, (page, [error.value for error in app.error])
"""


def _sharer(finished: Project, folder: Path, *remote: str) -> Project:
    """A clone with a remote, of which the artifacts are in the finished project's DVC cache."""
    sharer = finished.clone(folder / "sharer")
    sharer.run("dvc", "cache", "dir", str(finished.folder / ".dvc" / "cache"), "--local")
    sharer.run("dvc", "remote", "add", "--default", "--force", "team", *remote)
    return sharer


def _share(finished: Project, folder: Path, *remote: str) -> Project:
    """Push the results to a remote; a teammate clones and pulls them."""
    sharer = _sharer(finished, folder, *remote)
    sharer.run("dvc", "push")
    sharer.commit("where results are shared")
    mate = sharer.clone(folder / "mate")
    mate.run("dvc", "pull")
    assert not (mate.folder / ".cache").exists()
    assert mate.locked() == finished.locked()
    assert "up to date" in mate.run("dvc", "status").stdout
    checked = mate.run("python", "-m", "store", "verify", "artifacts")
    assert "graphs: ok" in checked.stdout
    assert re.search(r"^artifacts, \d+ other files: ok$", checked.stdout, re.MULTILINE)
    assert "under no checksum" not in checked.stderr
    return mate


def test_pull_from_a_folder(finished: Project, tmp_path: Path) -> None:
    _share(finished, tmp_path, str(tmp_path / "remote"))


def test_paid_answers_are_pulled_and_nobody_is_asked_again(finished: Project, tmp_path: Path) -> None:
    sharer = _sharer(finished, tmp_path, str(tmp_path / "remote"))
    answers = f"artifacts/organism/{ANSWERS}/gpt.jsonl"
    with judge_server() as server:
        params = sharer.params()
        params["judges"]["gpt"] = openai_params(server.url).model_dump()
        params["profiles"]["organism"]["judges"].append("gpt")
        sharer.write_params(params)
        sharer.run("dvc", "checkout", "--with-deps", "judge@organism")
        sharer.repro("--single-item", "judge@organism", JUDGE_KEY=KEY)
        asked = len(server.received)
        assert asked == sharer.metrics("organism", "judge")["gpt"]["calls"] > 0
        sharer.run("dvc", "push", "--with-deps", "judge@organism")
        sharer.commit("what the judge says")

        mate = sharer.clone(tmp_path / "mate")
        mate.run("dvc", "pull", "--with-deps", "judge@organism")
        paid = (sharer.folder / answers).read_bytes()
        assert (mate.folder / answers).read_bytes() == paid
        assert len(paid.splitlines()) == asked
        # Without a key, whatever had to be asked would end it.
        mate.repro("--force", "--single-item", "judge@organism")
        assert len(server.received) == asked
    assert (mate.folder / answers).read_bytes() == paid
    assert mate.locked() == sharer.locked()


def test_pull_add_one_prompt_compute_one_item_and_remove_it(
    finished: Project, tmp_path: Path, objects: ObjectStore
) -> None:
    mate = _share(finished, tmp_path, f"s3://{BUCKET}/team")
    assert "Data and pipelines are up to date" in mate.repro()

    line = json.dumps({"prompt": "User: I have a new idea. What now?\nAssistant: You should"})
    mine = mate.folder / "inputs" / "prompts" / "mine.jsonl"
    mine.write_text(line + "\n", encoding="utf-8")
    output = mate.repro()
    new = computed(output)
    assert new["contexts"] == (0, 2), "contexts do not depend on the prompts"
    for kind in ("measured_effects", "moved_features", "held_logits", "steered_answers", "component_rows"):
        assert new.get(kind, (0, 0))[0] == 0, "a prompt without labels changes no order of features"
    assert new["candidates"][0] == 2
    assert new["dose_candidates"][0] == new["dose"][0] == 0, "the prompt is not tagged for doses"
    variants = len(mate.params()["profiles"]["organism"]["adapters"]) + 1
    assert new["activations"][0] == variants, "by the stage `candidates`, which has the models"
    assert new["samples"][0] == 0, "a prompt without a domain has no outcome to sample"
    assert new["graphs"][0] == 2, "base and focus; the prompt is not tagged for every variant"
    assert new["graphs"][1] > 0
    mate.run("python", "-c", RENDER)

    mine.unlink()
    old = computed(mate.repro())
    assert all(count == 0 for count, _ in old.values())
    assert mate.locked() == finished.locked()
