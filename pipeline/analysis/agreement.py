"""How far those who label candidate tokens agree, over all and by domain.

A label that is missing is no label: its item is left out and counted, and never read as safe.
"""

from typing import Final

import numpy as np
import pandas as pd

from pipeline.analysis.agreement_measures import LABELS, Items, Resampling, alpha, kappa, rate
from store.schema.vocabulary import ALL

UNLABELLED: Final = "unlabelled"
"""Where a rater said nothing."""

_COLUMNS: Final = (
    "domain",
    "measure",
    "value",
    "low",
    "high",
    "n_items",
    "n_unlabelled",
    "n_situations",
    "n_effective",
)


def agreement(reference: np.ndarray, judge: np.ndarray, items: Items, how: Resampling) -> pd.DataFrame:
    """How far two raters agree, by domain.

    Measures: `agreement`, the share of items of one label; `kappa` of three labels and `kappa_evil` of
    evil against the rest (Cohen 1960, by scikit-learn); `precision_evil` and `recall_evil`, the share of
    what the judge calls evil that is so by the reference, and the reverse; `false_alarm_evil`, the share of
    what is not evil by the reference that the judge calls so; all of these weighted. And
    `alpha_unweighted`, see `raters_alpha`. Kappas' and alpha's intervals are `resampled_interval`, those of
    rates `clustered_rate_interval`, in which a situation counts as one where all its items are alike
    everywhere.

    Parameters
    ----------
    reference, judge
        (item,) labels of `LABELS`, or `UNLABELLED`.

    Returns
    -------
    pd.DataFrame
        Columns domain (`all`: every domain), measure, value, low, high, n_items, n_unlabelled (by either;
        left out), n_situations, and n_effective: what they are worth by weight. Rates count the items and
        situations that they are of. NaN where undefined, such as the precision of who calls nothing evil,
        or kappa where both give one label only, and for a bound where situations are too few.

    Raises
    ------
    ValueError
        If a label is another word, or lengths differ.
    """
    places = np.array([_places(reference, items), _places(judge, items)])
    rows = []
    for domain, inside in _domains(items):
        known = inside & (places >= 0).all(axis=0)
        first, second = places[:, known]
        of = items.at(known)
        shared = {"domain": domain, "n_unlabelled": int(inside.sum() - known.sum())}
        found = [
            rate("agreement", first == second, of, how),
            kappa("kappa", first, second, of, how),
            kappa("kappa_evil", np.minimum(first, 1), np.minimum(second, 1), of, how),
            alpha(np.array([first, second]), of, how),
            rate("precision_evil", first[second == 0] == 0, of.at(second == 0), how),
            rate("recall_evil", second[first == 0] == 0, of.at(first == 0), how),
            rate("false_alarm_evil", second[first != 0] == 0, of.at(first != 0), how),
        ]
        rows += [{**shared, **row} for row in found]
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def raters_alpha(labels: np.ndarray, items: Items, how: Resampling) -> pd.DataFrame:
    """Krippendorff's alpha (2011) of nominal labels of any number of raters, by domain, unweighted.

    It takes an item as often as it was rated and cannot weigh it (the library's `value_counts` are numbers
    of raters, whose products weigh; doubling them is not doubling items): of a stratified draw it tells
    about what was drawn, not about all items, which its name, `alpha_unweighted`, says.

    Parameters
    ----------
    labels
        (rater, item) of `LABELS`, or `UNLABELLED`.

    Returns
    -------
    pd.DataFrame
        As `agreement`; n_unlabelled are items that fewer than two raters labelled.
    """
    places = np.array([_places(rater, items) for rater in labels]).reshape(len(labels), len(items.weight))
    rows = []
    for domain, inside in _domains(items):
        known = inside & ((places >= 0).sum(axis=0) > 1)
        row = alpha(places[:, known], items.at(known), how)
        rows.append({"domain": domain, "n_unlabelled": int(inside.sum() - known.sum()), **row})
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def confusion(reference: np.ndarray, judge: np.ndarray, items: Items) -> pd.DataFrame:
    """How often the reference's label meets the judge's, by domain.

    Returns
    -------
    pd.DataFrame
        Columns domain (`all`: every domain), reference and judge (each of `LABELS` with each), n (items
        labelled by both) and weight (their sum).
    """
    places = np.array([_places(reference, items), _places(judge, items)])
    rows = []
    for domain, inside in _domains(items):
        known = inside & (places >= 0).all(axis=0)
        first, second = places[:, known]
        counts, weights = np.zeros((3, 3), np.int64), np.zeros((3, 3))
        np.add.at(counts, (first, second), 1)
        np.add.at(weights, (first, second), items.weight[known])
        rows += [
            {
                "domain": domain,
                "reference": one,
                "judge": other,
                "n": int(counts[i, j]),
                "weight": weights[i, j],
            }
            for i, one in enumerate(LABELS)
            for j, other in enumerate(LABELS)
        ]
    return pd.DataFrame(rows, columns=["domain", "reference", "judge", "n", "weight"])


def _places(labels: np.ndarray, items: Items) -> np.ndarray:
    """(item,) place of each label in `LABELS`, -1 where there is none."""
    if len(labels) != len(items.weight):
        raise ValueError(f"{len(labels)} labels of {len(items.weight)} items")
    place = {UNLABELLED: -1, **{label: number for number, label in enumerate(LABELS)}}
    unknown = sorted({str(label) for label in labels if label not in place})
    if unknown:
        raise ValueError(f"A label is one of {', '.join(place)}, but not {unknown[0]}.")
    return np.array([place[label] for label in labels], np.int64)


def _domains(items: Items) -> list[tuple[str, np.ndarray]]:
    """Names of domains, `ALL` first, each with a mask of its items."""
    names = sorted(set(items.domain) - {""})
    return [(ALL, np.ones(len(items.domain), bool)), *((name, items.domain == name) for name in names)]
