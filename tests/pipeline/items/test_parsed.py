"""What was parsed of a module is kept, and stands for its file as long as that has the same bytes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.items import parsed
from pipeline.items.code import CodeBase, QualifiedName

NAME = QualifiedName("pipeline.a", "f")
TEXT = "import os\nos.umask(0)\nfrom pipeline.b import g as h\ndef f(x: 'int' = 1):\n    return h(x)\n"
KEPT = Path(".cache/code.json")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "pipeline"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "a.py").write_text(TEXT, encoding="utf-8")
    (folder / "b.py").write_text("def g(x): return x\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What is parsed from now on."""
    asked: list[bytes] = []
    parse = parsed.parse

    def noted(content: bytes) -> parsed.ParsedModule:
        asked.append(content)
        return parse(content)

    monkeypatch.setattr(parsed, "parse", noted)
    return asked


def test_what_another_process_parsed_is_parsed_by_none(root: Path, read: list[bytes]) -> None:
    first = CodeBase(root).reached([NAME])
    assert len(read) == 3
    assert CodeBase(root).reached([NAME]) == first
    assert len(read) == 3


def test_of_an_edited_module_nothing_is_taken(root: Path, read: list[bytes]) -> None:
    before = CodeBase(root).digest([NAME])
    (root / "pipeline" / "b.py").write_text("def g(x): return -x\n", encoding="utf-8")
    assert CodeBase(root).digest([NAME]) != before
    assert read[3:] == [b"def g(x): return -x\n"]


def other_parser(path: Path) -> None:
    _, _, text = path.read_text(encoding="utf-8").partition("\n")
    text = text.replace('"by": "', '"by": "0')
    path.write_text(f"{parsed._digest(text)}\n{text}", encoding="utf-8")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "altered": lambda path: path.write_text(
        path.read_text("utf-8").replace("pipeline.b", "pipeline.c"), "utf-8"
    ),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-20]),
    "no text": lambda path: path.write_bytes(b"\xff"),
    "of another parser": other_parser,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_what_is_kept_badly_is_parsed_again(
    root: Path, read: list[bytes], damage: Callable[[Path], object]
) -> None:
    first = CodeBase(root).reached([NAME])
    damage(root / KEPT)
    assert CodeBase(root).reached([NAME]) == first
    assert len(read) == 6


def test_where_nothing_can_be_kept_keys_are_the_same(root: Path, read: list[bytes]) -> None:
    (root / ".cache").write_text("no folder", encoding="utf-8")
    first = CodeBase(root).reached([NAME])
    assert CodeBase(root).reached([NAME]) == first
    assert len(read) == 6
