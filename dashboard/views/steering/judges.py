"""Who says what a continuation is: the phrases of its domain; of an open question, the judge of answers."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Final, Protocol

import numpy as np

from dashboard.data import documents, project
from dashboard.data.open_prompts import Asked, asked
from dashboard.live import open_answers
from dashboard.live.open_answers import LiveJudge
from dashboard.style.text import count, percent, plain, share_interval
from pipeline.analysis.answer_kinds import COHERENT_KINDS, answer_kinds
from pipeline.analysis.intervals import wilson_interval
from pipeline.text.lexicon import classify, classify_so_far

NOT_LABELLED: Final = "Not labelled: the prompt's domain has no lexicon."
_CONFIDENCE: Final = 0.95

Verdicts = dict[str, list[dict[str, str | float]]]
"""By side what each text is: its outcome, and scores where there are any."""
Progress = Callable[[str, float], None]


class Judge(Protocol):
    """Says what texts are.

    Attributes
    ----------
    identity
        Of another judge, or another question, other verdicts.
    """

    identity: Hashable

    def so_far(self, texts: Sequence[str], ended: Sequence[bool]) -> list[str]:
        """Outcomes of texts that grow; ``unlabelled`` where that is not yet known."""

    def verdicts(self, sides: Mapping[str, Sequence[str]], progress: Progress) -> Verdicts:
        """Of whole texts.

        Raises
        ------
        NotLiveError
            The judge cannot go on.
        """

    def told(self, names: Mapping[str, str], verdicts: Verdicts) -> tuple[str, str]:
        """Shares in words by side, and what they rest on."""


def judge_of(profile: str, token_ids: Sequence[int], text: str, domain: str | None) -> Judge:
    """The judge of answers where the prompt asks an open question and one may be asked, else phrases.

    Raises
    ------
    NotLiveError
        ``params.yaml`` is missing or malformed.
    """
    question = asked(profile, token_ids, text, domain)
    judge = open_answers.find_judge(profile) if question is not None else None
    if question is not None and judge is not None:
        return OfAnswers(judge, question)
    phrases = None
    if project.made(profile, "lexicon.json"):
        labelled = documents.lexicon(profile)["domains"].get(domain or "")
        phrases = None if labelled is None else labelled["phrases"]
    return OfPhrases(domain, phrases)


class OfPhrases:
    """By the phrases of a domain that a continuation begins with; of none it is unlabelled."""

    def __init__(self, domain: str | None, phrases: Mapping[str, Sequence[str]] | None) -> None:
        self.identity: Hashable = ("phrases", domain)
        self._phrases = phrases

    def so_far(self, texts: Sequence[str], ended: Sequence[bool]) -> list[str]:
        """Said as soon as nothing that follows can change it."""
        if not self._phrases:
            return ["unlabelled"] * len(texts)
        return [
            classify(text, self._phrases) if done else classify_so_far(text, self._phrases) or "unlabelled"
            for text, done in zip(texts, ended, strict=True)
        ]

    def verdicts(self, sides: Mapping[str, Sequence[str]], progress: Progress) -> Verdicts:
        """Outcomes of whole texts."""
        return {
            side: [{"outcome": outcome} for outcome in self.so_far(texts, [True] * len(texts))]
            for side, texts in sides.items()
        }

    def told(self, names: Mapping[str, str], verdicts: Verdicts) -> tuple[str, str]:
        """How many are harmful."""
        if not self._phrases:
            return NOT_LABELLED, ""
        shares = [
            _share(names[side], [each["outcome"] == "harmful" for each in of])
            for side, of in verdicts.items()
        ]
        return (
            f"Harmful: {plain('; '.join(shares))}.",
            "By the phrases of the prompt's domain that a continuation starts with; Wilson's interval of "
            f"{percent(_CONFIDENCE)}. All sides are drawn with the same random numbers.",
        )


class OfAnswers:
    """As the evaluation scores answers to open questions: the whole text is read."""

    def __init__(self, judge: LiveJudge, question: Asked) -> None:
        about = question.question
        self.identity: Hashable = ("answers", judge.name, about.hash, about.domain, question.wording)
        self._judge, self._question = judge, question

    def so_far(self, texts: Sequence[str], ended: Sequence[bool]) -> list[str]:
        """Of texts that have ended, by a judge who asks nobody; the others wait."""
        found = ["unlabelled"] * len(texts)
        whole = [place for place, done in enumerate(ended) if done and self._judge.at_once]
        if whole:
            for place, each in zip(whole, self._scored([texts[place] for place in whole]), strict=True):
                found[place] = str(each["outcome"])
        return found

    def verdicts(self, sides: Mapping[str, Sequence[str]], progress: Progress) -> Verdicts:
        """Kind and both scores of every text, side by side."""
        found: Verdicts = {}
        for number, (side, texts) in enumerate(sides.items()):
            progress(f"{self._judge.name} reads the answers", number / len(sides))
            found[side] = self._scored(texts)
        return found

    def told(self, names: Mapping[str, str], verdicts: Verdicts) -> tuple[str, str]:
        """How many of the coherent ones are misaligned, and how many are not coherent."""
        shares = []
        for side, of in verdicts.items():
            kinds = [each["outcome"] for each in of]
            coherent = [kind == "misaligned" for kind in kinds if kind in COHERENT_KINDS]
            rest = f", {count(len(kinds) - len(coherent))} incoherent or unscored"
            shares.append(_share(names[side], coherent) + (rest if len(coherent) < len(kinds) else ""))
        limits = self._judge.thresholds
        return (
            f"Misaligned, of coherent answers by {plain(self._judge.name)}: {plain('; '.join(shares))}.",
            f"The prompt asks an open question (“{plain(self._question.wording)}”), and its answers are "
            "scored as Evaluation's are: misaligned is aligned below "
            f"{limits.misaligned_below:g} and coherent above {limits.coherent_above:g}, both strict. "
            f"Wilson's interval of {percent(_CONFIDENCE)}, of these answers to this one question. One that "
            f"was cut is read as it stands; Evaluation's have up to {count(self._judge.longest)} tokens.",
        )

    def _scored(self, texts: Sequence[str]) -> list[dict[str, str | float]]:
        aligned, coherent = open_answers.score(self._judge, self._question, texts)
        limits = self._judge.thresholds.model_dump(
            include={"misaligned_below", "coherent_above", "aligned_above"}
        )
        kinds: np.ndarray = answer_kinds(aligned, coherent, **limits)
        return [
            {"outcome": str(kind), "aligned": float(a), "coherent": float(c)}
            for kind, a, c in zip(kinds, aligned, coherent, strict=True)
        ]


def _share(name: str, counted: Sequence[bool]) -> str:
    if not counted:
        return f"{name} none to count"
    events = sum(counted)
    bounds = share_interval(*wilson_interval(events, len(counted), _CONFIDENCE))
    return f"{name} {percent(events / len(counted))} {bounds} ({count(events)} of {count(len(counted))})"
