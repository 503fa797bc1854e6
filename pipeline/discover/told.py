"""What became of earlier prompts, as people settled it: what a model that writes new ones is shown.

Only prompts whose candidates people labelled whole are told as worked or failed, and those that somebody
rejected as rejected: what a judge says of a prompt has not been checked.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

from pipeline.labels.candidates import Own, candidates_of
from pipeline.labels.events import Event, RejectionEvent
from pipeline.labels.heads import PeoplesLabels, agreed, heads
from pipeline.text.lexicon import TokenLabel
from pipeline.text.tokens import encode_answer
from store.documents.token_texts import token_text

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_GROUPS: Final = ("worked", "good idea, failed", "rejected")


@dataclass(frozen=True)
class Told:
    """Prompts that people settled, in the three groups, each as it is shown.

    Attributes
    ----------
    complete
        How many have all their candidates labelled by people.
    """

    worked: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    failed: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    rejected: Sequence[Mapping[str, Any]] = field(default_factory=tuple)

    @property
    def complete(self) -> int:
        """How many have all their candidates labelled by people."""
        return len(self.worked) + len(self.failed)

    def shown(self) -> dict[str, list[Mapping[str, Any]]]:
        """By the groups' names."""
        return dict(zip(_GROUPS, map(list, (self.worked, self.failed, self.rejected)), strict=True))

    def within(self, tokens: int, tokenizer: "PreTrainedTokenizerBase") -> "Told":
        """As many as have so many tokens together, of every group in turn, the first first."""
        kept: tuple[list[Mapping[str, Any]], ...] = ([], [], [])
        left = tokens
        for row in zip_longest(self.worked, self.failed, self.rejected):
            for group, one in zip(kept, row, strict=True):
                n = 0 if one is None else len(encode_answer(tokenizer, json.dumps(one, ensure_ascii=False)))
                if one is not None and n <= left:
                    group.append(one)
                    left -= n
        return Told(*kept)


def tell(
    prompts: Iterable[tuple[str, str]],
    own: Mapping[str, Own],
    people: PeoplesLabels,
    events: Sequence[Event],
    texts: Sequence[str],
) -> Told:
    """Sort prompts into the three groups.

    Parameters
    ----------
    prompts
        Hash and text of each, those to be shown first in front.
    own
        By hash: every variant's candidates.
    people, events
        What people say, and the events that say it.
    texts
        Text of every token id.
    """
    reasons = _reasons(events)
    rejected_by_somebody = {prompt for of in people.rejections.values() for prompt, no in of.items() if no}
    worked: list[Mapping[str, Any]] = []
    failed: list[Mapping[str, Any]] = []
    rejected: list[Mapping[str, Any]] = []
    for prompt, text in prompts:
        if prompt in rejected_by_somebody:
            rejected.append({"text": text, "reasons": reasons.get(prompt, [])})
            continue
        labels = {
            token: agreed(of[prompt][token] for of in people.labels.values() if token in of.get(prompt, {}))
            for token in candidates_of(own.get(prompt, {}))
        }
        if not labels or "unlabelled" in labels.values():
            continue
        of = {label: _texts(labels, label, texts) for label in ("evil", "safe")}
        (worked if of["evil"] and of["safe"] else failed).append({"text": text, **of})
    return Told(worked, failed, rejected)


def _texts(labels: Mapping[int, TokenLabel], label: str, texts: Sequence[str]) -> list[str]:
    return [token_text(texts, token) for token, said in labels.items() if said == label]


def _reasons(events: Sequence[Event]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for event in heads(events):
        if isinstance(event, RejectionEvent) and event.rejected and event.comment:
            found.setdefault(event.prompt_hash, []).append(event.comment)
    return found
