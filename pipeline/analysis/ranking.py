"""Features ranked across prompts: contrasts, permutation p, FDR, bootstrap interval.

Per contrast and domain, prompts are averaged within their situation first, because
templates of one situation are not independent; situations are what is tested.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
import xarray as xr
from tqdm import tqdm

from pipeline.analysis.contrasts import Contrast, contrasts
from pipeline.analysis.scores import PromptScores, split_key
from pipeline.analysis.statistics import benjamini_hochberg, bootstrap_interval, sign_flip_p
from pipeline.params.features import FeatureParams
from store.base.hashing import digest
from store.documents.prompts import Prompt
from store.schema.vocabulary import ALL

# Dense values (situation x feature) at a time: 32 MB in float64, and a few copies of it.
_BLOCK: Final = 1 << 22
# Cells of the table (contrast and domain) that are tested together; each takes such blocks.
_AT_ONCE: Final = 4


def rank_features(
    scores: Sequence[PromptScores],
    prompts: Mapping[str, Prompt],
    keys: np.ndarray,
    params: FeatureParams,
    seed: int,
    *,
    labelled: bool = True,
    name: str = "direct",
) -> tuple[xr.Dataset, xr.Dataset]:
    """The groups `ranking` and `situations` of the FEATURES dataset, for one score.

    Parameters and results are those of `rank`, for keys that are feature keys.
    """
    layer, index = split_key(keys)
    feature = {"layer": ("feature", layer), "index": ("feature", index)}
    ranking, situations = rank(scores, prompts, keys, params, seed, labelled=labelled, name=name)
    return ranking.assign_coords(feature), situations.assign_coords(feature)


def rank(
    scores: Sequence[PromptScores],
    prompts: Mapping[str, Prompt],
    keys: np.ndarray,
    params: FeatureParams,
    seed: int,
    *,
    labelled: bool,
    name: str,
) -> tuple[xr.Dataset, xr.Dataset]:
    """Effect, interval, p and q of everything that the scores' keys name, and effects by situation.

    Parameters
    ----------
    scores
        Of one kind, one a prompt and variant, every prompt by any of its variants once.
    prompts
        By hash.
    keys
        (feature,) sorted keys: the rows. They must hold every key of `scores`.
    params, seed
        Thresholds and resamples; the seed of permutations and bootstrap. Draws depend on
        contrast and domain only, so that every score is tested with the same sign flips.
    labelled
        Whether the score is evil minus safe: see `pipeline.analysis.contrasts.contrasts`.
    name
        The score, for the progress bar.

    Returns
    -------
    ranking, situations
        As in the schema, without coordinates along `feature`. `effect` is the mean over the
        situations in which the feature is not missing, where it counts 0 if it is inactive;
        NaN where there is no such situation. Per situation it is NaN where no prompt is
        scored or the feature is missing on all of them.

    Notes
    -----
    What is missing was not selected, for being of little influence: effects of scores of
    selected features are means over the situations in which the feature mattered.
    """
    domains = [ALL, *sorted({prompt.domain for prompt in prompts.values() if prompt.domain})]
    situations = sorted({(prompt.domain or "", prompt.situation) for prompt in prompts.values()})
    found = contrasts(scores, prompts, keys, situations, labelled=labelled)
    shape = (len(found), len(domains), len(keys))
    table = {name: np.full(shape, np.nan) for name in ("effect", "low", "high", "p", "q")}
    n_situations = np.zeros(shape, np.int32)
    n_scored, n_left_out = np.zeros(shape[:2], np.int32), np.zeros(shape[:2], np.int32)
    by_situation = np.full((len(found), len(situations), len(keys)), np.nan, np.float32)
    cells: list[tuple[int, int]] = []
    for c, contrast in enumerate(found):
        _fill(by_situation[c], contrast)
        for d, domain in enumerate(domains):
            n_scored[c, d] = sum(domain in (ALL, prompt.domain) for prompt in contrast.scored)
            n_left_out[c, d] = sum(domain in (ALL, prompt.domain) for prompt in contrast.left_out)
            cells.append((c, d))

    def test(cell: tuple[int, int]) -> None:
        contrast, domain = found[cell[0]], domains[cell[1]]
        inside = [domain in (ALL, situations[row][0]) for row in contrast.situation]
        rows = np.flatnonzero(np.array(inside, bool))
        if len(rows) == 0:
            return
        seeds = [seed, _number(contrast.name, domain)]
        statistics, n_situations[cell] = _test(contrast, rows, params, seeds)
        for column, array in statistics.items():
            table[column][cell] = array

    # NumPy lets go of the interpreter: each cell by itself, on as many cores as there are.
    with ThreadPoolExecutor(min(_AT_ONCE, os.cpu_count() or 1)) as pool:
        tested = pool.map(test, cells)
        for _ in tqdm(tested, desc=f"ranking, {name}", unit="contrast", total=len(cells), disable=not cells):
            pass
    names = ("contrast", _words(contrast.name for contrast in found))
    dims = ("contrast", "domain", "feature")
    ranking = xr.Dataset(
        {
            **{name: (dims, table[name].astype(np.float32)) for name in ("effect", "low", "high")},
            **{name: (dims, table[name]) for name in ("p", "q")},
            "n_situations": (dims, n_situations),
            "n_scored": (dims[:2], n_scored),
            "n_left_out": (dims[:2], n_left_out),
        },
        coords={"contrast": names, "domain": ("domain", _words(domains))},
    )
    table_by_situation = xr.Dataset(
        {"effect": (("contrast", "situation", "feature"), by_situation)},
        coords={
            "contrast": names,
            "situation": ("situation", _words(situation for _, situation in situations)),
            "situation_domain": ("situation", _words(domain for domain, _ in situations)),
        },
    )
    return ranking, table_by_situation


def _test(
    contrast: Contrast, rows: np.ndarray, params: FeatureParams, seed: list[int]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Effect, interval, p and q of every feature over these rows (situations), and how many count."""
    n_features = contrast.total.shape[1]
    # A feature inactive in every situation has effect 0 and is not tested.
    result = {name: np.zeros(n_features) for name in ("effect", "low", "high")}
    result["p"] = np.full(n_features, np.nan)
    n_situations, n_gaps = contrast.situations_with(rows)
    touched = np.flatnonzero((n_situations > 0) | (n_gaps > 0))
    step = max(1, _BLOCK // len(contrast.situation))
    for start in range(0, len(touched), step):
        block = touched[start : start + step]
        values = contrast.values(rows, block)
        result["effect"][block] = _mean(values)
        # The same seed for every block: one set of resamples, whatever the block size.
        result["low"][block], result["high"][block] = bootstrap_interval(
            values, params.bootstrap, params.confidence, np.random.default_rng([*seed, 0])
        )
        tested = n_situations[block] >= params.min_situations
        result["p"][block[tested]] = sign_flip_p(
            values[:, tested], params.permutations, np.random.default_rng([*seed, 1])
        )
    result["q"] = benjamini_hochberg(result["p"])
    return result, n_situations


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over the situations in which a feature is not missing; NaN where there is none."""
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    means: np.ndarray = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    return means


def _fill(by_situation: np.ndarray, contrast: Contrast) -> None:
    """Write a contrast's values into (all situations, feature), a block of features at a time."""
    rows = np.arange(len(contrast.situation))
    step = max(1, _BLOCK // max(1, len(rows)))
    for start in range(0, by_situation.shape[1], step):
        block = slice(start, start + step)
        by_situation[contrast.situation, block] = contrast.values(rows, block)


def _words(words: Iterable[str]) -> np.ndarray:
    # Explicitly, because NumPy makes an empty list of words an array of floats.
    return np.array(list(words), dtype=object)


def _number(*words: str) -> int:
    """A seed from words, so that a contrast's draws do not depend on the others."""
    return int(digest(list(words))[:12], 16)
