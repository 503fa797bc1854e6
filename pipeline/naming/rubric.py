"""Naming by rule: a feature is called after the token on which it fires most often. It asks nobody."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence

from pipeline.judging.journal import Usage
from pipeline.naming.answers import NamingAnswer
from pipeline.naming.cases import FeatureCase
from pipeline.naming.protocol import Claim


def called_after(token: str) -> str:
    """The name of a feature that fires on a token: its letters, in whichever case, else the token itself.

    >>> called_after(" Gamble"), called_after(chr(10))
    ('fires on "gamble"', 'fires on "\\\\n"')
    """
    word = token.strip().casefold() or token
    return f"fires on {json.dumps(word, ensure_ascii=False)}"


class RubricNamer:
    """Names by the most common peak of the contexts that are shown, and predicts that the token is the same.

    It understands nothing: features of one token get a name that holds, those of a meaning, or of a token in
    certain surroundings, one that its score shows to be wrong.
    """

    def __init__(self) -> None:
        self._cases: Sequence[FeatureCase] = ()

    def prepare(self, cases: Sequence[FeatureCase]) -> None:
        """It takes nothing."""
        self._cases = cases

    def names(self) -> list[NamingAnswer]:
        """All of them, at once."""
        return [
            NamingAnswer(status="judged", name=_most_common(shown.tokens[shown.peak] for shown in case.shown))
            for case in self._cases
        ]

    def predictions(self, claims: Sequence[Claim]) -> list[NamingAnswer]:
        """A feature of that name fires where its token would be given it."""
        return [
            NamingAnswer(status="judged", fires=tuple(called_after(each.token) == name for each in contexts))
            for name, contexts in claims
        ]

    def usage(self) -> Usage:
        """No calls, no tokens."""
        return Usage()

    def cost(self) -> float:
        """Nothing."""
        return 0.0


def _most_common(peaks: Iterable[str]) -> str:
    # Of equally common ones the first, whose context is the strongest.
    ((name, _),) = Counter(map(called_after, peaks)).most_common(1)
    return name
