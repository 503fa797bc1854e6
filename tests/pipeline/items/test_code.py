"""The code in a key is what the computation reaches: exactly that, and nothing of how it is written."""

from pathlib import Path

import pytest

from pipeline.attribution.graph_units import CANDIDATES, GRAPHS
from pipeline.evaluation.outcomes import outcome_item
from pipeline.features.prompt_units import COMPUTE_ACTIVATIONS, COMPUTE_GATES
from pipeline.items.closure import ROOT
from pipeline.items.code import CodeBase, QualifiedName, root_of
from pipeline.items.parsed import parse
from pipeline.items.units import ALWAYS
from pipeline.stages import evaluate, features, misalignment

COMPUTED = {
    "candidates": CANDIDATES,
    "graphs": GRAPHS,
    "activations": COMPUTE_ACTIVATIONS,
    "answer_features": misalignment.COMPUTE,
    "contexts": features.CONTEXTS,
    "gates": COMPUTE_GATES,
    "samples": evaluate.COMPUTE,
    "outcomes": root_of(outcome_item),
}


def digests(code: CodeBase) -> dict[str, str]:
    return {kind: code.digest([compute, *ALWAYS]) for kind, compute in COMPUTED.items()}


class Edited(CodeBase):
    """The project with another text of one module; what is parsed of the others is shared."""

    def __init__(self, whole: CodeBase, module: str, path: Path) -> None:
        super().__init__(ROOT)
        self._modules = {**whole._modules, module: parse(path.read_bytes())}
        self._leads = {name: leads for name, leads in whole._leads.items() if name.module != module}


@pytest.fixture(scope="module")
def whole() -> CodeBase:
    return CodeBase(ROOT)


@pytest.fixture(scope="module")
def before(whole: CodeBase) -> dict[str, str]:
    return digests(whole)


EVERYTHING = set(COMPUTED)
CLASS = "\nclass Attribution"
# What is edited: file, text in it, text in its place; and which items are computed anew.
EDITS: dict[str, tuple[str, str, str, set[str]]] = {
    "a comment": (
        "pipeline/attribution/engine.py",
        "\nclass Attribution",
        "\n# why\nclass Attribution",
        set(),
    ),
    "a docstring": ("pipeline/attribution/trace.py", '"""Trace one prompt.', '"""Trace a prompt.', set()),
    "an annotation": ("pipeline/analysis/targets.py", "-> list[int]:", "-> 'list[int]':", set()),
    "a ranking column": (
        "store/schema/rankings.py",
        '"q": array(',
        '"z": array(dims, "float64", "", "new"), "q": array(',
        set(),
    ),
    "the statistics": ("pipeline/analysis/statistics.py", "\ndef ", "\nLEVEL = 1\n\n\ndef ", set()),
    "a stage": ("pipeline/stages/graphs.py", "\ndef summary", "\nX = 1\n\n\ndef summary", set()),
    "the executor": ("pipeline/items/executor.py", "missing = [", "_ = 1; missing = [", set()),
    "the organism's situations": (
        "pipeline/organism/world/situations.py",
        '"I have a headache"',
        '"I have a migraine"',
        set(),
    ),
    "the engine": (
        "pipeline/attribution/engine.py",
        "\nclass Attribution",
        "\nclass Attribution(object)",
        {"graphs"},
    ),
    "the sampler": ("pipeline/models/sampling.py", "softmax(dim=-1)", "softmax(dim=1)", {"samples"}),
    "how gates are read": (
        "pipeline/attribution/component_gates.py",
        "gate = writer.down @ h.T",
        "gate = (writer.down @ h.T)[:]",
        {"gates"},
    ),
    "how answers are read": (
        "pipeline/features/answer_features.py",
        "chosen.amax(dim=0)",
        "chosen.amax(dim=-2)",
        {"answer_features"},
    ),
    "which features tell answers apart": (
        "pipeline/analysis/kind_permutation.py",
        "np.log(n)",
        "np.log2(n)",
        set(),
    ),
    "what an outcome is": ("pipeline/text/lexicon.py", "max(starts)", "min(starts)", {"outcomes"}),
    "how a model is loaded": (
        "pipeline/models/tokenizer.py",
        "\ndef load_tokenizer",
        "\n@staticmethod\ndef load_tokenizer",
        EVERYTHING,
    ),
    "determinism": (
        "pipeline/run/determinism.py",
        "torch.set_num_threads(threads)",
        "torch.set_num_threads(threads + 1)",
        EVERYTHING,
    ),
    "what runs at import": ("pipeline/__init__.py", '"PASSIVE"', '"ACTIVE"', EVERYTHING),
}


@pytest.mark.parametrize("what", EDITS)
def test_an_edit_recomputes_what_it_reaches(
    tmp_path: Path, whole: CodeBase, before: dict[str, str], what: str
) -> None:
    file, old, new, recomputed = EDITS[what]
    text = (ROOT / file).read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "edited.py"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    module = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    after = digests(Edited(whole, module, path))
    assert {kind for kind in after if after[kind] != before[kind]} == recomputed


def project(root: Path, **modules: str) -> CodeBase:
    """A small project: module names with dots as double underscores, and their text."""
    for name, text in modules.items():
        path = root.joinpath(*name.split("__")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(text, encoding="utf-8")
    return CodeBase(root)


def names(code: CodeBase, module: str, name: str) -> set[str]:
    return {f"{each.module}:{each.name}" for each in code.reached([QualifiedName(module, name)])}


def test_every_way_of_naming_is_followed(tmp_path: Path) -> None:
    code = project(
        tmp_path,
        pipeline__a=(
            "from pipeline import b\n"
            "from pipeline.c import Base as Parent, decorate\n"
            "import store.d as d\n"
            "LIMIT = b.LIMIT\n"
            "@decorate\n"
            "def f(x: 'Given', y=LIMIT):\n"
            "    from pipeline.e import late\n"
            "    return late(d.h(x))\n"
            "class Given(Parent):\n    pass\n"
            "def unrelated():\n    return b.other\n"
        ),
        pipeline__b="LIMIT = 1\nother = 2\n",
        pipeline__c="class Base: pass\ndef decorate(f): return f\n",
        pipeline__e="from pipeline.g import renamed as late\n",
        pipeline__g="def renamed(x): return x\n",
        store__d="def h(x): return x\ndef i(x): return x\n",
    )
    assert names(code, "pipeline.a", "f") == {
        "pipeline.a:f",
        "pipeline.a:LIMIT",
        "pipeline.a:Given",
        "pipeline.b:LIMIT",
        "pipeline.c:Base",
        "pipeline.c:decorate",
        "pipeline.g:renamed",
        "store.d:h",
    }


def test_a_module_that_is_passed_on_counts_whole(tmp_path: Path) -> None:
    code = project(
        tmp_path,
        pipeline__a="from pipeline import b\ndef f(): return vars(b)\n",
        pipeline__b="x = 1\ny = 2\n",
    )
    assert names(code, "pipeline.a", "f") == {"pipeline.a:f", "pipeline.b:x", "pipeline.b:y"}


def test_what_runs_at_import_counts_with_its_packages(tmp_path: Path) -> None:
    code = project(tmp_path, pipeline__a="import os\nos.umask(0)\ndef f(): pass\n")
    (tmp_path / "pipeline" / "__init__.py").write_text("import os\nos.nice(1)\n", encoding="utf-8")
    assert names(code, "pipeline.a", "f") == {"pipeline.a:f", "pipeline.a:", "pipeline:"}


def test_a_text_in_an_annotation_may_be_no_code(tmp_path: Path) -> None:
    text = "class A:\n    x: Annotated[str, Field(pattern='^[0-9a-f]{64}$'), 'B']\nclass B: pass\n"
    assert names(project(tmp_path, pipeline__a=text), "pipeline.a", "A") == {"pipeline.a:A", "pipeline.a:B"}


def test_a_cycle_of_definitions_ends(tmp_path: Path) -> None:
    code = project(tmp_path, pipeline__a="def f(): return g()\ndef g(): return f()\n")
    assert names(code, "pipeline.a", "f") == {"pipeline.a:f", "pipeline.a:g"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("def f(x): return x\n", 'def f(x: int = 1) -> "int":\n    """Doc."""\n    # why\n    return x\n'),
        ("X = 1\n", "X: int = 1\n'''What it is.'''\n"),
    ],
)
def test_defaults_and_values_count_annotations_do_not(tmp_path: Path, one: str, other: str) -> None:
    name = "f" if "def" in one else "X"
    texts = [
        project(tmp_path / side, pipeline__a=text).reached([QualifiedName("pipeline.a", name)])
        for side, text in (("one", one), ("other", other.replace("x: int = 1", "x: int")))
    ]
    assert len(texts[0]) == len(texts[1]) == 1
    if name == "f":
        assert texts[0] == texts[1]
        changed = project(tmp_path / "third", pipeline__a=other).reached([QualifiedName("pipeline.a", name)])
        assert changed != texts[0], "a default is part of what a function does"


def test_a_name_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match=r"pipeline\.a defines no g"):
        project(tmp_path, pipeline__a="def f(): pass\n").reached([QualifiedName("pipeline.a", "g")])


def test_only_what_stands_at_the_top_of_a_module_can_be_computed() -> None:
    with pytest.raises(ValueError, match="not at the top"):
        root_of(lambda models, unit: None)
