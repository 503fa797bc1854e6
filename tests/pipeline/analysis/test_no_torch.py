"""The room of numbers needs no model: what it imports, directly or not, loads no torch."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
HEAVY = ("torch", "transformers", "circuit_tracer", "streamlit", "altair")
MODULES = sorted(
    f"pipeline.analysis.{path.stem}"
    for path in (ROOT / "pipeline" / "analysis").glob("*.py")
    if path.stem != "__init__"
)


@pytest.mark.parametrize("modules", [MODULES, ["pipeline.text.lexicon"]], ids=["analysis", "lexicon"])
def test_no_number_needs_a_model(modules: list[str]) -> None:
    program = (
        f"import importlib, sys\nfor name in {modules!r}: importlib.import_module(name)\n"
        f"print(*[name for name in {HEAVY!r} if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == []


def test_no_function_there_imports_one_when_it_is_called() -> None:
    for path in (ROOT / "pipeline" / "analysis").glob("*.py"):
        lines = path.read_text(encoding="utf-8").splitlines()
        heads = [
            line.split()[1].split(".")[0] for line in lines if line.lstrip().startswith(("import ", "from "))
        ]
        assert not set(HEAVY) & set(heads), path
