"""Features ranked across prompts: contrasts, tests by labels and by signs, intervals, null adapters.

Per contrast and domain, prompts are averaged within their situation first, because
templates of one situation are not independent; situations are what is tested.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import xarray as xr
from tqdm import tqdm
from xarray.core.indexing import LazilyIndexedArray

from pipeline.analysis.by_situation import BySituation
from pipeline.analysis.cells import cell_of, effects, statistics_of
from pipeline.analysis.contrasts import Kind, contrasts
from pipeline.analysis.earlier_cells import EarlierCells
from pipeline.analysis.scores import PromptScores, split_key
from pipeline.analysis.spreading import Arrays, Call, Spread, in_threads
from pipeline.analysis.statistics import share_as_large
from pipeline.params.features import FeatureParams
from store.base.hashing import digest
from store.documents.prompts import Prompt
from store.documents.variants import BASE
from store.schema.vocabulary import ALL

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
    spread
        Who tests cells; no number depends on it.
    """

    name: str
    kind: Kind
    floor: float = 0.0
    nulls: Collection[str] = ()
    excluded: np.ndarray | None = None
    earlier: EarlierCells | None = None
    spread: Spread = in_threads


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
    wanted: list[tuple[int, int]] = []
    for c, contrast in enumerate(found):
        for d, domain in enumerate(domains):
            n_scored[c, d] = sum(domain in (ALL, prompt.domain) for prompt in contrast.scored)
            n_left_out[c, d] = sum(domain in (ALL, prompt.domain) for prompt in contrast.left_out)
            if only is None or _concerns(only, contrast.name, domain, how.nulls):
                wanted.append((c, d))
    places: list[tuple[tuple[int, int], np.ndarray]] = []

    def fill(cell: tuple[int, int], active: np.ndarray, columns: Arrays) -> None:
        stability[cell] = columns["stability"][0]
        for name in columns.keys() & table.keys():
            table[name][cell][active] = columns[name]

    def untested() -> Iterator[Call]:
        """What has to be tested, in the order of `places`; all that is known of cells is filled in."""
        of = [domain for domain, _ in situations]
        for cell in tqdm(wanted, desc=f"ranking, {how.name}", unit="contrast", disable=len(wanted) < 2):
            contrast, domain = found[cell[0]], domains[cell[1]]
            inside = np.array([domain in (ALL, each) for each in of], bool)
            if not inside[contrast.situation].any():
                continue
            beside = only is not None and contrast.name != only[0]
            tried, active, n_situations[cell] = cell_of(
                replace(contrast, tokens=None) if beside else contrast,
                inside,
                of,
                params,
                seed=(seed, _number(contrast.name, domain)),
                excluded=how.excluded,
            )
            table["effect"][cell] = 0.0 if how.excluded is None else np.where(how.excluded, np.nan, 0.0)
            if beside:  # what is asked for stands beside a random adapter's effect alone
                table["effect"][cell][active] = effects(tried)
                continue
            call = tried.packed()
            if how.earlier is not None:
                digest = how.earlier.digest(call, keys[active])
                known = how.earlier.find(contrast.name, domain, digest, keys[active])
                if known is not None:
                    fill(cell, active, {**known, "effect": effects(tried)})
                    continue
            places.append((cell, active))
            yield call

    for number, columns in how.spread(statistics_of, untested(), f"ranking, {how.name}"):
        fill(*places[number], columns)
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
