"""What variants can do, and the prompts that tell it, as frames."""

from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.data import by_behaviour
from dashboard.data.project import artifact, fresh
from dashboard.data.tables import level_words
from store.documents.behaviour_prompts import (
    BEHAVIOUR_PROMPTS,
    BehaviourPrompt,
    behaviours_in,
    read_behaviour_prompts,
)
from store.schema.behaviours import BEHAVIOURS

_TEXTS: Final = ("group", "prompt", "correct_answer", "incorrect_answer")
_NUMBERS: Final = ("difference", "decision", "correct", "incorrect")


@st.cache_resource(max_entries=8, show_spinner=False)
def _prompts(path: str, key: str) -> dict[str, BehaviourPrompt]:
    folder = Path(path)
    return {each.hash: each for each in read_behaviour_prompts(folder, behaviours_in(folder))}


def prompts(profile: str) -> dict[str, BehaviourPrompt]:
    """All prompts of behaviours by hash."""
    return fresh(artifact(profile, BEHAVIOUR_PROMPTS), _prompts)


def level(profile: str) -> str:
    """The intervals in words: ``95% interval``."""
    made = by_behaviour.provenances(profile, BEHAVIOURS.kind).values()
    # One for all, unless `params.yaml` was edited and only some of them were repeated.
    return " or ".join(dict.fromkeys(level_words(each, "behaviours") for each in made))


def summary(profile: str) -> pd.DataFrame:
    """How each variant does: a row a variant, behaviour and split (`all`: both) with anything measured.

    Columns are the arrays of the group `summary`.
    """
    frame = by_behaviour.dataset(profile, BEHAVIOURS.kind, "summary").to_dataframe().reset_index()
    return frame[frame["n"] > 0].reset_index(drop=True)


def unmeasured(profile: str) -> list[str]:
    """Behaviours that have prompts, and whose stage `baseline` has not run."""
    known = by_behaviour.dataset(profile, BEHAVIOURS.kind, "summary")["behaviour"].values
    return sorted({each.behaviour for each in prompts(profile).values()} - set(known))


def measured(profile: str) -> pd.DataFrame:
    """What each variant does on each prompt: a row a variant and prompt that was measured.

    Returns
    -------
    pd.DataFrame
        Columns variant, behaviour, split, group, prompt, correct_answer, incorrect_answer, difference,
        decision, correct, incorrect, success (the behaviour's threshold), succeeds, hash.
    """
    table = by_behaviour.dataset(profile, BEHAVIOURS.kind, "prompts")
    bars = by_behaviour.dataset(profile, BEHAVIOURS.kind, "summary")["success"].to_series()
    known = prompts(profile)
    hashes = table["prompt_hash"].values
    variants = table["variant"].values
    columns = {"variant": np.repeat(variants, len(hashes))}
    for name in ("behaviour", "split"):
        columns[name] = np.tile(table[name].values, len(variants))
    for name in _TEXTS:
        texts = [getattr(known[each], name) if each in known else "" for each in hashes]
        columns[name] = np.tile(np.array(texts, dtype=object), len(variants))
    columns |= {name: table[name].values.reshape(-1) for name in (*_NUMBERS, "succeeds")}
    columns["hash"] = np.tile(hashes, len(variants))
    frame = pd.DataFrame(columns)
    frame["success"] = frame["behaviour"].map(bars)
    return frame[frame["difference"].notna()].reset_index(drop=True)
