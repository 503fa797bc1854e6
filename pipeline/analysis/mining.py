"""Prompts mined from answers: prefixes after which two variants differ most, and which of them decide."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from pipeline.analysis.pivotality import Decision


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


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A prefix that was tried.

    Attributes
    ----------
    question
        Hash of the question that it begins to answer.
    prefix, decision
        What was tried, and what its rollouts say.
    rollouts
        What these are found by: the prompt hash of their item.
    n_forced
        Tokens that were forced.
    text, is_text
        Question and prefix as the model reads them, and whether that text has these token ids.
    """

    question: str
    prefix: Prefix
    decision: Decision
    rollouts: str
    n_forced: int
    text: str
    is_text: bool


def mined_table(tried: Sequence[Tried], least: float) -> xr.Dataset:
    """The group `prefixes` of the MINING dataset; `least` is the bar of `Decision.pivotal`."""
    words = {
        "prefix_hash": [each.rollouts for each in tried],
        "question_hash": [each.question for each in tried],
        "variant": [each.prefix.variant for each in tried],
        "text": [each.text for each in tried],
    }
    numbers: dict[str, tuple[list[Any], type]] = {
        "paraphrase": ([each.prefix.paraphrase for each in tried], np.int32),
        "answer": ([each.prefix.answer for each in tried], np.int32),
        "n_tokens": ([len(each.prefix.tokens) for each in tried], np.int32),
        "divergence": ([each.prefix.divergence for each in tried], np.float32),
        "n_forced": ([each.n_forced for each in tried], np.int32),
        "most": ([each.decision.most for each in tried], np.int32),
        "least": ([each.decision.least for each in tried], np.int32),
        "difference": ([each.decision.difference for each in tried], np.float64),
        "low": ([each.decision.low for each in tried], np.float64),
        "high": ([each.decision.high for each in tried], np.float64),
        "pivotal": ([each.decision.pivotal(least) for each in tried], np.bool_),
        "is_text": ([each.is_text for each in tried], np.bool_),
    }
    return xr.Dataset(
        {name: ("prefix", np.array(values, dtype=object)) for name, values in words.items()}
        | {name: ("prefix", np.array(values, dtype)) for name, (values, dtype) in numbers.items()}
    )


def mining_summary(found: xr.Dataset) -> dict[str, int]:
    """Metrics: prefixes that were tried, are told, are pivotal, and can become prompts."""
    pivotal = found["pivotal"].values
    return {
        "prefixes": int(found.sizes["prefix"]),
        "told": int(np.isfinite(found["difference"].values).sum()),
        "pivotal": int(pivotal.sum()),
        "prompts": int((pivotal & found["is_text"].values).sum()),
    }
