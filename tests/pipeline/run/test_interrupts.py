"""Ctrl-C while a program imports what it needs is one sentence and exit code 130."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.support.places import ROOT

PROGRAMS: Final = [
    *(f"pipeline.stages.{path.stem}" for path in sorted((ROOT / "pipeline" / "stages").glob("[a-z]*.py"))),
    "pipeline.exchange",
]
LIBRARIES: Final = ("numpy", "pydantic", "torch", "transformers", "yaml")
"""One of these is what a program imports first."""
ARGUMENTS: Final = {
    "pipeline.exchange": ["export", "organism", "--prompt", "0" * 12, "--variant", "base", "--format", "pt"]
}


def ended(program: str, folder: Path, instead: str) -> subprocess.CompletedProcess[str]:
    """Run a program in which importing any of `LIBRARIES` does something else."""
    for library in LIBRARIES:
        (folder / f"{library}.py").write_text(instead)
    return subprocess.run(
        [sys.executable, "-m", program, *ARGUMENTS.get(program, ["organism"])],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_interrupt_during_imports_is_one_sentence(program: str, tmp_path: Path) -> None:
    done = ended(program, tmp_path, "import signal\nsignal.raise_signal(signal.SIGINT)\n")
    assert done.returncode == 130
    assert done.stderr.startswith("Interrupted; nothing was ")
    assert done.stderr.count("\n") == 1
    assert not done.stdout


def test_a_bug_during_imports_keeps_its_traceback(tmp_path: Path) -> None:
    done = ended("pipeline.stages.models", tmp_path, "raise ZeroDivisionError('bug')\n")
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback")


def test_who_imports_the_programs_keeps_its_own_end() -> None:
    code = (
        "import sys; import pipeline.stages, pipeline.exchange; assert sys.excepthook is sys.__excepthook__"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=300)
