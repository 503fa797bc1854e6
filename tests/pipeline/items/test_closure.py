"""What a stage imports, and what ``dvc.yaml`` says that it depends on."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipeline.items import closure
from pipeline.items.closure import ROOT, import_closure
from pipeline.params.project import Params
from pipeline.params.section import Section

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]


@pytest.mark.parametrize("stage", sorted(set(STAGES) - {"code"}))
def test_a_stage_depends_on_its_own_code_and_on_data(stage: str) -> None:
    entry = STAGES[stage]
    code, *data = entry.get("do", entry)["deps"]
    profile = "item.profile" if "behaviour" in entry.get("matrix", {}) else "key"
    assert code == f"artifacts/${{{profile}}}/code/{stage}.txt"
    assert not any("/code/" in name or Path(name).parts[0] in closure.PACKAGES for name in data)


def test_all_code_and_the_pinned_libraries_are_what_stage_code_depends_on() -> None:
    assert STAGES["code"]["deps"] == [*closure.PACKAGES, "requirements.txt"]
    pinned = {line.split("==")[0] for line in closure.pinned_libraries().splitlines()}
    assert pinned > set(closure.LIBRARIES), "those of items, and those that tables are made with"


def test_libraries_that_tables_are_made_with_are_pinned() -> None:
    names = {"sklearn": "scikit-learn"}
    imported = {
        alias.split(".")[0]
        for path in (ROOT / "pipeline/analysis").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for alias in ([each.name for each in node.names] if isinstance(node, ast.Import) else [])
        + ([node.module] if isinstance(node, ast.ImportFrom) and node.module else [])
    }
    foreign = imported - set(sys.stdlib_module_names) - {*closure.PACKAGES}
    pinned = {line.split("==")[0] for line in closure.pinned_libraries().splitlines()}
    assert {names.get(name, name) for name in foreign} <= pinned | {"threadpoolctl", "tqdm"}, "of no number"


def test_nothing_is_imported_from_the_stores_front_door() -> None:
    # What `store` offers to notebooks it loads by a name that no closure sees.
    for package in closure.PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                front = isinstance(node, ast.ImportFrom) and node.module == "store" and node.level == 0
                plain = isinstance(node, ast.Import) and any(each.name == "store" for each in node.names)
                assert not front, path
                assert not plain, path


@pytest.mark.parametrize("stage", ["organism", "transcoders", "adapters"])
def test_training_imports_the_rooms_that_it_needs_and_no_more(stage: str) -> None:
    # Training is not cached by item: an edit elsewhere must not retrain.
    modules = [Path(name) for name in import_closure(f"pipeline.stages.{stage}")]
    rooms = {"/".join(module.parts[:2]) for module in modules if len(module.parts) > 2}
    needed = {"finetuning", "models", "organism", "params", "run", "stages", "text"}
    assert rooms <= {"store/base", *(f"pipeline/{room}" for room in needed)}
    assert {module.stem for module in modules if "models" in module.parts} <= {
        "__init__",
        "key_values",
        "one_query",
        "published",
        "sampling",
    }


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


@pytest.mark.parametrize("stage", sorted(set(STAGES) - {"code"}))
def test_a_stage_runs_again_for_every_parameter_that_it_reads(stage: str) -> None:
    entry, of_one = STAGES[stage], "behaviour" in STAGES[stage].get("matrix", {})
    listed = {name.replace("${key}", "x") for name in entry.get("do", entry).get("params", ())}
    read = _parameters(ast.parse((ROOT / "pipeline" / "stages" / f"{stage}.py").read_text(encoding="utf-8")))
    if of_one:
        read.discard("profiles")  # of which it reads what `behaviour_words` wrote
    if stage == "candidates":
        read.discard("graphs.trace")  # which says what is traced beforehand, and decides no out
    assert {name.partition(".")[0] for name in listed} >= {name.partition(".")[0] for name in read}
    for name in read:
        section = name.partition(".")[0]
        assert name == section or section in listed or name in listed, f"{stage} reads {name}"


def _parameters(tree: ast.Module) -> set[str]:
    """What of ``params`` a stage reads by name: sections such as ``graphs``, and ``graphs.max_n_logits``."""
    named: dict[str, str] = {}
    for node in ast.walk(tree):
        for target in node.targets if isinstance(node, ast.Assign) else ():
            several = isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
            pairs = zip(target.elts, node.value.elts, strict=True) if several else [(target, node.value)]
            named |= {
                of.id: found for of, at in pairs if isinstance(of, ast.Name) and (found := _section(at))
            }
    read = {found for node in ast.walk(tree) if (found := _section(node))}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            of = named.get(node.value.id) if isinstance(node.value, ast.Name) else _section(node.value)
            if of and node.attr not in dir(Section):
                read.add(f"{of}.{node.attr}")
    return {"profiles" if name == "profile" else name for name in read if not name.startswith("profile.")}


def _section(node: ast.AST) -> str | None:
    match node:
        case ast.Attribute(value=ast.Name(id="params"), attr=name) if name in {
            "profile",
            *Params.model_fields,
        }:
            return name
    return None


def test_dvc_yaml_can_be_read_by_a_person() -> None:
    # A stage takes twelve lines or so: the file grows by what is computed, and by nothing else.
    lines = (ROOT / "dvc.yaml").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 12 * len(STAGES)
    assert max(map(len, lines)) <= 118


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_a_stage_runs_its_own_module(stage: str) -> None:
    entry = STAGES[stage]
    assert entry.get("do", entry)["cmd"] == f"python -m pipeline.stages.{stage} ${{key}}"
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
