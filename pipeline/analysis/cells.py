"""A cell of a ranking, a contrast and a domain: what it is tested on, and what the tests say.

A cell holds what decides its numbers and nothing else, so that any process can test it, to the same bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import scipy.sparse as sp

from pipeline.analysis.contrasts import Contrast, TokenEffects, in_order
from pipeline.analysis.intervals import effective_units, studentized_interval
from pipeline.analysis.label_permutation import label_permutation_p
from pipeline.analysis.spreading import Arrays, Call
from pipeline.analysis.stability import kept_share, sign_consistency
from pipeline.analysis.statistics import benjamini_hochberg, sign_flip_p_by_block
from pipeline.params.features import FeatureParams

# Dense values (situation x feature) at a time: 32 MB in float64, and a few copies of it.
_BLOCK: Final = 1 << 22
_OF_TOKENS: Final = ("prompt", "situation", "unit", "evil")


@dataclass(frozen=True, kw_only=True)
class Resampling:
    """How much is drawn anew.

    Attributes
    ----------
    permutations, labellings, bootstrap, confidence
        As in `FeatureParams`.
    rate
        Permutations and labellings end for features that cannot be found at this rate any more; None: at no
        rate.
    """

    permutations: int
    labellings: int
    bootstrap: int
    confidence: float
    rate: float | None


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What is tested: the situations of a domain, and the features that are active in one of them.

    Attributes
    ----------
    total
        (situation, feature) CSC: sums over a situation's prompts, as in `Contrast`.
    n_prompts, domain
        (situation,) scored prompts of each, and its domain.
    tested
        (tested,) columns with enough situations for a test.
    tokens
        What the values of those are made of; None of a score that needs no labels.
    resampling, seed
        Which draws there are.
    step
        Columns that are dense at a time.
    """

    total: sp.csc_array
    n_prompts: np.ndarray
    domain: Sequence[str]
    tested: np.ndarray
    tokens: TokenEffects | None
    resampling: Resampling
    seed: tuple[int, ...]
    step: int

    def values(self, columns: np.ndarray | slice) -> np.ndarray:
        """(situation, column) float64: means over a situation's prompts, on which inactive counts as 0."""
        means: np.ndarray = self.total[:, columns].toarray() / self.n_prompts[:, None]
        return means

    def blocks(self) -> list[slice]:
        """All columns, some at a time."""
        return [slice(at, at + self.step) for at in range(0, self.total.shape[1], self.step)]

    def packed(self) -> Call:
        """The same as arrays by name and JSON, for `statistics_of`."""
        told = {
            "domain": list(self.domain),
            "resampling": asdict(self.resampling),
            "seed": list(self.seed),
            "step": self.step,
        }
        arrays = {"n_prompts": self.n_prompts, "tested": self.tested, **_parts("total", self.total)}
        if (tokens := self.tokens) is not None:
            told["token_domain"] = tokens.domain.tolist()
            arrays |= {f"token_{name}": getattr(tokens, name) for name in _OF_TOKENS}
            arrays |= _parts("effect", tokens.effect)
        return arrays, told


def cell_of(
    contrast: Contrast,
    inside: np.ndarray,
    domain: Sequence[str],
    params: FeatureParams,
    *,
    seed: tuple[int, ...],
    excluded: np.ndarray | None,
) -> tuple[Cell, np.ndarray, np.ndarray]:
    """A contrast's cell.

    Parameters
    ----------
    contrast
        With values in some situations of the cell.
    inside, domain
        (situation,) bool and name of all situations: which are the cell's, and of which domain each is.
    params, seed
        Thresholds and resamples.
    excluded
        (feature,) bool: features that are out of the ranking; None: none is.

    Returns
    -------
    cell
        What is tested.
    active
        (column,) the contrast's columns that are the cell's.
    n_situations
        (feature,) int64: in how many of its situations each of the contrast's features is active.
    """
    rows = np.flatnonzero(inside[contrast.situation])
    n_situations = contrast.situations_with(rows)
    if excluded is not None:
        n_situations[excluded] = 0
    # A feature inactive in every situation has effect 0 and is not tested.
    active = np.flatnonzero(n_situations)
    tested = np.flatnonzero(n_situations[active] >= params.min_situations)
    tokens = contrast.tokens
    step = max(1, min(_BLOCK // len(contrast.situation), len(active)))
    cell = Cell(
        total=in_order(contrast.total[:, active][rows]),
        n_prompts=contrast.n_prompts[rows],
        domain=[domain[row] for row in contrast.situation[rows]],
        tested=tested,
        tokens=None if tokens is None else tokens.among(inside, active[tested]),
        resampling=Resampling(
            permutations=params.permutations,
            labellings=params.labellings,
            bootstrap=params.bootstrap,
            confidence=params.confidence,
            rate=params.fdr if params.stop_early else None,
        ),
        seed=seed,
        step=step,
    )
    return cell, active, n_situations


def effects(cell: Cell) -> np.ndarray:
    """(feature,) float64: means over situations."""
    return np.concatenate([np.empty(0), *(cell.values(block).mean(axis=0) for block in cell.blocks())])


def statistics_of(arrays: Arrays, told: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Effects, intervals and tests of a packed cell.

    Returns
    -------
    dict
        Columns of the ranking by name, (feature,) float64, NaN where a feature is not tested; and
        `stability` of the order, (1,).
    """
    cell = _unpacked(arrays, told)
    how, n_features, tested = cell.resampling, cell.total.shape[1], cell.tested
    columns = ("low", "high", "n_effective", "sign_consistency", "p")
    found = {column: np.full(n_features, np.nan) for column in columns}
    found["effect"], domain = effects(cell), np.array(cell.domain, dtype=object)
    for block in cell.blocks():
        values = cell.values(block)
        found["n_effective"][block] = effective_units(values, domain)
        found["sign_consistency"][block] = sign_consistency(values)
        # The same seed for every block: one set of resamples, whatever the block size.
        found["low"][block], found["high"][block] = studentized_interval(
            values, how.bootstrap, how.confidence, np.random.default_rng([*cell.seed, 0])
        )
    flips = np.random.default_rng([*cell.seed, 1])
    found["p"][tested] = sign_flip_p_by_block(
        cell.values, tested, how.permutations, flips, step=cell.step, rate=how.rate
    )
    by = "p"
    if (tokens := cell.tokens) is not None:
        by = "p_labels"
        found[by] = np.full(n_features, np.nan)
        found[by][tested] = label_permutation_p(
            tokens,
            np.ones(len(tokens.situation), bool),  # all: there are no more situations than prompts
            np.arange(len(tested)),
            how.labellings,
            np.random.default_rng([*cell.seed, 2]),
            rate=how.rate,
        )
    found["q"] = benjamini_hochberg(found[by])
    resamples = np.random.default_rng([*cell.seed, 3])
    share = kept_share(cell.values, len(domain), np.arange(n_features), resamples, step=cell.step)
    return found | {"stability": np.array([share])}


def _unpacked(arrays: Arrays, told: Mapping[str, Any]) -> Cell:
    """What `Cell.packed` gave."""
    tokens = None
    if "token_domain" in told:
        parts = {name: arrays[f"token_{name}"] for name in _OF_TOKENS}
        shape = (len(parts["prompt"]), len(arrays["tested"]))
        tokens = TokenEffects(
            **parts,
            domain=np.array(told["token_domain"], dtype=object),
            effect=sp.csr_array(_sparse("effect", arrays), shape=shape),
        )
    shape = (len(told["domain"]), len(arrays["total_indptr"]) - 1)
    return Cell(
        total=sp.csc_array(_sparse("total", arrays), shape=shape),
        n_prompts=arrays["n_prompts"],
        domain=told["domain"],
        tested=arrays["tested"],
        tokens=tokens,
        resampling=Resampling(**told["resampling"]),
        seed=tuple(told["seed"]),
        step=told["step"],
    )


def _parts(name: str, matrix: sp.csc_array | sp.csr_array) -> dict[str, np.ndarray]:
    return {f"{name}_{part}": getattr(matrix, part) for part in ("data", "indices", "indptr")}


def _sparse(name: str, arrays: Arrays) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return arrays[f"{name}_data"], arrays[f"{name}_indices"], arrays[f"{name}_indptr"]
