"""``dvc.yaml`` names the folders and modules that each stage's code lies in."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipeline.items import closure
from pipeline.items.closure import ROOT, import_closure

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_what_a_stage_imports_lies_inside_its_dependencies(stage: str) -> None:
    listed = {Path(dependency) for dependency in STAGES[stage]["do"]["deps"]}
    # A package's `__init__` only says what the package is; `pipeline`'s own sets how threads idle.
    for name in (
        name for name in import_closure(f"pipeline.stages.{stage}") if not name.endswith("__init__.py")
    ):
        path = Path(name)
        assert listed & {path, *path.parents}, f"{stage} imports {name}, which none of its deps holds"
    assert listed & {Path("pipeline/items"), Path(closure.PINNED)}, "the pinned libraries"


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_a_stage_depends_on_no_code_that_it_does_not_import(stage: str) -> None:
    imported = {Path(name) for name in import_closure(f"pipeline.stages.{stage}")}
    for dependency in STAGES[stage]["do"]["deps"]:
        if dependency.split("/")[0] in closure.PACKAGES and dependency != closure.PINNED:
            path = Path(dependency)
            assert any(path in {name, *name.parents} for name in imported), f"{stage}: {dependency}"


@pytest.mark.parametrize("stage", ["organism", "transcoders", "adapters"])
def test_training_depends_on_the_modules_that_it_needs_and_no_more(stage: str) -> None:
    # Training is not cached by item: a file beside those that it needs must not retrain.
    folders = {dep for dep in STAGES[stage]["do"]["deps"] if (ROOT / dep).is_dir()}
    assert folders <= {"pipeline/run", "store/base", "pipeline/organism/world", "pipeline/organism/checks"}


def test_stages_import_no_models_before_they_compute() -> None:
    trained = {"organism", "transcoders", "adapters", "models"}
    names = [f"pipeline.stages.{stage}" for stage in STAGES if stage not in trained]
    program = (
        "import importlib, sys\n"
        "for library in ('torch', 'transformers', 'circuit_tracer', 'transformer_lens', 'distributed'):\n"
        "    sys.modules[library] = None\n"
        f"for name in {names}:\n"
        "    importlib.import_module(name)\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_dvc_yaml_can_be_read_by_a_person() -> None:
    # A stage takes eighteen lines or so: the file grows by what is computed, and by nothing else.
    lines = (ROOT / "dvc.yaml").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 19 * len(STAGES)


def test_stages_depend_on_the_pinned_libraries() -> None:
    pinned = (ROOT / closure.PINNED).read_text(encoding="utf-8")
    assert pinned == closure.pinned_libraries(), "run `make deps`"
    assert len(pinned.splitlines()) == len(closure.LIBRARIES)


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_a_stage_runs_its_own_module(stage: str) -> None:
    assert STAGES[stage]["do"]["cmd"] == f"python -m pipeline.stages.{stage} ${{key}}"
    assert (ROOT / "pipeline" / "stages" / f"{stage}.py").exists()


def test_closure_follows_imports_inside_functions_and_packages(tmp_path: Path) -> None:
    package = tmp_path / "pipeline"
    package.mkdir()
    (package / "__init__.py").write_text("import store.early\n")
    (package / "a.py").write_text("import numpy\nfrom pipeline import b\n")
    (package / "b.py").write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from pipeline.unrelated import T\n"
        "def f():\n    from pipeline.c import g\n    return g\n"
    )
    (package / "c.py").write_text("g = 1\n")
    (package / "unrelated.py").write_text("")
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "early.py").write_text("")
    assert import_closure("pipeline.a", tmp_path) == (
        "pipeline/__init__.py",
        "pipeline/a.py",
        "pipeline/b.py",
        "pipeline/c.py",
        "store/early.py",
    )


def test_training_the_organism_does_not_depend_on_the_stores_format() -> None:
    closure_of_training = import_closure("pipeline.stages.organism")
    assert not any(name.startswith(("store/schema", "store/format")) for name in closure_of_training)
