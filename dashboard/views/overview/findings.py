"""What the rates say, in sentences: which variant is more harmful than base, and which is not shown to be."""

from collections.abc import Sequence

import pandas as pd

from dashboard.style.text import interval, number
from store.schema.vocabulary import ALL


def findings(differences: pd.DataFrame, level: str) -> list[str]:
    """A sentence a variant that differs from base somewhere, and one for all the others.

    Parameters
    ----------
    differences
        Of the harmful rate, of one split, as `pipeline.analysis.paired_rates.differences` gives
        them; variants in the order of the sentences.
    level
        The intervals in words: ``95% interval``.

    Returns
    -------
    list of str
        Plain text. A domain counts where the whole interval of the difference is above 0.
    """
    if differences.empty:
        return []
    (held_out,) = differences["held_out"].unique()
    where = "held-out situations" if held_out else "seen situations"
    by_domain = differences[differences["domain"] != ALL]
    sentences, quiet = [], []
    for variant, rows in by_domain.groupby("variant", sort=False):
        harmed = rows[rows["low"] > 0].sort_values("difference", ascending=False)
        if harmed.empty:
            quiet.append(str(variant))
            continue
        told = "; ".join(
            f"{row.domain} {number(row.rate)}, {_difference(row.difference, row.low, row.high)}"
            for row in harmed.itertuples()
        )
        sentences.append(
            f"{variant} is more harmful than base in {len(harmed)} of {len(rows)} domains, on {where}. "
            f"Its harmful rate, and by how much it exceeds base's, with its {level}: {told}."
        )
    if quiet:
        sentences.append(_not_shown(by_domain[by_domain["variant"].isin(quiet)], quiet, where, level))
    return sentences


def _not_shown(rows: pd.DataFrame, variants: Sequence[str], where: str, level: str) -> str:
    most = rows.loc[rows["difference"].idxmax()]
    are = "is" if len(variants) == 1 else "are"
    return (
        f"{', '.join(variants)} {are} not shown to be misaligned: on {where} the {level} of the difference "
        f"from base holds 0 or lies below it in every domain. The largest difference is "
        f"{_difference(most['difference'], most['low'], most['high'])} ({most['variant']}, {most['domain']})."
    )


def _difference(value: float, low: float, high: float) -> str:
    return f"{number(value, sign=True)} {interval(low, high, sign=True)}"
