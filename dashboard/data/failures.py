"""Prompts that stages could not compute, by stage."""

from pathlib import Path

import pandas as pd
import streamlit as st

from dashboard.data.project import artifact, fresh
from store.documents.failures import Failure, read_failures
from store.documents.token_texts import token_text
from store.remote.origins import listed


@st.cache_resource(max_entries=16, show_spinner=False)
def _read(path: str, key: str) -> tuple[Failure, ...]:
    return read_failures(Path(path))


def failures(profile: str) -> dict[str, tuple[Failure, ...]]:
    """Failures by stage; stages that have run without any, or not at all, are left out.

    Raises
    ------
    StoreError
        A file is damaged or of another version.
    """
    by_stage = {path.stem: fresh(path, _read) for path in listed(artifact(profile, "failures"), ".json")}
    return {stage: failed for stage, failed in by_stage.items() if failed}


def failures_of(profile: str, prompt_hash: str) -> dict[str, tuple[Failure, ...]]:
    """Failures of one prompt, by stage."""
    by_stage = {
        stage: tuple(each for each in failed if each.prompt_hash == prompt_hash)
        for stage, failed in failures(profile).items()
    }
    return {stage: failed for stage, failed in by_stage.items() if failed}


def failures_frame(by_stage: dict[str, tuple[Failure, ...]], vocabulary: list[str]) -> pd.DataFrame:
    """A row a failure: stage, prompt, variants, layer, position, token, reason.

    Parameters
    ----------
    by_stage
        As `failures` gives them.
    vocabulary
        Text of every token id; empty where it is not known, then ids stand for tokens.
    """
    rows = [
        (
            stage,
            each.prompt_hash,
            ", ".join(each.variants),
            each.layer,
            each.position,
            "" if each.token is None else token_text(vocabulary, each.token),
            each.reason,
        )
        for stage, failed in by_stage.items()
        for each in failed
    ]
    columns = ["stage", "prompt", "variants", "layer", "position", "token", "reason"]
    return pd.DataFrame(rows, columns=columns).astype({"layer": "Int64", "position": "Int64"})
