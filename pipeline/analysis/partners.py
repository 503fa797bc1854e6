"""Where a behaviour's prompt is decided, and what its partner says in that place. No torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from store.documents.behaviour_prompts import BehaviourPrompt

NO_PARTNER: Final = "no partner"
UNEQUAL: Final = "unequal length"
OTHER_TOKENS: Final = "other tokens around"
"""Why nothing can be patched from a partner."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A prompt up to where its answers part.

    Attributes
    ----------
    prompt
        It.
    token_ids
        Of the prompt, and of the tokens that both answers begin with.
    tokens
        What follows: the right answer's token, and the wrong one's.
    source
        `token_ids` with the partner's span in place of its own; empty where that cannot be.
    unpaired
        Why it cannot; empty where it can.
    """

    prompt: BehaviourPrompt
    token_ids: tuple[int, ...]
    tokens: tuple[int, int]
    source: tuple[int, ...]
    unpaired: str


def decisions(prompts: Sequence[BehaviourPrompt]) -> list[Decision]:
    """Where each prompt is decided; partners are among the prompts."""
    known: dict[tuple[str, str], BehaviourPrompt] = {(one.behaviour, one.hash): one for one in prompts}
    return [_decision(one, known.get((one.behaviour, one.partner or ""))) for one in prompts]


def _decision(prompt: BehaviourPrompt, partner: BehaviourPrompt | None) -> Decision:
    shared = prompt.correct_ids[: prompt.shared]
    reason = _unpaired(prompt, partner)
    return Decision(
        prompt=prompt,
        token_ids=(*prompt.token_ids, *shared),
        tokens=(prompt.correct_ids[prompt.shared], prompt.incorrect_ids[prompt.shared]),
        source=() if reason or partner is None else (*partner.token_ids, *shared),
        unpaired=reason,
    )


def _unpaired(prompt: BehaviourPrompt, partner: BehaviourPrompt | None) -> str:
    """What forbids to patch position by position; empty: nothing does."""
    if partner is None:
        return NO_PARTNER
    start, stop = prompt.token_span
    if partner.token_span != prompt.token_span or len(partner.token_ids) != len(prompt.token_ids):
        return UNEQUAL
    around = [(one.token_ids[:start], one.token_ids[stop:]) for one in (prompt, partner)]
    return "" if around[0] == around[1] else OTHER_TOKENS


def told_few(found: Sequence[Decision], level: float) -> list[str]:
    """A sentence for each behaviour whose groups are so few that flips of their signs reach no such p."""
    sentences = []
    for name in dict.fromkeys(one.prompt.behaviour for one in found):
        n = len({one.prompt.group for one in found if one.prompt.behaviour == name})
        smallest = 2.0 ** (1 - n)
        if smallest > level:
            sentences.append(
                f"{name}: {n} groups of test prompts give no p below {smallest:.3g}, so that no feature by "
                "itself can be told to act; behaviours.test, or more words, give more groups"
            )
    return sentences


def told_unpaired(found: Sequence[Decision]) -> list[str]:
    """A sentence for each behaviour of which prompts are left out of patching."""
    sentences = []
    for name in dict.fromkeys(one.prompt.behaviour for one in found):
        mine = [one for one in found if one.prompt.behaviour == name]
        out = [one.unpaired for one in mine if one.unpaired]
        if out:
            why = ", ".join(f"{out.count(reason)} {reason}" for reason in dict.fromkeys(out))
            sentences.append(f"{name}: nothing is patched on {len(out)} of {len(mine)} prompts ({why})")
    return sentences
