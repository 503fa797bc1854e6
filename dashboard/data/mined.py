"""Beginnings of answers that were tried as prompts, as a frame, and what random adapters do beside them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from dashboard.data import documents, readers
from dashboard.data.project import artifact, made
from dashboard.style.text import share_interval, visible
from store.documents.questions import read_questions
from store.documents.token_texts import token_text
from store.schema.mining import MINING


def mined(profile: str) -> pd.DataFrame | None:
    """A row a prefix that was tried, those that decide most first; None where nothing was mined yet.

    Columns: pivotal, question, variant, divergence (bits), most, least (texts of tokens, '' where nothing is
    told), difference (of shares; NaN: not told), interval, text, is_text, domain, prompt_hash ('' where it is
    no prompt of the profile). Errors as of `readers.dataset`.
    """
    if not made(profile, MINING.kind):
        return None
    found = readers.dataset(profile, MINING.kind, "prefixes")
    vocabulary = documents.vocabulary(profile)
    asked = {each.hash: each for each in read_questions(artifact(profile, "questions.json"))}
    prompts = {prompt.text: prompt.hash for prompt in documents.prompts(profile).values()}
    of = [asked.get(str(each)) for each in found["question_hash"].values]
    frame = pd.DataFrame(
        {
            "pivotal": found["pivotal"].values,
            "question": [
                each.id if each else str(key)
                for each, key in zip(of, found["question_hash"].values, strict=True)
            ],
            "variant": found["variant"].values,
            "divergence": found["divergence"].values,
            **{
                name: [
                    visible(token_text(vocabulary, int(token))) if token >= 0 else ""
                    for token in found[name].values
                ]
                for name in ("most", "least")
            },
            "difference": found["difference"].values,
            "interval": [
                share_interval(low, high) if np.isfinite(low) else ""
                for low, high in zip(found["low"].values, found["high"].values, strict=True)
            ],
            "text": found["text"].values,
            "is_text": found["is_text"].values,
            "domain": [each.domain or "" if each else "" for each in of],
            "prompt_hash": [prompts.get(str(text), "") for text in found["text"].values],
        }
    )
    order = np.lexsort((-found["divergence"].values, -np.nan_to_num(found["difference"].values, nan=-1.0)))
    return frame.iloc[order].reset_index(drop=True)


def beside_nulls(profile: str) -> Mapping[str, Mapping[str, Any]]:
    """By random adapter: `places`, `largest_bits`, `reach_the_bar`, as stage `mining` counts them."""
    told: Mapping[str, Mapping[str, Any]] = readers.provenance(profile, MINING.kind).get("nulls", {})
    return told


def parameters(profile: str) -> Mapping[str, Mapping[str, Any]]:
    """Sections of ``params.yaml`` that the prefixes were mined by."""
    found: Mapping[str, Mapping[str, Any]] = readers.provenance(profile, MINING.kind).get("parameters", {})
    return found
