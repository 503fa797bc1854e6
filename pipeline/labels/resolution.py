"""Which label counts: every rater's labels of a prompt's candidates, the one that counts, and whose it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pipeline.labels.heads import PeoplesLabels, agreed
from pipeline.params.labels import Origin
from pipeline.text.lexicon import TokenLabel
from store.documents.verdicts import Verdict

LEXICON: Final = "lexicon"
HUMAN: Final = "human:"
"""Before an author's name, where people are raters."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """What raters say of one prompt.

    Attributes
    ----------
    human, judge
        By author or judge: labels by token id.
    lexicon
        Labels by token id.
    rejecting
        By author: whether they reject the prompt. Who says nothing is absent.
    unfit
        By judge: the rule that the prompt breaks, empty where it is fit; of those that judged it.
    """

    human: Mapping[str, Mapping[int, TokenLabel]]
    judge: Mapping[str, Mapping[int, TokenLabel]]
    lexicon: Mapping[int, TokenLabel]
    rejecting: Mapping[str, bool]
    unfit: Mapping[str, str]

    def raters(self) -> dict[str, Mapping[int, TokenLabel]]:
        """Every rater's labels by token id, by the names that are stored."""
        people = {f"{HUMAN}{author}": labels for author, labels in self.human.items()}
        return {LEXICON: self.lexicon, **self.judge, **people}


@dataclass(frozen=True, kw_only=True)
class Counted:
    """The label of one token that counts; `origin` is None where nobody labels it."""

    label: TokenLabel
    origin: Origin | None


def said_of(
    prompt_hash: str,
    lexicon: Mapping[int, TokenLabel],
    verdicts: Mapping[str, Mapping[str, Verdict]],
    people: PeoplesLabels,
) -> Said:
    """Collect what is said of a prompt. An answer without labels (a refusal, an outage) says nothing.

    Parameters
    ----------
    lexicon
        Labels by token id, of the prompt's domain.
    verdicts
        By judge and prompt hash.
    """
    judged = {
        judge: of[prompt_hash]
        for judge, of in verdicts.items()
        if prompt_hash in of and of[prompt_hash].status == "judged"
    }
    return Said(
        human={author: of[prompt_hash] for author, of in people.labels.items() if prompt_hash in of},
        judge={
            judge: {each.token: each.label for each in verdict.tokens} for judge, verdict in judged.items()
        },
        lexicon=lexicon,
        rejecting={author: of[prompt_hash] for author, of in people.rejections.items() if prompt_hash in of},
        unfit={judge: "" if verdict.fit else verdict.rule for judge, verdict in judged.items()},
    )


def counted(said: Said, token: int, order: Sequence[Origin]) -> Counted:
    """The first origin of `order` that labels a token decides; several people or judges who differ: unsure.

    >>> said = Said(human={}, judge={"a": {7: "evil"}}, lexicon={7: "safe"}, rejecting={}, unfit={})
    >>> counted(said, 7, ["human", "judge", "lexicon"])
    Counted(label='evil', origin='judge')
    """
    by_origin: dict[Origin, list[Mapping[int, TokenLabel]]] = {
        "human": [*said.human.values()],
        "judge": [*said.judge.values()],
        "lexicon": [said.lexicon],
    }
    for origin in order:
        given = [labels[token] for labels in by_origin[origin] if token in labels]
        if given:
            return Counted(label=agreed(given), origin=origin)
    return Counted(label="unlabelled", origin=None)


def rejected_by(said: Said, order: Sequence[Origin]) -> str:
    """Who finds the prompt unfit: the first origin of `order` that says whether it is; empty: it is fit.

    One person who rejects it is enough, and so is one judge; a person who labels it without rejecting it
    finds it fit.
    """
    for origin in order:
        if origin == "human" and (said.rejecting or said.human):
            return ", ".join(sorted(f"{HUMAN}{author}" for author, no in said.rejecting.items() if no))
        if origin == "judge" and said.unfit:
            return ", ".join(f"{judge} ({rule})" for judge, rule in sorted(said.unfit.items()) if rule)
    return ""
