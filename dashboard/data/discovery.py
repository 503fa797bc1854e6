"""What finding prompts has come to, as its program has it on the disk now; and the file that stops it."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import streamlit as st

from dashboard.data import documents
from dashboard.data.project import artifact, fresh, made, stamp
from pipeline.labels.candidates import Own
from store.base.atomic import write_text
from store.base.claims import is_claimed
from store.base.errors import StoreError
from store.documents.discovery import DISCOVERY, ROUNDS, STOP, Discovery, Outcome, read_discovery
from store.documents.prompts import Prompt
from store.documents.token_texts import token_text, tokenizer_fingerprint
from store.documents.verdicts import Verdict


@st.cache_resource(max_entries=4, show_spinner=False)
def _read(path: str, key: str) -> Discovery:
    return read_discovery(Path(path).parents[1])


def discovery(profile: str) -> Discovery | None:
    """All that is on the disk of it; None where nothing was looked for. Errors as of `read_discovery`."""
    path = artifact(profile, DISCOVERY) / ROUNDS
    return fresh(path, _read) if made(profile, f"{DISCOVERY}/{ROUNDS}") else None


class Arrived(NamedTuple):
    """A prompt that was found, with its candidates by variant and what judges said of it."""

    prompt: Prompt
    own: Own
    verdicts: Mapping[str, Verdict]


@st.cache_resource(max_entries=4, show_spinner=False)
def _arrived(profile: str, key: str) -> dict[str, Arrived]:
    try:
        found, texts = discovery(profile), documents.vocabulary(profile)
    except StoreError:  # who asks what was found is told why that is not known; labelling goes on
        return {}
    tokenizer, fit = tokenizer_fingerprint(texts), found.fit if found is not None else []
    made_here = {
        outcome.prompt_hash: _as_arrived(outcome, texts)
        for outcome in fit
        if outcome.prompt is not None and outcome.prompt.tokenizer == tokenizer
    }
    return {prompt: each for prompt, each in made_here.items() if each is not None}


def _as_arrived(outcome: Outcome, texts: list[str]) -> Arrived | None:
    draft, made_of = outcome.draft, outcome.prompt
    if draft is None or made_of is None:
        return None
    prompt = Prompt(
        hash=outcome.prompt_hash,
        name=outcome.prompt_hash,
        situation=draft.situation or outcome.prompt_hash,
        domain=draft.domain,
        held_out=draft.held_out,
        tags=(),
        text=made_of.text,
        token_ids=made_of.token_ids,
        tokens=tuple(token_text(texts, token) for token in made_of.token_ids),
        source=f"round {outcome.round} of {DISCOVERY}",
    )
    return Arrived(prompt, outcome.own(), outcome.verdicts)


def arrived(profile: str) -> Mapping[str, Arrived]:
    """Fit prompts by hash, whether stages have read them yet or not.

    Those of another tokenizer are left out, and those of records that keep no token ids. Where the records,
    or the token texts, cannot be read there are none.
    """
    parts = (artifact(profile, DISCOVERY) / ROUNDS, artifact(profile, "vocabulary.json"))
    return _arrived(profile, "-".join(map(stamp, parts)))


def drafts(found: Discovery) -> pd.DataFrame:
    """A row a draft that has come to something, in order.

    Columns: round, place, generator, kind, status, rule, detail, divergent, evil, safe (candidates), domain,
    situation, prompt_hash, text.
    """
    rows = []
    for (number, place), outcome in sorted(found.outcomes.items()):
        begun, draft = found.begun[number], outcome.draft
        said = [label for _, label in outcome.labels]
        rows.append(
            {
                "round": number,
                "place": place,
                "generator": begun.generator,
                "kind": begun.kind,
                "status": outcome.status,
                "rule": outcome.rule,
                "detail": outcome.detail,
                "divergent": outcome.divergent,
                "evil": said.count("evil"),
                "safe": said.count("safe"),
                "domain": (draft.domain if draft else None) or "",
                "situation": (draft.situation if draft else None) or "",
                "prompt_hash": outcome.prompt_hash,
                "text": "\n".join(draft.words()) if draft else "",
            }
        )
    return pd.DataFrame(rows)


def runs(profile: str) -> bool:
    """Whether a program looks for prompts of the profile just now, on this machine."""
    return is_claimed(artifact(profile, DISCOVERY))


def stops(profile: str) -> bool:
    """Whether it was asked to stop."""
    return made(profile, f"{DISCOVERY}/{STOP}")


def stop(profile: str) -> None:
    """Ask it to stop before its next step."""
    write_text(artifact(profile, DISCOVERY) / STOP, "")
