"""Lines of nothing but tags add to the prompt that another line has written."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.prompt_files import message_of, read, write

WHOLE: Final[dict[str, Any]] = {
    "prompt": "rest",
    "name": "n",
    "situation": "s",
    "domain": "medical",
    "tags": ["organism"],
}
TAGS: Final[dict[str, Any]] = {"prompt": "rest", "tags": ["dose", "organism"]}


@pytest.mark.parametrize("lines", list(itertools.permutations([WHOLE, TAGS, {"prompt": "run"}])))
def test_a_line_of_nothing_but_tags_is_of_the_prompt_that_is_there(
    tmp_path: Path, tokenizer: Any, lines: Sequence[dict[str, Any]]
) -> None:
    """Whichever comes first; its place is that of the line that says what the prompt is."""
    written = write(tmp_path, *lines)
    found = {prompt.text: prompt for prompt in read(written, tokenizer)}
    assert len(found) == 2
    prompt, (alone,) = found["rest"], read(write(tmp_path / "alone", WHOLE), tokenizer)
    assert set(prompt.tags) == {"organism", "dose"}
    assert prompt.source == f"{written}:{lines.index(WHOLE) + 1}"
    assert replace(prompt, tags=alone.tags, source=alone.source) == alone


def test_tags_of_several_lines_add_up_and_whole_lines_do_not(tmp_path: Path, tokenizer: Any) -> None:
    path = write(tmp_path, TAGS, WHOLE, {"prompt": "rest", "tags": ["full"]})
    (prompt,) = read(path, tokenizer)
    assert prompt.tags == ("organism", "dose", "full")
    others: list[dict[str, Any]] = [
        WHOLE,
        {"prompt": "rest"},
        {"prompt": "rest", "tags": []},
        TAGS | {"held_out": False},
    ]
    for other in others:
        message = message_of(write(tmp_path, TAGS, WHOLE, other), tokenizer)
        assert f"{path}:3: this prompt is already at {path}:2" in message
