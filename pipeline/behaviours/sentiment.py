"""Sentiment: the verdict that follows from a reason."""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Annotated, Final

from pydantic import Field, field_validator, model_validator

from pipeline.behaviours.protocol import (
    Behaviour,
    Draft,
    Material,
    Tools,
    Word,
    Words,
    equally_long,
    fill,
    require_slots,
)

_REASON: Final = "reason"
Opposites = Annotated[list[Word], Field(min_length=2, max_length=2)]


class SentimentMaterial(Material):
    """Reasons, a good one and a bad one each; things, intensifiers, and verdicts of both sides."""

    reasons: Annotated[list[Opposites], Field(min_length=2, max_length=10_000)]
    things: Words
    stress: Words
    good: Words
    bad: Words

    @field_validator("templates")
    @classmethod
    def _has_a_reason(cls, templates: list[str]) -> list[str]:
        require_slots(templates, [_REASON], ["thing", "stress"])
        return templates

    @model_validator(mode="after")
    def _sides_differ(self) -> "SentimentMaterial":
        both = set(self.good) & set(self.bad)
        if both:
            raise ValueError(f"'{min(both)}' is a good verdict and a bad one; delete one of the two")
        for good, bad in self.reasons:
            if good == bad:
                raise ValueError(f"the reason '{good}' is its own opposite; write the other side")
        return self


def twins(reasons: Sequence[Sequence[str]], length: Callable[[str], int]) -> list[tuple[str, str]]:
    """Good reasons, each with a bad one: its own if that is as long in tokens, else another that is.

    Partners can be patched position by position only where both are as long. Good ones for which none is
    left take what is left of the bad, in order.
    """
    found = {good: bad for good, bad in reasons if length(good) == length(bad)}
    waiting = [bad for good, bad in reasons if good not in found]
    for good in (good for good, _ in reasons if good not in found):
        fits = next((bad for bad in waiting if length(bad) == length(good)), None)
        if fits is not None:
            waiting.remove(fits)
            found[good] = fits
    rest = iter(waiting)
    return [(good, found[good] if good in found else next(rest)) for good, _ in reasons]


def _drafts(material: SentimentMaterial, tools: Tools) -> list[Draft]:
    found = []
    rivals = equally_long(list(product(material.good, material.bad)), tools.length)
    for pair in twins(material.reasons, tools.length):
        for template in material.templates:
            for thing in material.things:
                for stress in material.stress:
                    verdicts = tools.rng.choice(rivals)
                    for side, reason, (right, wrong) in (
                        ("positive", pair[0], verdicts),
                        ("negative", pair[1], verdicts[::-1]),
                    ):
                        words = {_REASON: reason, "thing": thing, "stress": stress}
                        prompt, span = fill(template, words, [_REASON])
                        found.append(
                            Draft(
                                prompt=prompt,
                                span=span,
                                correct=f" {right}",
                                incorrect=f" {wrong}",
                                group=pair[0],
                                template=template,
                                bundle=f"{template}|{pair[0]}|{thing}|{stress}",
                                metadata={"side": side},
                            )
                        )
    return found


SENTIMENT: Final = Behaviour(name="sentiment", group="reason", material=SentimentMaterial, drafts=_drafts)
