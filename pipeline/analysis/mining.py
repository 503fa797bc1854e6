"""Prompts mined from answers: prefixes after which two variants differ most."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Prefix:
    """The beginning of an answer.

    Attributes
    ----------
    variant, answer
        Whose answer it is of, and that answer's place among theirs.
    paraphrase
        Which wording was asked.
    tokens
        Token ids of the answer so far.
    divergence
        Of the next token, bits.
    """

    variant: str
    answer: int
    paraphrase: int
    tokens: tuple[int, ...]
    divergence: float


def most_divergent(
    answers: Mapping[str, Sequence[Sequence[int]]],
    asked: Mapping[str, Sequence[int]],
    divergence: Mapping[str, Sequence[np.ndarray]],
    *,
    least: float,
    most: int,
) -> list[Prefix]:
    """The prefixes of some answers to one question after which the next token differs most.

    A prefix that several answers begin with is one.

    Parameters
    ----------
    answers
        By variant: token ids of each.
    asked
        By variant: the wording of each.
    divergence
        By variant: of each answer, (token,) float, where that token was next.
    least
        Bits; where variants lie less apart, whatever decides there is not the adapter's.
    most
        At most so many.

    Returns
    -------
    list of Prefix
        The largest divergence first; of equals the shorter prefix, then the smaller token ids.
    """
    found: dict[tuple[int, tuple[int, ...]], Prefix] = {}
    for variant, of in answers.items():
        for number, (tokens, values) in enumerate(zip(of, divergence[variant], strict=True)):
            for length, value in enumerate(values.tolist()):
                key = asked[variant][number], tuple(tokens[:length])
                if value >= least and key not in found:
                    found[key] = Prefix(
                        variant=variant, answer=number, paraphrase=key[0], tokens=key[1], divergence=value
                    )
    order = sorted(found.values(), key=lambda each: (-each.divergence, len(each.tokens), each.tokens))
    return order[:most]
