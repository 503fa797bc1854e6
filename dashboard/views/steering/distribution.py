"""What the Steering page shows of the next token's distribution."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pipeline.analysis.next_token import Mass, distribution_table, log_softmax, mass
from store.documents.token_texts import token_text

if TYPE_CHECKING:
    from pipeline.interventions.results import NextToken


def distribution_frame(
    result: "NextToken",
    *,
    vocabulary: Sequence[str],
    labels: Mapping[int, str],
    limit: int = 12,
    beside: np.ndarray | None = None,
) -> pd.DataFrame:
    """Before, after, the variant beside and the controls' band, of the most probable tokens on any side.

    Parameters
    ----------
    result
        What steering gives.
    vocabulary, labels
        Texts of all tokens, and labels by id.
    limit
        At most so many tokens.
    beside
        (token,) logits of another variant, unsteered; None: there is none.

    Returns
    -------
    pd.DataFrame
        Columns token, text, label, side (before, other, after), probability, low and high (the
        controls' band; NaN where they are too few, and on all sides but after).
    """
    frame = distribution_table(
        result.baseline_probability,
        result.steered_probability,
        result.control_probability,
        limit,
        None if beside is None else np.exp(log_softmax(beside)),
    )
    texts = [token_text(vocabulary, token) for token in frame["token"].to_list()]
    frame.insert(1, "text", texts)
    frame.insert(2, "label", [labels.get(token, "unlabelled") for token in frame["token"].to_list()])
    return frame


def mass_on(result: "NextToken", tokens: Sequence[int]) -> Mass:
    """Probability on some tokens: before, after, and the band of the controls."""
    return mass(result.baseline_probability, result.steered_probability, result.control_probability, tokens)
