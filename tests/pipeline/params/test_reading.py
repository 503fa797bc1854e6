"""A ``params.yaml`` that is no such thing is told in one sentence, with its line where that is known."""

from pathlib import Path
from typing import Any, Final

import pytest

from pipeline.params.project import Params, load_params
from store.base.errors import UserError
from tests.support.places import ROOT

GOOD: Final = (ROOT / "params.yaml").read_text(encoding="utf-8")
LINES: Final = GOOD.count("\n")


def message_of(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_params(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    assert len(message) < 1000
    return message


@pytest.mark.parametrize(
    ("content", "line", "says"),
    [
        (b"runtime:\n  seed: \xff\n", 2, "not UTF-8 at byte 17; save the file as UTF-8"),
        ("more: !!int x", 1, "'x' is no int"),
        ("more: !!timestamp x", 1, "'x' is no timestamp"),
        ("more: 2024-13-45", 1, "'2024-13-45' is no timestamp"),
        ("more: !!bool x", 1, "'x' is no bool"),
        (f"more: {'9' * 5000}", 1, "a number of too many digits"),
        (f"more: {'[' * 3000}", None, "nested too deeply"),
        (f"more: {'[' * 600}{']' * 600}", None, "nested too deeply"),
        ('more: "\\ud800"', 1, "half of a surrogate pair"),
        ('"\\UFFFFFFFF"', None, "not YAML"),
        ("a: 1\nb: 2\na: 3", 3, "the key 'a' stands there twice"),
        ("a: {b: 1, c: 2, b: 1}", 1, "the key 'b' stands there twice"),
        ("a: [1\nb: 2", 2, "not YAML"),
        ("a: *nothing", 1, "undefined alias"),
        ("a: !!python/object:os.system x", 1, "python/object"),
    ],
)
def test_what_is_not_yaml(tmp_path: Path, content: str | bytes, line: int | None, says: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    message = message_of(path)
    assert message.startswith(f"{path}: " if line is None else f"{path}:{line}: ")
    assert says in message


def test_a_folder(tmp_path: Path) -> None:
    assert "Is a directory" in message_of(tmp_path)


def test_a_section_twice_is_no_second_thought(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(GOOD + "runtime: {seed: 1, threads: 1}\n")
    assert message_of(path).startswith(f"{path}:{LINES + 1}: not YAML (the key 'runtime' stands there twice)")


@pytest.mark.parametrize(
    ("old", "new", "parameter"),
    [
        ("      batch: 1024 ", f"      batch: {10**30} ", "organisms.organism.base.batch"),
        ("      steps: 2600", f"      steps: {10**30}", "organisms.organism.transcoders.steps"),
        ("  threads: 2 ", f"  threads: {10**30} ", "runtime.threads"),
        ("  max_tokens: 128 ", f"  max_tokens: {10**30} ", "prompts.max_tokens"),
        ("  batch_size: 128 ", f"  batch_size: 0x{'f' * 6000} ", "graphs.batch_size"),
        ("  bin_high: 1000.0", "  bin_high: 1.0e+300", "features.bin_high"),
        ("  confidence: 0.95\n  min", f"  confidence: 1{'0' * 400}\n  min", "labels.confidence"),
        ("  bins: 20 ", f"  bins: {10**30} ", "features.bins"),
        ("  samples: 40 ", f"  samples: {10**30} ", "evaluate.samples"),
        ("  max_n_logits: 10", f"  max_n_logits: {'x' * 100_000}", "graphs.max_n_logits"),
        ("  scales: [0.25", f"  scales: [{10**30}", "dose.scales.0"),
        ("    model: artifacts/organism", f"    model: {'m' * 300}", "profiles.organism.model"),
    ],
    ids=lambda text: text.strip()[:30],
)
def test_a_wrong_value_is_quoted_in_part_with_its_line(
    tmp_path: Path, old: str, new: str, parameter: str
) -> None:
    assert old in GOOD
    path = tmp_path / "params.yaml"
    content = GOOD.replace(old, new, 1)
    path.write_text(content)
    message = message_of(path)
    line = content[: content.index(new)].count("\n") + 1
    assert message.startswith(f"{path}:{line}: parameter {parameter}: ")


def _parts(field: dict[str, Any]) -> list[dict[str, Any]]:
    inner = [*field.get("anyOf", ()), *([field["items"]] if "items" in field else [])]
    return [field, *(part for one in inner for part in _parts(one))]


def test_every_number_has_an_upper_bound() -> None:
    # So that no size is taken that only fails hours later, or never ends.
    schema = Params.model_json_schema()
    unbounded = [
        f"{section}.{name}"
        for section, model in schema["$defs"].items()
        for name, field in model["properties"].items()
        for one in _parts(field)
        if one.get("type") in {"integer", "number"} and not {"maximum", "exclusiveMaximum"} & one.keys()
    ]
    assert unbounded == []
