"""Prompts that a person types: made as the pipeline makes its own, and kept for it."""

from collections.abc import Mapping
from pathlib import Path

import streamlit as st

from dashboard.data import project
from dashboard.live.models import EMPTY, NotLiveError, explained, params, pool
from store.documents.prompts import Prompt


def prompt(profile: str, text: str, domain: str | None) -> Prompt:
    """A typed prompt with the hash and the token ids that the pipeline would give it.

    Raises
    ------
    NotLiveError
        The text is empty, too long or no Unicode; or no model is here.
    """
    if not text.strip():
        raise NotLiveError(EMPTY)
    with st.spinner("Loading torch and the tokenizer", show_time=True):
        models = pool(profile)
        with explained():
            from pipeline.live import typed_prompt

            return typed_prompt(
                text,
                domain=domain,
                tokenizer=models.tokenizer,
                max_tokens=params().prompts.max_tokens,
                manifest=models.manifest,
            )


def place(profile: str, text: str) -> tuple[Path, str | None]:
    """The file that kept prompts go to, and where a text stands already: file and line, or None.

    Raises
    ------
    NotLiveError
        ``params.yaml`` or a prompt file is missing or malformed.
    """
    parameters = params()
    with explained():
        from pipeline.live import own_file, written_at

        chosen = parameters.profile(profile)
        at = written_at(chosen, text, project.root())
        return own_file(chosen, project.root()), at and at.removeprefix(f"{project.root()}/")


def every_variant_tag() -> str:
    """The tag of prompts that every adapter is traced on; errors as `place`."""
    return params().graphs.every_variant_tag


def dose_tag() -> str:
    """The tag of prompts that are traced at several scales; errors as `place`."""
    return params().dose.tag


def tag(profile: str, source: str, name: str) -> str:
    """Give a stored prompt a tag, on its line or, where a stage writes that, on one of a person's.

    Returns file and line that has it.

    Raises
    ------
    NotLiveError
        The line is no longer there, or the profile has no prompt file of a person's.
    OSError
        The file cannot be written.
    """
    parameters = params()
    with explained():
        from pipeline.live import tag_prompt

        return tag_prompt(source, name, parameters.profile(profile), project.root())


def keep(profile: str, line: Mapping[str, str | list[str]]) -> None:
    """Add a line to the profile's own prompt file.

    Raises
    ------
    NotLiveError
        The pipeline would refuse it, or no model is here.
    OSError
        The file cannot be written.
    """
    models = pool(profile)
    parameters = params()
    with explained():
        from pipeline.live import keep_prompt

        keep_prompt(
            line,
            parameters.profile(profile),
            tokenizer=models.tokenizer,
            max_tokens=parameters.prompts.max_tokens,
            manifest=models.manifest,
            root=project.root(),
        )
