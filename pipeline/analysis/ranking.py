"""Features ranked across prompts: contrasts, tests by labels and by signs, intervals, null adapters.

Per contrast and domain, prompts are averaged within their situation first, because
templates of one situation are not independent; situations are what is tested.
"""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import xarray as xr
from tqdm import tqdm
from xarray.core.indexing import LazilyIndexedArray

from pipeline.analysis.by_situation import BySituation
from pipeline.analysis.contrasts import Contrast, Kind, contrasts
from pipeline.analysis.earlier_cells import EarlierCells
from pipeline.analysis.intervals import effective_units, studentized_interval
from pipeline.analysis.label_permutation import label_permutation_p
from pipeline.analysis.scores import PromptScores, split_key
from pipeline.analysis.stability import kept_share, sign_consistency
from pipeline.analysis.statistics import benjamini_hochberg, share_as_large, sign_flip_p_by_block
from pipeline.params.features import FeatureParams
from store.base.hashing import digest
from store.documents.prompts import Prompt
from store.documents.variants import BASE
from store.schema.vocabulary import ALL

# Dense values (situation x feature) at a time: 32 MB in float64, and a few copies of it.
_BLOCK: Final = 1 << 22
# Cells of the table (contrast and domain) that are tested together; each takes such blocks.
_AT_ONCE: Final = 4
_SHORT: Final = ("effect", "low", "high", "n_effective", "sign_consistency", "null_share")
"""Columns that are kept in float32; probabilities keep all their digits."""


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """How one score is ranked.

    Attributes
    ----------
    name
        The score, for the progress bar.
    kind
        Which contrasts it has.
    floor
        The smallest absolute effect that counts as a finding, in the score's unit.
    nulls
        Variants of random adapters.
    excluded
        (feature,) bool: rows that are out of the ranking; None: none is.
    earlier
        Where cells are taken over from that were tested before; None: all are tested. Keys are feature keys.
    """

    name: str
    kind: Kind
    floor: float = 0.0
    nulls: Collection[str] = ()
    excluded: np.ndarray | None = None
    earlier: EarlierCells | None = None


def rank_features(
    scores: Sequence[PromptScores],
    prompts: Mapping[str, Prompt],
    keys: np.ndarray,
    params: FeatureParams,
    seed: int,
    how: Ranked,
    *,
    only: tuple[str, str] | None = None,
) -> tuple[xr.Dataset, xr.Dataset]:
    """The groups `ranking` and `situations` of the FEATURES dataset, for one score.

    Parameters and results are those of `rank`, for keys that are feature keys.
    """
    layer, index = split_key(keys)
    feature = {"layer": ("feature", layer), "index": ("feature", index)}
    ranking, situations = rank(scores, prompts, keys, params, seed, how, only=only)
    return ranking.assign_coords(feature), situations.assign_coords(feature)


def rank(
    scores: Sequence[PromptScores],
    prompts: Mapping[str, Prompt],
    keys: np.ndarray,
    params: FeatureParams,
    seed: int,
    how: Ranked,
    *,
    only: tuple[str, str] | None = None,
) -> tuple[xr.Dataset, xr.Dataset]:
    """Effect, interval and tests of everything that the scores' keys name, and effects by situation.

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
        contrast and domain only, so that every score is tested with the same ones.
    how
        What the scores are.
    only
        The contrast and domain that are tested, with what random adapters do beside them; None: all are.

    Returns
    -------
    ranking, situations
        As in the schema, without coordinates along `feature`. `effect` is the mean over
        situations, 0 in those where a feature is inactive, NaN where it is out of the ranking. Per
        situation it is NaN where no prompt is scored; these values are made when they are asked for.
    """
    domains = [ALL, *sorted({prompt.domain for prompt in prompts.values() if prompt.domain})]
    situations = sorted({(prompt.domain or "", prompt.situation) for prompt in prompts.values()})
    found = contrasts(scores, prompts, keys, situations, kind=how.kind)
    shape = (len(found), len(domains), len(keys))
    tests = ("p", "q") if how.kind == "unlabelled" else ("p", "p_labels", "q")
    table = {name: np.full(shape, np.nan) for name in (*_SHORT, *tests)}
    n_situations = np.zeros(shape, np.int32)
    n_scored, n_left_out = np.zeros(shape[:2], np.int32), np.zeros(shape[:2], np.int32)
    stability = np.full(shape[:2], np.nan, np.float32)
    cells: list[tuple[int, int]] = []
    for c, contrast in enumerate(found):
        for d, domain in enumerate(domains):
            n_scored[c, d] = sum(domain in (ALL, prompt.domain) for prompt in contrast.scored)
            n_left_out[c, d] = sum(domain in (ALL, prompt.domain) for prompt in contrast.left_out)
            if only is None or _concerns(only, contrast.name, domain, how.nulls):
                cells.append((c, d))

    def test(cell: tuple[int, int]) -> None:
        contrast, domain = found[cell[0]], domains[cell[1]]
        inside = np.array([domain in (ALL, of) for of, _ in situations], bool)
        if not inside[contrast.situation].any():
            return
        if only is not None and contrast.name != only[0]:  # beside it stands a random adapter's effect alone
            table["effect"][cell], n_situations[cell] = _effect(contrast, inside, how.excluded)
            return
        of = np.array([domain for domain, _ in situations], dtype=object)
        seeds = [seed, _number(contrast.name, domain)]
        statistics, n_situations[cell], stability[cell] = _test(
            contrast, inside, of, params, seeds, how, domain, keys
        )
        for column, array in statistics.items():
            table[column][cell] = array

    # NumPy lets go of the interpreter: each cell by itself, on as many cores as there are.
    with ThreadPoolExecutor(min(_AT_ONCE, os.cpu_count() or 1)) as pool:
        tested = pool.map(test, cells)
        for _ in tqdm(
            tested, desc=f"ranking, {how.name}", unit="contrast", total=len(cells), disable=len(cells) < 2
        ):
            pass
    _compare_with_nulls(table, [contrast.name for contrast in found], n_situations > 0, how.nulls)
    names = ("contrast", _words(contrast.name for contrast in found))
    dims = ("contrast", "domain", "feature")
    ranking = xr.Dataset(
        {
            **{name: (dims, table[name].astype(np.float32)) for name in _SHORT},
            **{name: (dims, table[name]) for name in tests},
            "found": (dims, (table["q"] <= params.fdr) & (np.abs(table["effect"]) >= how.floor)),
            "n_situations": (dims, n_situations),
            "n_scored": (dims[:2], n_scored),
            "n_left_out": (dims[:2], n_left_out),
            "stability": (dims[:2], stability),
        },
        coords={"contrast": names, "domain": ("domain", _words(domains))},
    )
    by_situation = LazilyIndexedArray(BySituation(found, len(situations), len(keys)))
    table_by_situation = xr.Dataset(
        {"effect": xr.Variable(("contrast", "situation", "feature"), by_situation)},
        coords={
            "contrast": names,
            "situation": ("situation", _words(situation for _, situation in situations)),
            "situation_domain": ("situation", _words(domain for domain, _ in situations)),
        },
    )
    return ranking, table_by_situation


def _concerns(only: tuple[str, str], contrast: str, domain: str, nulls: Collection[str]) -> bool:
    """Whether a cell of the table is the one that is asked for, or of a random adapter beside it."""
    beside = only[0].endswith(f"-{BASE}") and contrast.removesuffix(f"-{BASE}") in nulls
    return domain == only[1] and (contrast == only[0] or beside)


def _test(
    contrast: Contrast,
    inside: np.ndarray,
    domain: np.ndarray,
    params: FeatureParams,
    seed: list[int],
    how: Ranked,
    name: str,
    keys: np.ndarray,
) -> tuple[dict[str, np.ndarray], np.ndarray, float]:
    """Statistics of every feature over some of all situations, (situation,) bool; how many count; stability.

    `domain` is that of every situation, `name` the cell's.
    """
    n_features = contrast.total.shape[1]
    rows = np.flatnonzero(inside[contrast.situation])
    groups = domain[contrast.situation[rows]]
    # A feature inactive in every situation has effect 0 and is not tested.
    columns = ("low", "high", "n_effective", "sign_consistency", "p")
    result = {column: np.full(n_features, np.nan) for column in columns}
    result["effect"], n_situations = _effect(contrast, inside, how.excluded)
    active = np.flatnonzero(n_situations)
    tested = active[n_situations[active] >= params.min_situations]
    step = max(1, _BLOCK // len(contrast.situation))
    rate = params.fdr if params.stop_early else None
    if how.earlier is not None:
        made_of = how.earlier.digest(contrast, inside, groups, keys, (active, tested), params, seed, step)
        known = how.earlier.find(contrast.name, name, made_of, keys)
        if known is not None:
            return result | known[0], n_situations, known[1]
    for start in range(0, len(active), step):
        block = active[start : start + step]
        values = contrast.values(rows, block)
        result["n_effective"][block] = effective_units(values, groups)
        result["sign_consistency"][block] = sign_consistency(values)
        # The same seed for every block: one set of resamples, whatever the block size.
        result["low"][block], result["high"][block] = studentized_interval(
            values, params.bootstrap, params.confidence, np.random.default_rng([*seed, 0])
        )
    values_of, flips = partial(contrast.values, rows), np.random.default_rng([*seed, 1])
    result["p"][tested] = sign_flip_p_by_block(
        values_of, tested, params.permutations, flips, step=step, rate=rate
    )
    by = "p"
    if (tokens := contrast.tokens) is not None:
        by = "p_labels"
        result[by] = np.full(n_features, np.nan)
        result[by][tested] = label_permutation_p(
            tokens, inside, tested, params.labellings, np.random.default_rng([*seed, 2]), rate=rate
        )
    result["q"] = benjamini_hochberg(result[by])
    stability = kept_share(values_of, len(rows), active, np.random.default_rng([*seed, 3]), step=step)
    return result, n_situations, stability


def _effect(
    contrast: Contrast, inside: np.ndarray, excluded: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Mean over situations of every feature, and in how many it is active; NaN and 0 where it is excluded."""
    rows = np.flatnonzero(inside[contrast.situation])
    effect, n_situations = np.zeros(contrast.total.shape[1]), contrast.situations_with(rows)
    if excluded is not None:
        effect[excluded], n_situations[excluded] = np.nan, 0
    active = np.flatnonzero(n_situations)
    step = max(1, _BLOCK // len(contrast.situation))
    for start in range(0, len(active), step):
        block = active[start : start + step]
        effect[block] = contrast.values(rows, block).mean(axis=0)
    return effect, n_situations


def _compare_with_nulls(
    table: Mapping[str, np.ndarray], names: Sequence[str], active: np.ndarray, nulls: Collection[str]
) -> None:
    """Fill in `null_share` of every difference from base: against the differences of random adapters."""
    of_null = [row for row, name in enumerate(names) if name.removesuffix(f"-{BASE}") in nulls]
    for row in (row for row, name in enumerate(names) if name.endswith(f"-{BASE}")):
        others = [other for other in of_null if other != row]
        for domain in range(table["effect"].shape[1]):
            sizes = [np.abs(table["effect"][other, domain][active[other, domain]]) for other in others]
            mine = active[row, domain]
            table["null_share"][row, domain, mine] = share_as_large(
                np.abs(table["effect"][row, domain, mine]), np.concatenate([np.empty(0), *sizes])
            )


def _words(words: Iterable[str]) -> np.ndarray:
    # Explicitly, because NumPy makes an empty list of words an array of floats.
    return np.array(list(words), dtype=object)


def _number(*words: str) -> int:
    """A seed from words, so that a contrast's draws do not depend on the others."""
    return int(digest(list(words))[:12], 16)
