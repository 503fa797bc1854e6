"""Labels of earlier tools: JSON of prompts' texts, and of each token whether it is evil."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from pipeline.labels.events import Event, TokenEvent, stamp
from pipeline.labels.heads import heads
from pipeline.text.lexicon import TokenLabel
from store.base.errors import UserError
from store.documents.prompts import Prompt
from store.documents.token_texts import tokenizer_fingerprint

_LABELS: Final[Mapping[object, TokenLabel]] = {True: "evil", False: "safe", "unsure": "unsure"}


class _Labelled(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    prompt: str
    tokens: dict[str, bool | Literal["unsure"]]


def imported(
    path: Path,
    author: str,
    *,
    prompts: Sequence[Prompt],
    candidates: Mapping[str, Sequence[int]],
    texts: Sequence[str],
    held: Sequence[Event],
) -> list[TokenEvent]:
    """Submitted events for the labels of a file; each replaces what the author said of that token before.

    Parameters
    ----------
    path
        JSON: a list of ``{"prompt": text, "tokens": {token text: true, false or "unsure"}}``; true is evil.
    candidates
        Token ids by prompt hash: only these have labels.
    texts
        The text of every token id.
    held
        All events that there are.

    Raises
    ------
    UserError
        The file has another form, a prompt is unknown, or a text is not that of one candidate: nothing is
        imported then.
    """
    try:
        rows = TypeAdapter(list[_Labelled]).validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; name a file of labels.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(f"{path} has no labels of the known form ({where}: {first['msg']}).") from error
    by_text = {prompt.text.strip(): prompt for prompt in prompts}
    fingerprint = tokenizer_fingerprint(texts)
    events = []
    for number, row in enumerate(rows, start=1):
        prompt = by_text.get(row.prompt.strip())
        if prompt is None:
            raise UserError(
                f"{path}, entry {number}: no prompt of the profile has this text; add it to a file of its "
                "prompts first."
            )
        for text, label in row.tokens.items():
            ids = [token for token in candidates.get(prompt.hash, ()) if texts[token] == text]
            if len(ids) != 1:
                raise UserError(
                    f"{path}, entry {number}: '{text}' is the text of {len(ids)} candidates of the prompt, "
                    "not of one; white space counts."
                )
            events.append(_event(author, prompt.hash, ids[0], text, fingerprint, _LABELS[label], held))
    return events


def _event(
    author: str,
    prompt_hash: str,
    token: int,
    text: str,
    tokenizer: str,
    label: TokenLabel,
    held: Sequence[Event],
) -> TokenEvent:
    before = [
        event.id
        for event in heads(held)
        if isinstance(event, TokenEvent)
        and (event.author, event.prompt_hash, event.text) == (author, prompt_hash, text)
    ]
    return TokenEvent.model_validate(
        {
            **stamp(author),
            "kind": "token",
            "state": "submitted",
            "prompt_hash": prompt_hash,
            "token": token,
            "text": text,
            "tokenizer": tokenizer,
            "label": label,
            "replaces": before,
            "comment": "imported",
        }
    )
