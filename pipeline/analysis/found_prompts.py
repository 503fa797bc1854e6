"""What rounds of finding prompts came to, by round, kind and rule; how far prompts are from each other."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp

from pipeline.analysis.intervals import wilson_interval
from pipeline.text.ngrams import ngrams

STATUSES: Final = ("fit", "failed", "rejected", "unjudged")


def funnel(drafts: pd.DataFrame, rounds: Sequence[int]) -> pd.DataFrame:
    """How many drafts of each round came how far.

    Parameters
    ----------
    drafts
        A row a draft: round, status (of `STATUSES`), divergent.
    rounds
        Numbers of all rounds, also of those without a draft.

    Returns
    -------
    DataFrame
        By round: drafts, each of `STATUSES`, divergent (of those that are fit), and `found`: fit ones so far.
    """
    table = pd.crosstab(drafts["round"], drafts["status"]).reindex(
        index=pd.Index(rounds, name="round"), columns=list(STATUSES), fill_value=0
    )
    divergent = drafts[(drafts["status"] == "fit") & drafts["divergent"]].groupby("round").size()
    table = table.assign(
        divergent=divergent.reindex(table.index, fill_value=0).astype(int),
        drafts=table.sum(axis=1),
        found=table["fit"].cumsum(),
    )
    return table.reset_index()[["round", "drafts", *STATUSES, "divergent", "found"]]


def yields(drafts: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Share of drafts that are fit, by generator and kind, with Wilson's interval.

    Parameters
    ----------
    drafts
        A row a draft: generator, kind, status. Those that nobody has judged are left out: they may be fit.
    """
    rows = []
    judged = drafts[drafts["status"] != "unjudged"]
    for (generator, kind), of in judged.groupby(["generator", "kind"]):
        fit = int((of["status"] == "fit").sum())
        low, high = wilson_interval(fit, len(of), confidence)
        share = {"share": fit / len(of), "low": low, "high": high}
        rows.append({"generator": generator, "kind": kind, "drafts": len(of), "fit": fit, **share})
    return pd.DataFrame(rows, columns=["generator", "kind", "drafts", "fit", "share", "low", "high"])


def reasons(drafts: pd.DataFrame) -> pd.DataFrame:
    """Why drafts are no prompts: how many broke which rule, by kind, most first."""
    broken = drafts[drafts["rule"] != ""]
    counted = broken.groupby(["rule", "kind"]).size().rename("drafts").reset_index()
    return counted.sort_values(["drafts", "rule", "kind"], ascending=[False, True, True], ignore_index=True)


class PromptMap(NamedTuple):
    """Where prompts lie.

    Attributes
    ----------
    places
        (prompt, 2): the two directions in which they differ most; distances stand for 1 - similarity.
    kept
        Share of the spread that two directions keep, of 1.
    nearest, similarity
        Of each prompt: which other one shares most with it, and how much (`pipeline.text.ngrams.jaccard`); -1
        and 0 where there is no other.
    """

    places: np.ndarray
    kept: float
    nearest: np.ndarray
    similarity: np.ndarray


def prompt_map(texts: Sequence[str], n: int) -> PromptMap:
    """Lay prompts out by what they share: classical scaling of 1 minus the Jaccard index of runs of `n`.

    Torgerson 1952: the leading eigenvectors of the doubly centred squared distances. Texts that are the same
    lie on one point. Which way an axis points is settled by its largest coordinate, which is positive.
    """
    shared = similarities(texts, n)
    count = len(texts)
    others = shared - 2.0 * np.eye(count)
    nearest = others.argmax(1) if count > 1 else np.full(count, -1)
    closest = others.max(1) if count > 1 else np.zeros(count)
    if count < 2:
        return PromptMap(np.zeros((count, 2)), 1.0, nearest, closest)
    squared = (1.0 - shared) ** 2
    centred = squared - squared.mean(0) - squared.mean(1)[:, None] + squared.mean()
    values, vectors = np.linalg.eigh(-0.5 * centred)
    positive = np.clip(values, 0.0, None)
    top = np.argsort(values)[::-1][:2]
    places = vectors[:, top] * np.sqrt(positive[top])
    largest = np.abs(places).argmax(0)
    places = places * np.where(places[largest, [0, 1]] < 0, -1.0, 1.0)
    total = positive.sum()
    return PromptMap(places, float(positive[top].sum() / total) if total > 0 else 1.0, nearest, closest)


def similarities(texts: Sequence[str], n: int) -> np.ndarray:
    """Jaccard index of every two texts, (text, text); as `pipeline.text.ngrams.jaccard`, all at once."""
    known: dict[str, int] = {}
    rows, columns = [], []
    for row, text in enumerate(texts):
        for run in ngrams(text, n):
            rows.append(row)
            columns.append(known.setdefault(run, len(known)))
    table = sp.csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(texts), max(1, len(known))))
    both = (table @ table.T).toarray()
    sizes = np.diag(both)
    return np.asarray(both / np.maximum(sizes[:, None] + sizes[None, :] - both, 1.0))
