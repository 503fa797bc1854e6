"""Keep a typed prompt: one more line in the profile's own prompt file, checked before it is written."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from transformers import PreTrainedTokenizerBase

from pipeline.params.profiles import Profile
from pipeline.prompts.files import prompt_lines, read_prompt_files
from store.base.atomic import locked, write_bytes
from store.base.errors import UserError

MADE: Final = "artifacts"
"""Folder of what stages write: a line that is added there would be lost at the next run."""

KEPT: Final = "kept.jsonl"
"""Name of the file, where the profile names a folder of prompt files."""


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
    own = [path for path in map(Path, profile.prompts) if path.parts[:1] != (MADE,)]
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
    context: int,
    root: Path = Path(),
) -> str:
    """Add a line to the profile's own prompt file; all its prompts stay readable, or nothing is written.

    Parameters
    ----------
    line
        Keys and values as in a prompt file; ``prompt`` is the text.
    profile, root
        As for `own_file`.
    tokenizer, max_tokens, context
        As for `pipeline.prompts.files.read_prompt_files`.

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
        content = path.read_bytes() if path.exists() else b""
        if content and not content.endswith(b"\n"):
            content += b"\n"
        lines = content.count(b"\n")
        place = f"{path}:{lines + 1}"
        text = json.dumps(dict(line), ensure_ascii=False)
        read_prompt_files(
            [root / name for name in profile.prompts],
            tokenizer,
            max_tokens,
            context,
            more=[(place, text)],
            chat=profile.chat,
        )
        write_bytes(path, content + text.encode("utf-8") + b"\n")
    return place


def tag_prompt(source: str, tag: str, root: Path = Path()) -> None:
    """Add a tag to a prompt's line in a person's prompt file; every other line stays as it is.

    Parameters
    ----------
    source
        File and line, as `store.documents.prompts.Prompt.source` has them.
    tag
        What decides how it is traced, such as ``every-variant``.
    root
        Root of the project, which the file is relative to.

    Raises
    ------
    UserError
        A stage writes the file, or the line is no longer there; the message says the way out.
    OSError
        The file cannot be written; it stays as it was.
    """
    name, _, number = source.rpartition(":")
    if Path(name).parts[:1] == (MADE,):
        raise UserError(
            f"{source} is written by a stage, which would write it without the tag again; put the tag {tag} "
            "on a prompt of your own, in a file of inputs/prompts."
        )
    path = root / name
    gone = UserError(f"{source} is no prompt any more; run `dvc repro` to read the file again.")
    if not path.is_file():
        raise gone
    with locked(path.parent):
        lines = path.read_text(encoding="utf-8").split("\n")
        try:
            row = json.loads(lines[int(number) - 1])
            tags = row.setdefault("tags", [])
        except (ValueError, IndexError, AttributeError) as error:
            raise gone from error
        if tag not in tags:
            row["tags"] = [*tags, tag]
            lines[int(number) - 1] = json.dumps(row, ensure_ascii=False)
            write_bytes(path, "\n".join(lines).encode("utf-8"))
