"""Keep a prompt for the pipeline: one more line, or one more tag, in a person's prompt file."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from transformers import PreTrainedTokenizerBase

from pipeline.models.opening import require_opening
from pipeline.params.profiles import Profile
from pipeline.prompts.files import PromptLine, prompt_lines, read_prompt_files
from store.base.atomic import locked, write_bytes
from store.base.errors import UserError
from store.documents.manifest import Manifest

MADE: Final = "artifacts"
"""Folder of what stages write: a line that is added there would be lost at the next run."""

KEPT: Final = "kept.jsonl"
"""Name of the file, where the profile names a folder of prompt files."""

_CONTENT: Final = ("prompt", "messages")
"""What a line is of; it has either."""


def own_file(profile: Profile, root: Path = Path()) -> Path:
    """The file that kept prompts go to.

    The last of the profile's prompt sources that no stage writes; `KEPT` in it, where it is a
    folder.

    Parameters
    ----------
    profile
        Of ``params.yaml``.
    root
        Root of the project, which the profile's paths are relative to.

    Raises
    ------
    UserError
        Stages write all of them.
    """
    own = [Path(source) for source in profile.prompts if not made_by_a_stage(source)]
    if not own:
        raise UserError(
            "All prompt files of this profile are made by stages; add a folder of your own, such as "
            "`inputs/prompts`, to its `prompts` in params.yaml."
        )
    path = root / own[-1]
    return path if path.suffix == ".jsonl" else path / KEPT


def written_at(profile: Profile, text: str, root: Path = Path()) -> str | None:
    """File and line of a text among the profile's prompt files; None where it is in none.

    Raises
    ------
    UserError
        A file is missing, or a line is malformed.
    """
    lines = prompt_lines([root / path for path in profile.prompts])
    return next((place for place, line in lines if line.prompt == text), None)


def keep_prompt(
    line: Mapping[str, Any],
    profile: Profile,
    *,
    tokenizer: PreTrainedTokenizerBase,
    max_tokens: int,
    manifest: Manifest,
    root: Path = Path(),
) -> str:
    """Add a line to the profile's own prompt file; all its prompts stay readable, or nothing is written.

    Parameters
    ----------
    line
        Keys and values as in a prompt file; ``prompt`` is the text.
    profile, root
        As for `own_file`.
    tokenizer, max_tokens
        As for `pipeline.prompts.files.read_prompt_files`.
    manifest
        Of the model.

    Returns
    -------
    str
        File and number of the new line.

    Raises
    ------
    UserError
        The prompt is in one of the files already, or the prompts stage would refuse the line or
        one that stands there; the message names the file and the way out.
    OSError
        The file cannot be written; it stays as it was.
    """
    path = own_file(profile, root)
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.parent):
        place = written_at(profile, str(line["prompt"]), root)
        if place is not None:
            raise UserError(f"This prompt is already at {place}; `dvc repro` puts it into the pipeline.")
        place, content = _appended(path, line)
        prompts = read_prompt_files(
            [root / name for name in profile.prompts],
            tokenizer,
            max_tokens,
            manifest.model.context,
            more=[(place, json.dumps(dict(line), ensure_ascii=False))],
            chat=profile.chat,
        )
        require_opening(manifest, prompts)
        write_bytes(path, content)
    return place


def add_line(path: Path, line: Mapping[str, Any]) -> str:
    """Add a line to a prompt file, or begin one; whoever reads it meanwhile sees it with the line or without.

    Returns
    -------
    str
        File and number of the line.

    Raises
    ------
    OSError
        The file cannot be written; it stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.parent):
        place, content = _appended(path, line)
        write_bytes(path, content)
    return place


def made_by_a_stage(source: str) -> bool:
    """Whether a stage writes the file of a source of prompts, so that what is added there would be lost."""
    return Path(source).parts[:1] == (MADE,)


def tag_prompt(source: str, tag: str, profile: Profile, root: Path = Path()) -> str:
    """Give a prompt a tag: on its line in a person's prompt file, every other line of which stays as it is.

    One that a stage writes gets it from a line in the profile's own prompt file, which says nothing else
    of it: `pipeline.prompts.files.read_prompt_files` reads the two as one prompt.

    Parameters
    ----------
    source
        File and line, as `store.documents.prompts.Prompt.source` has them.
    tag
        What decides how it is traced, such as ``every-variant``.
    profile, root
        As for `own_file`.

    Returns
    -------
    str
        File and number of the line that has the tag.

    Raises
    ------
    UserError
        The line is no longer there, or stages write all prompt files; the message says the way out.
    OSError
        The file cannot be written; it stays as it was.
    """
    row = _row(root, source)
    if not made_by_a_stage(source):
        with locked((root / source).parent):
            _add(root, source, tag)
        return source
    said: dict[str, Any] = {key: row[key] for key in _CONTENT if key in row}
    path = own_file(profile, root)
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.parent):
        lines = prompt_lines([path]) if path.exists() else iter(())
        place = next((at for at, line in lines if _content(line) == said), None)
        if place is not None:
            place = str(Path(place).relative_to(root))
            _add(root, place, tag)
            return place
        place, content = _appended(path, {**said, "tags": [tag]})
        write_bytes(path, content)
    return str(Path(place).relative_to(root))


def _content(line: PromptLine) -> dict[str, Any]:
    return line.model_dump(include=set(_CONTENT), exclude_none=True)


def _appended(path: Path, line: Mapping[str, Any]) -> tuple[str, bytes]:
    """File and number of a line that is added to a file, and what the file then holds."""
    content = path.read_bytes() if path.exists() else b""
    if content and not content.endswith(b"\n"):
        content += b"\n"
    number = content.count(b"\n") + 1
    return f"{path}:{number}", content + json.dumps(dict(line), ensure_ascii=False).encode("utf-8") + b"\n"


def _row(root: Path, source: str) -> dict[str, Any]:
    """What a line of a prompt file says."""
    name, _, number = source.rpartition(":")
    try:
        text = (root / name).read_text(encoding="utf-8").split("\n")[int(number) - 1]
        return dict(json.loads(text))
    except (FileNotFoundError, IsADirectoryError, ValueError, IndexError, TypeError) as error:
        raise UserError(f"{source} is no prompt any more; run `dvc repro` to read the file again.") from error


def _add(root: Path, source: str, tag: str) -> None:
    """Add a tag to a line that lacks it."""
    row = _row(root, source)
    tags = row.get("tags", [])
    if tag in tags:
        return
    name, _, number = source.rpartition(":")
    lines = (root / name).read_text(encoding="utf-8").split("\n")
    lines[int(number) - 1] = json.dumps({**row, "tags": [*tags, tag]}, ensure_ascii=False)
    write_bytes(root / name, "\n".join(lines).encode("utf-8"))
