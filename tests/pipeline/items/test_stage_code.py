"""What a stage computes with changes by what it runs, and by nothing else."""

from pathlib import Path

import pytest

from pipeline.items.closure import import_closure, pinned_libraries
from pipeline.items.stage_code import stage_code
from pipeline.params.project import load_params
from pipeline.stages import code
from store.base.errors import UserError
from tests.support.places import ROOT

STAGE = '''"""Says."""
from pipeline.used import twice

def main(profile: str) -> int:
    """Two of it."""
    return twice(len(profile))  # a remark
'''
USED = "def twice(number: int) -> int:\n    return number + number\n"


def project(folder: Path, *, stage: str = STAGE, used: str = USED, beside: str = "x = 1\n") -> str:
    """What a stage of a project of two modules and one beside them computes with."""
    for name, text in {
        "pipeline/__init__.py": "",
        "pipeline/stages/__init__.py": "",
        "pipeline/stages/a.py": stage,
        "pipeline/used.py": used,
        "pipeline/beside.py": beside,
        "requirements.txt": "torch==1.0\nstreamlit==1.0\n",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return stage_code("a", folder)


def test_modules_and_libraries_are_lines(tmp_path: Path) -> None:
    lines = project(tmp_path).splitlines()
    assert [line.split()[0] for line in lines] == [
        "pipeline/__init__.py",
        "pipeline/stages/__init__.py",
        "pipeline/stages/a.py",
        "pipeline/used.py",
        "torch==1.0",
    ]


@pytest.mark.parametrize(
    "edit",
    [
        {
            "stage": STAGE.replace("  # a remark", "")
            .replace("Two of it.", "Twice that.")
            .replace("Says.", "Told.")
        },
        {"stage": STAGE.replace('    """Two of it."""\n', "").replace("(profile)", "( profile )")},
        {"beside": "x = 2\n"},
        {"used": USED + '"""Said of it."""\n'},
    ],
)
def test_words_and_what_is_not_imported_change_nothing(tmp_path: Path, edit: dict[str, str]) -> None:
    assert project(tmp_path / "one", **edit) == project(tmp_path / "other")


@pytest.mark.parametrize(
    "edit",
    [
        {"used": USED.replace("number + number", "2 * number")},
        {"used": USED.replace("(number: int)", "(number: float)")},
        {"stage": STAGE.replace("len(profile)", "len(profile) + 1")},
        {"stage": STAGE.replace("twice\n", "twice\nimport pipeline.beside\n", 1)},
    ],
)
def test_what_runs_changes_it(tmp_path: Path, edit: dict[str, str]) -> None:
    assert project(tmp_path / "one", **edit) != project(tmp_path / "other")


def test_an_organism_without_a_profile_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    params = load_params(ROOT / "params.yaml")
    params = params.model_copy(update={"profiles": {"mine": params.profiles["organism"]}})
    with pytest.raises(UserError, match=r"^params\.yaml: organisms\.organism has no profile of its name"):
        code.main("mine", params)


def test_the_stage_writes_a_file_a_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code.main("organism", load_params(ROOT / "params.yaml"))
    written = sorted((tmp_path / "artifacts/organism/code").iterdir())
    assert [path.stem for path in written] == sorted(
        path.stem for path in (ROOT / "pipeline/stages").glob("[!_]*.py")
    )
    lines = (tmp_path / "artifacts/organism/code/graphs.txt").read_text(encoding="utf-8").splitlines()
    assert [line.split()[0] for line in lines[: -len(pinned_libraries().splitlines())]] == list(
        import_closure("pipeline.stages.graphs")
    )
