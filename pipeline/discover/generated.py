"""Prompts that were found, as lines of a prompt file: inputs like any other, with their origin."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pipeline.params.profiles import Profile
from pipeline.prompts.files import prompt_lines
from pipeline.prompts.keep import add_line, made_by_a_stage
from store.base.errors import UserError
from store.documents.discovery import Begun, Draft, Outcome

GENERATED: Final = "generated.jsonl"
TAG: Final = "generated"
"""Of every prompt that was found: `features.tag` can then rank on them alone."""


def generated_file(profile: Profile, root: Path = Path()) -> Path:
    """The file that found prompts go to: `GENERATED` in the last folder of prompts that a person keeps.

    Raises
    ------
    UserError
        The profile reads no such folder, and not that file by its name.
    """
    own = [Path(source) for source in profile.prompts if not made_by_a_stage(source)]
    for source in reversed(own):
        if source.name == GENERATED:
            return root / source
        if source.suffix != ".jsonl":
            return root / source / GENERATED
    raise UserError(
        "The profile's `prompts` in params.yaml name no folder of your own, so that prompts that are found "
        "would not be read; add `inputs/prompts`."
    )


def content_line(draft: Draft) -> dict[str, Any]:
    """A draft as a line of a prompt file, without its origin."""
    line = {
        **draft.content(),
        "situation": draft.situation,
        "domain": draft.domain,
        "held_out": draft.held_out,
    }
    return {key: value for key, value in line.items() if value is not None}


def keep(outcome: Outcome, begun: Begun, path: Path) -> None:
    """Add a prompt that is fit to the file, unless it is there."""
    if outcome.draft is None or (path.exists() and outcome.draft.content() in _contents(path)):
        return
    origin: Mapping[str, Any] = {
        "generator": begun.generator,
        "round": begun.number,
        "kind": begun.kind,
        **({"request": begun.request} if begun.request else {}),
    }
    add_line(path, {**content_line(outcome.draft), "tags": [TAG], "origin": origin})


def _contents(path: Path) -> list[dict[str, Any]]:
    keys = {"prompt", "messages"}
    return [line.model_dump(include=keys, exclude_none=True) for _, line in prompt_lines([path])]
