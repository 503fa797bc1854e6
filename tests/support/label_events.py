"""Events of labels, for tests; and labels of which the lexicon's alone are known."""

from pathlib import Path
from typing import Any

from pipeline.labels.events import FeatureEvent, RejectionEvent, TokenEvent
from pipeline.labels.resolution import LEXICON
from store.datasets.groups import write_dataset
from store.schema.labels import LABELS
from tests.support.demo.labels import groups_of

PROMPT = "0123456789ab"
TOKENIZER = "here"
TEXTS = [" rest", " gamble", " bet", "", " rest2"]
_COUNTER = iter(range(10**6))


def _common(author: str, replaces: tuple[str, ...], state: str) -> dict[str, Any]:
    return {
        "id": f"{next(_COUNTER):032x}",
        "time": "2026-11-29T12:00:00Z",  # all alike: order never follows it
        "author": author,
        "state": state,
        "replaces": replaces,
        "tool": "test",
    }


def token_event(
    label: str | None = "evil",
    *,
    author: str = "Ada",
    token: int = 1,
    prompt: str = PROMPT,
    tokenizer: str = TOKENIZER,
    text: str | None = None,
    replaces: tuple[str, ...] = (),
    state: str = "submitted",
) -> TokenEvent:
    """A label of a token of `TEXTS`."""
    return TokenEvent.model_validate(
        {
            **_common(author, replaces, state),
            "kind": "token",
            "prompt_hash": prompt,
            "token": token,
            "text": TEXTS[token] if text is None else text,
            "tokenizer": tokenizer,
            "label": label,
        }
    )


def rejection(
    rejected: bool = True, *, author: str = "Ada", prompt: str = PROMPT, replaces: tuple[str, ...] = ()
) -> RejectionEvent:
    """A prompt is unfit, or is not."""
    return RejectionEvent.model_validate(
        {
            **_common(author, replaces, "submitted"),
            "kind": "rejection",
            "prompt_hash": prompt,
            "rejected": rejected,
        }
    )


def feature_name(name: str, *, author: str = "Ada") -> FeatureEvent:
    """A feature's name."""
    return FeatureEvent.model_validate(
        {
            **_common(author, (), "submitted"),
            "kind": "feature",
            "layer": 1,
            "feature": 7,
            "transcoders": "these",
            "name": name,
        }
    )


def write_lexicon_alone(folder: Path) -> None:
    """The LABELS dataset of a profile in which nobody labelled anything: the lexicon says what tokens are."""
    order = {"labels": {"order": ["human", "judge", "lexicon"]}}
    write_dataset(
        folder / LABELS.kind, LABELS, groups_of([], [], [LEXICON]), provenance={"parameters": order}
    )
