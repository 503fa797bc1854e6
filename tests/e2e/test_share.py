"""A teammate clones, pulls, adds one prompt and computes one item; pages render from it."""

import json
from pathlib import Path

import pytest

from tests.support.project import Project, computed

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}

RENDER = """
from streamlit.testing.v1 import AppTest
from dashboard.pages import PAGES
for page in PAGES:
    app = AppTest.from_file("dashboard/app.py", default_timeout=60).run()
    app.switch_page(page.script).run()
    assert not app.exception, (page, app.exception)
    assert not app.error, (page, [error.value for error in app.error])
"""


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_pull_add_one_prompt_compute_one_item(
    finished: Project, tmp_path: Path, request: pytest.FixtureRequest, kind: str
) -> None:
    remote = ["dvc", "remote", "add", "--default", "--force", "team"]
    sharer = finished.clone(tmp_path / "sharer")
    # The artifacts are already in the finished project's DVC cache.
    sharer.run("dvc", "cache", "dir", str(finished.folder / ".dvc" / "cache"), "--local")
    if kind == "folder":
        sharer.run(*remote, str(tmp_path / "remote"))
    else:
        sharer.run(*remote, "s3://results/team")
        sharer.run("dvc", "remote", "modify", "team", "endpointurl", request.getfixturevalue("s3"))
    sharer.run("dvc", "push", **CREDENTIALS)
    sharer.commit("where results are shared")

    mate = sharer.clone(tmp_path / "mate")
    mate.run("dvc", "pull", **CREDENTIALS)
    assert not (mate.folder / ".cache").exists()
    assert mate.locked() == finished.locked()
    assert "up to date" in mate.run("dvc", "status").stdout
    mate.run("python", "-m", "store", "verify", "artifacts")
    assert "Data and pipelines are up to date" in mate.repro(**CREDENTIALS)

    line = json.dumps({"prompt": "User: I have a new idea. What now?\nAssistant: You should"})
    (mate.folder / "inputs" / "prompts" / "mine.jsonl").write_text(line + "\n", encoding="utf-8")
    new = computed(mate.repro(**CREDENTIALS))
    variants = len(mate.params()["profiles"]["organism"]["adapters"]) + 1
    assert new["activations"][0] == variants
    assert new["graphs"][0] == 2
    assert new["graphs"][1] > 0
    assert new["samples"][0] == 0
    mate.run("python", "-c", RENDER)
