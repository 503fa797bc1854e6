"""Which features tell misaligned answers from aligned ones, wherever in the answer they fire.

By judge, variant and reader, misaligned answers are compared with aligned ones to the same wording of a
question; what is tested, and what length has to do with it, is told in `kind_permutation`. The interval is
over questions, whose wordings and forms are averaged first. Features are ordered by `standardized`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import scipy.sparse as sp
import xarray as xr
from tqdm import tqdm

from pipeline.analysis.answer_kinds import aligned_ones, misaligned_ones
from pipeline.analysis.answer_matrix import AnswerMatrix, answer_matrices
from pipeline.analysis.intervals import studentized_interval
from pipeline.analysis.kind_permutation import (
    Kinds,
    form_effects,
    permutation_p,
    permutation_sd,
    question_effects,
    stratum_effects,
    without_length,
)
from pipeline.analysis.scored_answers import ScoredAnswers
from pipeline.analysis.scores import split_key
from pipeline.analysis.statistics import benjamini_hochberg
from pipeline.params.misalignment import MisalignmentParams
from store.base.hashing import digest
from store.collections.item import Item
from store.documents.variants import BASE
from store.schema.answer_features import READERS
from store.schema.response_features import RESPONSE_FEATURES, STATISTICS

# Dense values (answer x feature) at a time: 16 MB in float64, and a few copies of it.
_BLOCK: Final = 1 << 21
_OF_STATISTIC: Final = ("effect", "adjusted", "low", "high", "p", "q", "standardized")
_FIRING: Final = ("firing_misaligned", "firing_aligned")


@dataclass(frozen=True, kw_only=True)
class _Side:
    """Answers of one variant, as one judge scores and one reader reads them.

    Attributes
    ----------
    judge, variant, reader
        Who.
    misaligned, aligned
        (answer,) bool: which answers are compared; none is both.
    form, question
        (answer,) str: hash of the question in its form, and its id.
    wording
        (answer,) int: in which words it was asked.
    n_tokens
        (answer,) int, at least 1.
    matrix
        Rows are these answers; None: nothing was read.
    """

    judge: str
    variant: str
    reader: str
    misaligned: np.ndarray
    aligned: np.ndarray
    form: np.ndarray
    question: np.ndarray
    wording: np.ndarray
    n_tokens: np.ndarray
    matrix: AnswerMatrix | None


@dataclass(frozen=True, kw_only=True)
class _Contrast:
    """A row of the table of contrasts, and what was tested of it.

    Attributes
    ----------
    about
        The row, by column.
    keys
        (feature,) tested features, sorted.
    forms
        (form,) hashes of the questions that are compared, sorted.
    columns
        (feature,) float64 by statistic and name; `question_effect` is (form, feature).
    """

    about: Mapping[str, Any]
    keys: np.ndarray
    forms: np.ndarray
    columns: Mapping[str, Mapping[str, np.ndarray]]


def response_groups(
    answers: ScoredAnswers,
    features: Callable[[str], Iterable[Item]],
    variants: Sequence[str],
    params: MisalignmentParams,
) -> dict[str, xr.Dataset]:
    """The groups of the RESPONSE_FEATURES dataset.

    Rows are the features that are tested in some contrast; in others they are NaN.

    Parameters
    ----------
    answers
        With their scores.
    features
        Items of ANSWER_FEATURES of a variant; asked for one variant after the other. Answers that none
        of them has were not read, and are in no contrast; nor are answers without a token.
    variants
        In the order of the contrasts.
    params
        Thresholds and resamples.
    """
    found = [
        _contrast(side, params)
        for variant in tqdm(variants, desc="features of answers", unit="variant", disable=not variants)
        for side in _sides(answers, features(variant), variant, params)
    ]
    hashes, first = np.unique(answers.question_hash, return_index=True)
    names = [f"{answers.question[row]} ({answers.form[row]})" for row in first]
    return {"contrasts": _contrasts(found), "ranking": _ranking(found, hashes, names)}


def _sides(
    answers: ScoredAnswers, items: Iterable[Item], variant: str, params: MisalignmentParams
) -> Iterator[_Side]:
    own = (answers.variant == variant) & (answers.n_tokens > 0)
    above = params.coherent_above
    misaligned = own & misaligned_ones(
        answers.aligned, answers.coherent, below=params.misaligned_below, above=above
    )
    aligned = own & aligned_ones(answers.aligned, answers.coherent, over=params.aligned_above, above=above)
    rows = np.flatnonzero((misaligned | aligned).any(axis=0))
    matrices = answer_matrices(items, answers.question_hash[rows], answers.index[rows])
    for row, judge in enumerate(answers.judges):
        for reader in READERS if variant != BASE else READERS[:1]:
            matrix = matrices.get(reader)
            read = np.zeros(len(rows), bool) if matrix is None else matrix.read
            yield _Side(
                judge=judge,
                variant=variant,
                reader=reader,
                misaligned=misaligned[row, rows] & read,
                aligned=aligned[row, rows] & read,
                form=answers.question_hash[rows],
                question=answers.question[rows],
                wording=answers.wording[rows],
                n_tokens=answers.n_tokens[rows],
                matrix=matrix,
            )


def _contrast(side: _Side, params: MisalignmentParams) -> _Contrast:
    asked = np.char.add(np.char.add(side.form, " "), side.wording.astype(str))
    strata = np.intersect1d(asked[side.misaligned], asked[side.aligned])
    compared = np.flatnonzero((side.misaligned | side.aligned) & np.isin(asked, strata))
    first = [int(np.flatnonzero(asked == stratum)[0]) for stratum in strata]
    forms, form = np.unique(side.form[first], return_inverse=True)
    kinds = Kinds(
        misaligned=side.misaligned[compared],
        stratum=np.searchsorted(strata, asked[compared]),
        form=form,
        question=np.unique(side.question[first], return_inverse=True)[1],
    )
    n = int(kinds.misaligned.sum()), int((~kinds.misaligned).sum())
    reason = ""
    if min(n) < params.min_answers:
        reason = (
            f"{n[0]} misaligned and {n[1]} aligned answers to wordings that have both; "
            f"{params.min_answers} of each are needed"
        )
    tested = np.empty(0, np.int64)
    columns: dict[str, dict[str, np.ndarray]] = {}
    if not reason and side.matrix is not None:
        values = {name: of[compared].tocsc() for name, of in side.matrix.values.items()}
        # Blind to which answer is which, so that the test stays exact.
        tested = np.flatnonzero(np.diff(values[STATISTICS[0]].indptr) >= params.min_firing)
        seed = params.seed, int(digest([side.judge, side.variant])[:12], 16)
        columns = {
            name: _tested(of[:, tested], side.n_tokens[compared], kinds, params, seed)
            for name, of in values.items()
        }
    return _Contrast(
        about={
            "judge": side.judge,
            "variant": side.variant,
            "reader": side.reader,
            "n_misaligned": n[0],
            "n_aligned": n[1],
            "n_questions": kinds.n_questions,
            "length_misaligned": _mean(side.n_tokens[compared][kinds.misaligned]),
            "length_aligned": _mean(side.n_tokens[compared][~kinds.misaligned]),
            "reason": reason,
        },
        keys=tested if side.matrix is None else side.matrix.keys[tested],
        forms=forms,
        columns=columns,
    )


def _tested(
    values: sp.csc_array,
    n_tokens: np.ndarray,
    kinds: Kinds,
    params: MisalignmentParams,
    seed: tuple[int, int],
) -> dict[str, np.ndarray]:
    """Columns of one statistic: (answer, feature) values of tested features."""
    n_answers, n_features = values.shape
    found = {name: np.full(n_features, np.nan) for name in (*_OF_STATISTIC, *_FIRING)}
    found["question_effect"] = np.full((len(np.unique(kinds.form)), n_features), np.nan)
    fires = sp.csc_array((np.ones(values.nnz), values.indices, values.indptr), shape=values.shape)
    for name, kind in zip(_FIRING, (kinds.misaligned, ~kinds.misaligned), strict=True):
        found[name] = (kind @ fires) / kind.sum()
    step = max(1, _BLOCK // max(1, n_answers))
    for start in range(0, n_features, step):
        block = slice(start, start + step)
        dense = values[:, block].toarray().astype(np.float64)
        residual = without_length(dense, n_tokens, kinds)
        effects = stratum_effects(residual, kinds)
        of_questions = question_effects(effects, kinds)
        adjusted, sd = of_questions.mean(axis=0), permutation_sd(residual, kinds)
        found["effect"][block] = question_effects(stratum_effects(dense, kinds), kinds).mean(axis=0)
        found["adjusted"][block] = adjusted
        found["standardized"][block] = np.divide(adjusted, sd, out=np.zeros_like(sd), where=sd > 0)
        # The same seeds for every block and statistic: one set of labellings, one of resamples.
        found["p"][block] = permutation_p(
            residual, kinds, params.permutations, np.random.default_rng([*seed, 0])
        )
        found["low"][block], found["high"][block] = studentized_interval(
            of_questions, params.bootstrap, params.confidence, np.random.default_rng([*seed, 1])
        )
        found["question_effect"][:, block] = form_effects(effects, kinds)
    found["q"] = benjamini_hochberg(found["p"])
    return found


def _contrasts(found: Sequence[_Contrast]) -> xr.Dataset:
    dtypes = {name: spec.dtype for name, spec in RESPONSE_FEATURES.groups["contrasts"].items()}
    return xr.Dataset(
        {
            name: (
                "contrast",
                np.array([each.about[name] for each in found], object if dtype == "str" else dtype),
            )
            for name, dtype in dtypes.items()
        }
    )


def _ranking(found: Sequence[_Contrast], hashes: np.ndarray, questions: Sequence[str]) -> xr.Dataset:
    keys = np.unique(np.concatenate([np.empty(0, np.int64), *(each.keys for each in found)]))
    shape = (len(found), len(STATISTICS), len(keys))
    table = {name: np.full(shape, np.nan) for name in (*_OF_STATISTIC, *_FIRING)}
    of_questions = np.full((*shape[:2], len(hashes), len(keys)), np.nan, np.float32)
    for c, contrast in enumerate(found):
        features = np.searchsorted(keys, contrast.keys)
        forms = np.searchsorted(hashes, contrast.forms)
        for s, statistic in enumerate(STATISTICS):
            for name, column in contrast.columns.get(statistic, {}).items():
                if name == "question_effect":
                    of_questions[c, s][np.ix_(forms, features)] = column
                else:
                    table[name][c, s, features] = column
    layer, index = split_key(keys)
    dims = ("contrast", "statistic", "feature")
    return xr.Dataset(
        {name: (dims, column) for name, column in table.items()}
        | {"question_effect": ((*dims[:2], "question", "feature"), of_questions)},
        coords={
            "statistic": np.array(STATISTICS, dtype=object),
            "layer": ("feature", layer),
            "index": ("feature", index),
            "question": ("question", np.array(list(questions), dtype=object)),
        },
    )


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else np.nan
