"""Which events hold: what no later event of their author replaces. Order follows `replaces`, not clocks."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.labels.events import Event, RejectionEvent, TokenEvent
from pipeline.text.lexicon import TokenLabel


def heads(events: Sequence[Event]) -> list[Event]:
    """Submitted events that no other submitted one replaces, be it by way of drafts.

    A draft that replaces a label does not take it away: it counts until the draft is submitted.
    """
    by_id = {event.id: event for event in events}
    replaced: set[str] = set()
    for event in events:
        if event.state != "submitted":
            continue
        open_ids, seen = list(event.replaces), set()
        while open_ids:
            one = open_ids.pop()
            if one in seen or one == event.id:
                continue
            seen.add(one)
            open_ids += by_id[one].replaces
        replaced |= seen
    return [event for event in events if event.state == "submitted" and event.id not in replaced]


@dataclass(frozen=True, kw_only=True)
class PeoplesLabels:
    """What people say now.

    Attributes
    ----------
    labels
        By author, prompt hash and token id; unsure where the author's own events contradict each other.
    rejections
        By author: prompt hashes, and whether they reject them.
    orphaned
        Labels of another tokenizer whose text is no single token here.
    """

    labels: Mapping[str, Mapping[str, Mapping[int, TokenLabel]]]
    rejections: Mapping[str, Mapping[str, bool]]
    orphaned: Sequence[TokenEvent] = field(default_factory=tuple)


def peoples_labels(events: Sequence[Event], *, tokenizer: str, texts: Sequence[str]) -> PeoplesLabels:
    """The labels that hold under a tokenizer.

    Parameters
    ----------
    events
        Of `pipeline.labels.journal.read_events`.
    tokenizer
        Its fingerprint.
    texts
        The text of every token id. A label of another tokenizer holds where exactly one id has its text.
    """
    held = heads(events)
    ids = _ids_by_text(texts)
    labels: dict[str, dict[str, dict[int, set[TokenLabel | None]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(set))
    )
    rejections: dict[str, dict[str, set[bool]]] = defaultdict(lambda: defaultdict(set))
    orphaned = []
    for event in held:
        if isinstance(event, RejectionEvent):
            rejections[event.author][event.prompt_hash].add(event.rejected)
        elif isinstance(event, TokenEvent):
            token = _token_here(event, tokenizer, ids)
            if token is not None:
                labels[event.author][event.prompt_hash][token].add(event.label)
            elif event.label is not None:
                orphaned.append(event)
    return PeoplesLabels(
        labels={
            author: {prompt: _settled(tokens) for prompt, tokens in prompts.items()}
            for author, prompts in labels.items()
        },
        # Who both rejects a prompt and does not has yet to settle it: it stays out.
        rejections={
            author: {prompt: any(said) for prompt, said in prompts.items()}
            for author, prompts in rejections.items()
        },
        orphaned=tuple(orphaned),
    )


def agreed(labels: Iterable[TokenLabel]) -> TokenLabel:
    """One label of several raters': theirs where they agree, else unsure; of none, unlabelled.

    >>> agreed(["evil", "evil"]), agreed(["evil", "safe"]), agreed([])
    ('evil', 'unsure', 'unlabelled')
    """
    distinct = set(labels)
    if not distinct:
        return "unlabelled"
    return distinct.pop() if len(distinct) == 1 else "unsure"


def _settled(tokens: Mapping[int, set[TokenLabel | None]]) -> dict[int, TokenLabel]:
    """A label that one head gives and another takes back is contradicted, too."""
    return {
        token: agreed("unsure" if label is None else label for label in said)
        for token, said in tokens.items()
        if said != {None}
    }


def localised(events: Sequence[Event], *, tokenizer: str, texts: Sequence[str]) -> list[Event]:
    """Events with a tokenizer's token ids, orphaned ones left out; parameters as of `peoples_labels`."""
    if all(event.tokenizer == tokenizer for event in events if isinstance(event, TokenEvent)):
        return list(events)
    ids = _ids_by_text(texts)
    found: list[Event] = []
    for event in events:
        if not isinstance(event, TokenEvent):
            found.append(event)
        elif (token := _token_here(event, tokenizer, ids)) is not None:
            found.append(event.model_copy(update={"token": token}))
    return found


def _token_here(event: TokenEvent, tokenizer: str, ids: Mapping[str, Sequence[int]]) -> int | None:
    if event.tokenizer == tokenizer:
        return event.token
    found = ids.get(event.text, ())
    return found[0] if len(found) == 1 else None


def _ids_by_text(texts: Sequence[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for token, text in enumerate(texts):
        found[text].append(token)
    return found
