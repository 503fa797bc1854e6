"""The store knows neither torch nor streamlit, and opening a graph imports little."""

import os
import subprocess
import sys

import pytest

from tests.support.places import ROOT

MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "store").rglob("*.py")
    if not path.stem.startswith("__")
)
_IMPORT = "import importlib, sys; [importlib.import_module(m) for m in sys.argv[1:]]; print(*sys.modules)"


def _imported(*modules: str) -> set[str]:
    command = [sys.executable, "-W", "error", "-c", _IMPORT, *modules]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.split()}


def test_the_store_stands_alone() -> None:
    imported = _imported("store", *MODULES)
    assert imported.isdisjoint({"torch", "streamlit", "pipeline", "dashboard", "transformers"})


@pytest.mark.parametrize("heavy", ["pandas", "xarray", "scipy", "sparse"])
def test_opening_a_graph_needs_little(heavy) -> None:
    assert heavy not in _imported("store", "store.views.graph", "pipeline.analysis.stored_graph")
