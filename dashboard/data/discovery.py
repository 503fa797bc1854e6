"""What finding prompts has come to, as its program has it on the disk now; and the file that stops it."""

from pathlib import Path

import pandas as pd
import streamlit as st

from dashboard.data.project import artifact, fresh, made
from store.base.atomic import write_text
from store.base.claims import is_claimed
from store.documents.discovery import DISCOVERY, ROUNDS, STOP, Discovery, read_discovery


@st.cache_resource(max_entries=4, show_spinner=False)
def _read(path: str, key: str) -> Discovery:
    return read_discovery(Path(path).parents[1])


def discovery(profile: str) -> Discovery | None:
    """All that is on the disk of it; None where nothing was looked for. Errors as of `read_discovery`."""
    path = artifact(profile, DISCOVERY) / ROUNDS
    return fresh(path, _read) if made(profile, f"{DISCOVERY}/{ROUNDS}") else None


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
