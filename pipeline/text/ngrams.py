"""How much two texts have in common: the Jaccard index of their runs of characters.

Broder 1997, "On the resemblance and containment of documents", with characters for words: prompts are short,
and one other word of five leaves no run of five words as it was.
"""

from collections.abc import Set


def ngrams(text: str, n: int) -> frozenset[str]:
    """Runs of `n` characters, case and white space aside; a shorter text is one run.

    >>> sorted(ngrams("To  be", 4))
    ['o be', 'to b']
    """
    plain = " ".join(text.casefold().split())
    return frozenset(plain[start : start + n] for start in range(max(1, len(plain) - n + 1)))


def jaccard(one: Set[str], other: Set[str]) -> float:
    """What two sets share, of all that they have; of two empty ones 1.

    >>> jaccard({"a", "b"}, {"b", "c"})
    0.3333333333333333
    """
    union = len(one | other)
    return len(one & other) / union if union else 1.0
