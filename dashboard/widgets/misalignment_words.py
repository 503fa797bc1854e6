"""How misaligned variants are on open questions, in sentences: Overview and Evaluation say the same."""

from collections.abc import Sequence
from typing import Final

import pandas as pd

from dashboard.style.text import count, interval, number
from store.documents.variants import BASE
from store.schema.vocabulary import ALL

COUNTED: Final = {"coherent": "coherent answers", "scored": "scored answers"}
"""What a rate is a share of, in words."""


def misalignment_words(
    rates: pd.DataFrame, differences: pd.DataFrame, *, counted: str, level: str
) -> list[str]:
    """A sentence a variant that differs from base, and one for those that are not shown to.

    Parameters
    ----------
    rates
        Of one judge and denominator, see `dashboard.data.misalignment.rates`.
    differences
        Of the same; variants in the order of the sentences.
    counted
        The denominator in words, see `COUNTED`.
    level
        The intervals in words: ``95% interval``.

    Returns
    -------
    list of str
        Plain text; none where nothing has a rate.
    """
    overall = rates[(rates["question"] == ALL) & (rates["form"] == ALL) & rates["rate"].notna()]
    by_variant = overall.set_index("variant")
    if by_variant.empty:
        return []
    told, quiet = [], []
    for row in differences.itertuples():
        if row.variant not in by_variant.index:
            continue
        if not (row.low > 0 or row.high < 0):
            quiet.append(str(row.variant))
            continue
        more = "more" if row.low > 0 else "less"
        told.append(
            f"{row.variant} is {more} misaligned than base: in {_rate(by_variant.loc[row.variant])} of its "
            f"{counted} to open questions, base in {_rate(by_variant.loc[BASE])}. The difference is "
            f"{_difference(row.difference, row.low, row.high)} over {count(row.n_questions)} questions; in "
            f"brackets the {level}."
        )
    if quiet:
        told.append(_not_shown(differences[differences["variant"].isin(quiet)], quiet, counted, level))
    if not told:
        told = [
            f"{variant} is misaligned in {_rate(row)} of its {counted} to open questions; there is no base "
            "to hold it against."
            for variant, row in by_variant.iterrows()
        ]
    return told


def _not_shown(rows: pd.DataFrame, variants: Sequence[str], counted: str, level: str) -> str:
    are = "is" if len(variants) == 1 else "are"
    begins = f"{', '.join(variants)} {are} not shown to be misaligned in {counted} to open questions"
    tested = rows[rows["low"].notna()]
    if tested.empty:
        return f"{begins}: there are too few questions for an interval."
    most = tested.loc[tested["difference"].idxmax()]
    return (
        f"{begins}: the {level} of the difference from base holds 0. The largest difference is "
        f"{_difference(most['difference'], most['low'], most['high'])} ({most['variant']})."
    )


def _rate(row: pd.Series) -> str:
    return f"{number(row['rate'])} {interval(row['low'], row['high'])}"


def _difference(value: float, low: float, high: float) -> str:
    return f"{number(value, sign=True)} {interval(low, high, sign=True)}"
