"""Contrasts of scores by situation: evil minus safe within a variant, adapted minus base.

Prompts are averaged within their situation, because templates of one situation are not
independent. Everything is sparse until a block of features is asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import scipy.sparse as sp

from pipeline.analysis.scores import PromptScores
from store.documents.prompts import Prompt
from store.documents.variants import BASE

Situation = tuple[str, str]
"""Domain ('' where there is none) and what the prompt is about."""

Kind = Literal["labelled", "unlabelled", "change"]
"""What a score is: evil minus safe of one variant, which is a contrast within each, too; needing no
labels, so that only variants are compared; or already a comparison with base, evil minus safe."""

Sparse = TypeVar("Sparse", sp.csr_array, sp.csc_array)

ScoresByPrompt = Mapping[str, PromptScores]
"""One variant's scores by prompt hash."""


@dataclass(frozen=True, kw_only=True)
class TokenEffects:
    """The effects of single labelled targets that a contrast is made of.

    Attributes
    ----------
    prompt
        (row,) which of the prompts, ascending; a row is one labelled target of one prompt.
    situation
        (prompt,) row of its situation, in the list of all situations.
    unit
        (row,) which label: of a token in a domain, shared by its prompts.
    domain, evil
        (label,) its domain's name, and whether the token is evil or safe.
    effect
        (row, feature) CSR.
    """

    prompt: np.ndarray
    situation: np.ndarray
    unit: np.ndarray
    domain: np.ndarray
    evil: np.ndarray
    effect: sp.csr_array

    def among(self, inside: np.ndarray, features: np.ndarray) -> "TokenEffects":
        """Those of some of all situations, (situation,) bool, and columns; numbered anew, in their order."""
        rows = np.flatnonzero(inside[self.situation[self.prompt]])
        labels, unit = np.unique(self.unit[rows], return_inverse=True)
        prompts, prompt = np.unique(self.prompt[rows], return_inverse=True)
        return TokenEffects(
            prompt=prompt,
            situation=np.unique(self.situation[prompts], return_inverse=True)[1],
            unit=unit,
            domain=self.domain[labels],
            evil=self.evil[labels],
            effect=in_order(self.effect[rows][:, features]),
        )


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
    total, active
        (situation, feature) CSC: sum of the values over the prompts; prompts on which the feature
        is active in a variant of the contrast.
    tokens
        What the values are made of; None of a score that needs no labels.
    scored, left_out
        The prompts that count, and those that would with labels or with the other variant.
    """

    name: str
    situation: np.ndarray
    n_prompts: np.ndarray
    total: sp.csc_array
    active: sp.csc_array
    tokens: TokenEffects | None
    scored: list[Prompt]
    left_out: list[Prompt]

    def values(self, rows: np.ndarray, features: np.ndarray | slice) -> np.ndarray:
        """(row, feature) float64: means over a situation's prompts, on which inactive counts as 0."""
        means: np.ndarray = self.total[:, features][rows].toarray() / self.n_prompts[rows][:, None]
        return means

    def situations_with(self, rows: np.ndarray) -> np.ndarray:
        """(feature,) int64: situations in which it is active."""
        count: np.ndarray = (self.active.tocsr()[rows] > 0).sum(axis=0)
        return count.astype(np.int64)


def contrasts(
    scores: Sequence[PromptScores],
    prompts: Mapping[str, Prompt],
    keys: np.ndarray,
    situations: Sequence[Situation],
    *,
    kind: Kind,
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
    kind
        Which contrasts there are. Scores with labels leave out prompts without both; of others all
        prompts of both variants count and those of one only are left out.

    Raises
    ------
    ValueError
        Two variants of a prompt were traced on different targets, or a score is of a
        feature that is not among `keys`.
    """
    sides: dict[str, dict[str, PromptScores]] = {}
    for score in scores:
        sides.setdefault(score.variant, {})[score.prompt_hash] = score
    variants = sorted(sides, key=lambda variant: (variant != BASE, variant))
    place = {situation: row for row, situation in enumerate(situations)}
    chosen: list[tuple[str, list[ScoresByPrompt]]] = []
    if kind == "labelled":
        chosen += [(f"evil-safe|{variant}", [sides[variant]]) for variant in variants]
    if kind == "change":
        chosen += [(f"{variant}-{BASE}", [sides[variant]]) for variant in variants]
    elif BASE in sides:
        chosen += [(f"{v}-{BASE}", [sides[v], sides[BASE]]) for v in variants if v != BASE]
    return [
        _contrast(name, pair, prompts, keys, place, labelled=kind != "unlabelled") for name, pair in chosen
    ]


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
    situation, row_of, n_prompts = np.unique(
        _situations(scored, prompts, place), return_inverse=True, return_counts=True
    )
    matrices = [_matrix([side[h] for h in scored], keys) for side in sides]
    active = sum((_ones(matrix) for matrix in matrices), start=sp.csr_array(matrices[0].shape)) > 0
    ones = np.ones(len(scored))
    add = sp.csr_array((ones, (row_of, np.arange(len(scored)))), shape=(len(situation), len(scored)))
    return Contrast(
        name=name,
        situation=situation,
        n_prompts=n_prompts.astype(np.float64),
        total=sp.csc_array(add @ _difference(matrices)),
        active=sp.csc_array(add @ active.astype(np.float64)),
        tokens=_token_effects(shared, sides, prompts, keys, place) if labelled else None,
        scored=[prompts[h] for h in scored],
        left_out=[prompts[h] for h in sorted(unscored if labelled else alone)],
    )


def _token_effects(
    hashes: Sequence[str],
    sides: Sequence[ScoresByPrompt],
    prompts: Mapping[str, Prompt],
    keys: np.ndarray,
    place: Mapping[Situation, int],
) -> TokenEffects:
    """Of every prompt with two labelled targets or more: with other labels it may be scored."""
    chosen = [h for h in hashes if len(sides[0][h].tokens) > 1]
    # Targets may stand in another order on the other side; labels are of tokens.
    order = [[np.argsort(side[h].tokens, kind="stable") for h in chosen] for side in sides]
    tokens = [sides[0][h].tokens[rows] for h, rows in zip(chosen, order[0], strict=True)]
    evil = [sides[0][h].evil[rows] for h, rows in zip(chosen, order[0], strict=True)]
    labels: dict[tuple[str, int, bool], int] = {}
    unit = [
        labels.setdefault((prompts[h].domain or "", int(token), bool(is_evil)), len(labels))
        for h, ids, marks in zip(chosen, tokens, evil, strict=True)
        for token, is_evil in zip(ids, marks, strict=True)
    ]
    effects = [
        _token_matrix([side[h] for h in chosen], rows, keys) for side, rows in zip(sides, order, strict=True)
    ]
    return TokenEffects(
        prompt=np.repeat(np.arange(len(chosen)), [len(ids) for ids in tokens]),
        situation=_situations(chosen, prompts, place),
        unit=np.array(unit, np.int64),
        domain=np.array([domain for domain, _, _ in labels], dtype=object),
        evil=np.array([is_evil for _, _, is_evil in labels], bool),
        effect=_difference(effects),
    )


def _situations(
    hashes: Sequence[str], prompts: Mapping[str, Prompt], place: Mapping[Situation, int]
) -> np.ndarray:
    return np.array([place[(prompts[h].domain or "", prompts[h].situation)] for h in hashes], np.int64)


def _difference(matrices: Sequence[sp.csr_array]) -> sp.csr_array:
    return matrices[0] if len(matrices) == 1 else sp.csr_array(matrices[0] - matrices[1])


def _matrix(scores: Sequence[PromptScores], keys: np.ndarray) -> sp.csr_array:
    """(prompt, feature) scores, with an entry for every active feature."""
    return _rows([score.values for score in scores], [score.keys for score in scores], keys)


def _token_matrix(
    scores: Sequence[PromptScores], order: Sequence[np.ndarray], keys: np.ndarray
) -> sp.csr_array:
    """(labelled target, feature) scores, prompts one after the other."""
    rows = [row for score, places in zip(scores, order, strict=True) for row in score.by_token[places]]
    found = [score.keys for score in scores for _ in score.tokens]
    return _rows(rows, found, keys)


def _rows(values: Sequence[np.ndarray], found: Sequence[np.ndarray], keys: np.ndarray) -> sp.csr_array:
    indptr = np.cumsum([0, *(len(row) for row in found)])
    every = np.concatenate([np.empty(0, np.int64), *found])
    columns = np.searchsorted(keys, every)
    if (columns == len(keys)).any() or (keys[columns] != every).any():
        raise ValueError("a score belongs to a feature that is not among the rows")
    return sp.csr_array(
        (np.concatenate([np.empty(0), *values]), columns, indptr), shape=(len(found), len(keys))
    )


def in_order(matrix: Sparse) -> Sparse:
    """The same, entries of a row or column one after the other: equal ones are equal to the byte."""
    matrix.sort_indices()
    return matrix


def _ones(matrix: sp.csr_array) -> sp.csr_array:
    """1 at every entry, those of value 0 included: an active feature's score can be 0."""
    return sp.csr_array((np.ones_like(matrix.data), matrix.indices, matrix.indptr), shape=matrix.shape)
