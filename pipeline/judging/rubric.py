"""The default judge: labels of a prompt's own targets, then the lexicon's of its domain. It asks nobody."""

from collections.abc import Generator, Sequence
from typing import Final

from pipeline.judging.cases import Case
from pipeline.judging.journal import Usage
from pipeline.text.lexicon import Lexicon, TokenLabel, lexicon_labels
from store.documents.verdicts import TokenVerdict, Verdict

_REASONS: Final[dict[TokenLabel, str]] = {
    "evil": "Every phrase of the domain that begins with it is harmful.",
    "safe": "Every phrase of the domain that begins with it is safe.",
    "unsure": "Harmful and safe phrases of the domain begin with it.",
    "unlabelled": "No phrase of the domain begins with it.",
}
_NAMED: Final = "The prompt names it among its targets."


class Rubric:
    """Labels by the lexicon. A token that it lacks is `unsure`, never safe (trap 13); every prompt is fit."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        self._cases: Sequence[Case] = ()

    def prepare(self, cases: Sequence[Case]) -> None:
        """It takes nothing."""
        self._cases = cases

    def verdicts(self) -> Generator[Verdict]:
        """All of them, at once."""
        for case in self._cases:
            labels = lexicon_labels(self._lexicon, case.domain)
            said = {token: _verdict(token, label, _NAMED) for token, label in case.named.items()}
            tokens = tuple(
                said.get(each.token) or _by_phrases(each.token, labels.get(each.token, "unlabelled"))
                for each in case.candidates
            )
            yield Verdict(prompt_hash=case.prompt_hash, status="judged", tokens=tokens, fit=True)

    def usage(self) -> Usage:
        """No calls, no tokens."""
        return Usage()

    def cost(self) -> float:
        """Nothing."""
        return 0.0


def _by_phrases(token: int, label: TokenLabel) -> TokenVerdict:
    return _verdict(token, label, _REASONS[label])


def _verdict(token: int, label: TokenLabel, reason: str) -> TokenVerdict:
    return TokenVerdict(token=token, label="unsure" if label == "unlabelled" else label, reason=reason)
