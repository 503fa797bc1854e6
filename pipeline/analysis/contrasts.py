"""Contrasts of scores by situation: evil minus safe within a variant, adapted minus base.

Prompts are averaged within their situation, because templates of one situation are not
independent. Everything is sparse until a block of features is asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from pipeline.analysis.scores import PromptScores
from store.documents.prompts import Prompt

Situation = tuple[str, str]
"""Domain ('' where there is none) and what the prompt is about."""

ScoresByPrompt = Mapping[str, PromptScores]
"""One variant's scores by prompt hash."""


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """One contrast on the prompts that it concerns.

    Attributes
    ----------
    name
        ``evil-safe|VARIANT`` or ``VARIANT-base``.
    situation
        (situation,) rows, in the list of all situations, of those with a scored prompt.
    n_prompts
        (situation,) scored prompts of each.
    total, missing, active
        (situation, feature) CSC: sum of the values over the prompts where the feature is
        not missing; prompts on which it is missing; prompts on which it is scored (active).
    scored, left_out
        The prompts that count, and those that would with labels or with the other variant.
    """

    name: str
    situation: np.ndarray
    n_prompts: np.ndarray
    total: sp.csc_array
    missing: sp.csc_array
    active: sp.csc_array
    scored: list[Prompt]
    left_out: list[Prompt]

    def values(self, rows: np.ndarray, features: np.ndarray | slice) -> np.ndarray:
        """(row, feature) float64: means over a situation's prompts, on which inactive counts as 0.

        Prompts on which the feature is missing do not count; NaN where it is on all.
        """
        missing = self.missing[:, features][rows].toarray()
        total = self.total[:, features][rows].toarray()
        n_known = self.n_prompts[rows][:, None] - missing
        means: np.ndarray = np.divide(total, n_known, out=np.full(total.shape, np.nan), where=n_known > 0)
        return means

    def situations_with(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(feature,) int64 each: situations in which it is scored (active), and missing on a prompt."""
        count = [(matrix.tocsr()[rows] > 0).sum(axis=0) for matrix in (self.active, self.missing)]
        return count[0].astype(np.int64), count[1].astype(np.int64)


def contrasts(
    scores: Sequence[PromptScores],
    prompts: Mapping[str, Prompt],
    keys: np.ndarray,
    situations: Sequence[Situation],
    *,
    labelled: bool,
) -> list[Contrast]:
    """Every contrast that the scores allow.

    Parameters
    ----------
    scores
        Of one kind, one a prompt and variant.
    prompts
        By hash.
    keys
        (feature,) sorted feature keys: the columns.
    situations
        All of them, sorted.
    labelled
        Whether a score is evil minus safe, which is a contrast within each variant, too,
        and leaves out prompts without both labels. Without, all prompts of both variants
        count and those of one only are left out.

    Raises
    ------
    ValueError
        Two variants of a prompt were traced on different targets, or a score is of a
        feature that is not among `keys`.
    """
    sides: dict[str, dict[str, PromptScores]] = {}
    for score in scores:
        sides.setdefault(score.variant, {})[score.prompt_hash] = score
    variants = sorted(sides, key=lambda variant: (variant != "base", variant))
    place = {situation: row for row, situation in enumerate(situations)}
    chosen: list[tuple[str, list[ScoresByPrompt]]] = []
    if labelled:
        chosen += [(f"evil-safe|{variant}", [sides[variant]]) for variant in variants]
    if "base" in sides:
        chosen += [(f"{v}-base", [sides[v], sides["base"]]) for v in variants if v != "base"]
    return [_contrast(name, pair, prompts, keys, place, labelled=labelled) for name, pair in chosen]


def _contrast(
    name: str,
    sides: list[ScoresByPrompt],
    prompts: Mapping[str, Prompt],
    keys: np.ndarray,
    place: Mapping[Situation, int],
    *,
    labelled: bool,
) -> Contrast:
    shared = sorted(set.intersection(*(set(side) for side in sides)))
    for prompt_hash in shared:
        if len({side[prompt_hash].targets for side in sides}) > 1:
            raise ValueError(
                f"the variants of {name} were traced on different targets of prompt {prompt_hash}"
            )
    scored = [h for h in shared if sides[0][h].scored]
    unscored = set(shared) - set(scored)
    alone = set.union(*(set(side) for side in sides)) - set(shared)
    rows = [place[(prompts[h].domain or "", prompts[h].situation)] for h in scored]
    situation, row_of, n_prompts = np.unique(
        np.array(rows, np.int64), return_inverse=True, return_counts=True
    )
    values, missing, active = _by_prompt([[side[h] for h in scored] for side in sides], keys)
    ones = np.ones(len(scored))
    add = sp.csr_array((ones, (row_of, np.arange(len(scored)))), shape=(len(situation), len(scored)))
    return Contrast(
        name=name,
        situation=situation,
        n_prompts=n_prompts.astype(np.float64),
        total=sp.csc_array(add @ values),
        missing=sp.csc_array(add @ missing),
        active=sp.csc_array(add @ active),
        scored=[prompts[h] for h in scored],
        left_out=[prompts[h] for h in sorted(unscored if labelled else alone)],
    )


def _by_prompt(
    sides: list[list[PromptScores]], keys: np.ndarray
) -> tuple[sp.csr_array, sp.csr_array, sp.csr_array]:
    """(prompt, feature) values (0 where missing), 1 where missing, 1 where active and not missing.

    A difference is missing where either side is.
    """
    matrices = [_matrix(side, keys) for side in sides]
    # NaN survives the subtraction, also against a feature that is inactive on the other side.
    values = matrices[0] - matrices[1] if len(matrices) > 1 else matrices[0].copy()
    missing = values.copy()
    missing.data = np.isnan(values.data).astype(np.float64)
    missing.eliminate_zeros()
    values.data[np.isnan(values.data)] = 0.0
    active = sum((_ones(matrix) for matrix in matrices), start=sp.csr_array(values.shape))
    active = sp.csr_array(((active > 0).astype(np.float64) - missing) > 0).astype(np.float64)
    return values, missing, active


def _matrix(scores: list[PromptScores], keys: np.ndarray) -> sp.csr_array:
    """(prompt, feature) scores, with an entry for every active feature."""
    indptr = np.cumsum([0, *(len(score.keys) for score in scores)])
    found = np.concatenate([score.keys for score in scores]) if scores else np.empty(0, np.int64)
    columns = np.searchsorted(keys, found)
    if (columns == len(keys)).any() or (keys[columns] != found).any():
        raise ValueError("a score belongs to a feature that is not among the rows")
    data = np.concatenate([score.values for score in scores]) if scores else np.empty(0)
    return sp.csr_array((data, columns, indptr), shape=(len(scores), len(keys)))


def _ones(matrix: sp.csr_array) -> sp.csr_array:
    """1 at every entry, those of value 0 included: an active feature's score can be 0."""
    return sp.csr_array((np.ones_like(matrix.data), matrix.indices, matrix.indptr), shape=matrix.shape)
