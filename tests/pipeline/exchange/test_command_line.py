"""What the command says when it cannot write: one sentence that names place and option."""

from pathlib import Path

import pytest

from pipeline.exchange.__main__ import main
from tests.support.exchange_project import PROFILE, Project


@pytest.mark.parametrize("form", ["json", "pt"])
@pytest.mark.parametrize(("out", "why"), [("there", "Is a directory"), ("file/below.json", "File exists")])
def test_export_to_where_nothing_can_be_written(
    project: Project, capsys: pytest.CaptureFixture[str], form: str, out: str, why: str
) -> None:
    Path("there").mkdir()
    Path("file").write_text("mine")
    prompt = next(iter(project.prompts)).hash
    asked = ["export", PROFILE, "--prompt", prompt, "--variant", "base", "--format", form, "--out", out]
    assert main(asked) == 1
    assert capsys.readouterr().err == (
        f"Error: {out} cannot be written ({why}); name another place with --out.\n"
    )
    assert Path("file").read_text() == "mine"
    assert not list(Path("there").iterdir())


def test_serve_from_a_folder_that_is_none(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").write_text("mine")
    assert main(["serve", PROFILE, "--port", "0", "--folder", "file"]) == 1
    assert "Error: file cannot be written (File exists); name another place with --folder.\n" in (
        capsys.readouterr().err
    )
