"""Features ranked across prompts: contrasts, permutation p, FDR, bootstrap interval.

Per contrast and domain, prompts are averaged within their situation first, because
templates of one situation are not independent; situations are what is tested.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.sparse as sp
import xarray as xr
from tqdm import tqdm

from pipeline.params import FeatureParams
from pipeline.scores import PromptScores, split_key
from pipeline.statistics import benjamini_hochberg, bootstrap_interval, sign_flip_p
from store.hashing import digest
from store.prompts import Prompt

ALL: Final = "all"
# Dense values (situation x feature) at a time: 128 MB in float64.
_BLOCK: Final = 1 << 24


@dataclass(frozen=True, kw_only=True)
class _Contrast:
    """One contrast on the prompts that it concerns.

    `values` and `active` are (situation, feature) CSR over the situations with a scored
    prompt; `situation` their rows in the list of all situations.
    """

    name: str
    situation: np.ndarray
    values: sp.csr_array
    active: sp.csr_array
    scored: list[Prompt]
    left_out: list[Prompt]


def rank_features(
    scores: Sequence[PromptScores],
    prompts: Mapping[str, Prompt],
    keys: np.ndarray,
    params: FeatureParams,
    seed: int,
) -> tuple[xr.Dataset, xr.Dataset]:
    """The groups `ranking` and `situations` of the FEATURES dataset.

    Parameters
    ----------
    scores
        One a prompt and variant, every prompt by any of its variants once.
    prompts
        By hash.
    keys
        (feature,) sorted feature keys: the rows. They must hold every key of `scores`.
    params, seed
        Thresholds and resamples; the seed of permutations and bootstrap.

    Returns
    -------
    ranking, situations
        As in the schema. `effect` is the mean over situations with a scored prompt, where
        a feature counts 0 in situations in which it is inactive; NaN where there is no such
        situation. Per situation it is NaN where no prompt has both labels.
    """
    domains = [ALL, *sorted({prompt.domain for prompt in prompts.values() if prompt.domain})]
    situations = sorted({(prompt.domain or "", prompt.situation) for prompt in prompts.values()})
    contrasts = _contrasts(scores, prompts, keys, situations)
    shape = (len(contrasts), len(domains), len(keys))
    table = {name: np.full(shape, np.nan) for name in ("effect", "low", "high", "p", "q")}
    n_situations = np.zeros(shape, np.int32)
    n_scored, n_left_out = np.zeros(shape[:2], np.int32), np.zeros(shape[:2], np.int32)
    by_situation = np.full((len(contrasts), len(situations), len(keys)), np.nan, np.float32)
    cells = [(c, d) for c in range(shape[0]) for d in range(shape[1])]
    for c, d in tqdm(cells, desc="ranking", unit="contrast", disable=not cells):
        contrast, domain = contrasts[c], domains[d]
        n_scored[c, d] = sum(domain in (ALL, prompt.domain) for prompt in contrast.scored)
        n_left_out[c, d] = sum(domain in (ALL, prompt.domain) for prompt in contrast.left_out)
        if domain == ALL:
            by_situation[c, contrast.situation] = contrast.values.toarray()
        rows = np.array(
            [i for i, s in enumerate(contrast.situation) if domain in (ALL, situations[s][0])],
            np.int64,
        )
        if len(rows) == 0:
            continue
        n_situations[c, d] = contrast.active[rows].sum(axis=0)
        statistics = _test(
            contrast.values[rows],
            n_situations[c, d],
            params,
            [seed, _number(contrast.name, domain)],
        )
        for name, array in statistics.items():
            table[name][c, d] = array
    layer, index = split_key(keys)
    feature = {"layer": ("feature", layer), "index": ("feature", index)}
    names = ("contrast", _words(contrast.name for contrast in contrasts))
    dims = ("contrast", "domain", "feature")
    ranking = xr.Dataset(
        {
            **{name: (dims, table[name].astype(np.float32)) for name in ("effect", "low", "high")},
            **{name: (dims, table[name]) for name in ("p", "q")},
            "n_situations": (dims, n_situations),
            "n_scored": (dims[:2], n_scored),
            "n_left_out": (dims[:2], n_left_out),
        },
        coords={**feature, "contrast": names, "domain": ("domain", _words(domains))},
    )
    table_by_situation = xr.Dataset(
        {"effect": (("contrast", "situation", "feature"), by_situation)},
        coords={
            **feature,
            "contrast": names,
            "situation": ("situation", _words(situation for _, situation in situations)),
            "situation_domain": ("situation", _words(domain for domain, _ in situations)),
        },
    )
    return ranking, table_by_situation


def _test(
    values: sp.csr_array, n_situations: np.ndarray, params: FeatureParams, seed: list[int]
) -> dict[str, np.ndarray]:
    """Effect, interval, p and q of every feature over the rows (situations) of `values`."""
    n_rows, n_features = values.shape
    result = {name: np.zeros(n_features) for name in ("effect", "low", "high")}
    result["p"] = np.full(n_features, np.nan)
    # A feature inactive in every situation has effect 0 and is not tested.
    active = np.flatnonzero(n_situations > 0)
    columns = values.tocsc()
    step = max(1, _BLOCK // n_rows)
    for start in range(0, len(active), step):
        block = active[start : start + step]
        dense = columns[:, block].toarray()
        result["effect"][block] = dense.mean(axis=0)
        # The same seed for every block: one set of resamples, whatever the block size.
        result["low"][block], result["high"][block] = bootstrap_interval(
            dense, params.bootstrap, params.confidence, np.random.default_rng([*seed, 0])
        )
        tested = n_situations[block] >= params.min_situations
        result["p"][block[tested]] = sign_flip_p(
            dense[:, tested], params.permutations, np.random.default_rng([*seed, 1])
        )
    result["q"] = benjamini_hochberg(result["p"])
    return result


def _contrasts(
    scores: Sequence[PromptScores],
    prompts: Mapping[str, Prompt],
    keys: np.ndarray,
    situations: Sequence[tuple[str, str]],
) -> list[_Contrast]:
    by_variant: dict[str, dict[str, PromptScores]] = {}
    for score in scores:
        by_variant.setdefault(score.variant, {})[score.prompt_hash] = score
    variants = sorted(by_variant, key=lambda variant: (variant != "base", variant))
    place = {situation: row for row, situation in enumerate(situations)}

    def build(name: str, sides: list[dict[str, PromptScores]]) -> _Contrast:
        shared = sorted(set.intersection(*(set(side) for side in sides)))
        for prompt_hash in shared:
            if len({side[prompt_hash].targets for side in sides}) > 1:
                raise ValueError(
                    f"the variants of {name} were traced on different targets of prompt {prompt_hash}"
                )
        scored = [h for h in shared if sides[0][h].scored]
        rows = [place[(prompts[h].domain or "", prompts[h].situation)] for h in scored]
        kept, row_of = np.unique(np.array(rows, np.int64), return_inverse=True)
        average = _average(row_of, len(kept))
        signs = (1.0, -1.0)
        matrices = [_matrix([side[h] for h in scored], keys) for side in sides]
        values = sum(
            (sign * matrix for sign, matrix in zip(signs, matrices, strict=False)),
            start=sp.csr_array((len(scored), len(keys))),
        )
        active = sum(
            (_matrix([side[h] for h in scored], keys, pattern=True) for side in sides),
            start=sp.csr_array((len(scored), len(keys))),
        )
        return _Contrast(
            name=name,
            situation=kept,
            values=sp.csr_array(average @ values),
            active=sp.csr_array((average @ active) > 0),
            scored=[prompts[h] for h in scored],
            left_out=[prompts[h] for h in shared if not sides[0][h].scored],
        )

    within = [build(f"evil-safe|{variant}", [by_variant[variant]]) for variant in variants]
    against = [
        build(f"{variant}-base", [by_variant[variant], by_variant["base"]])
        for variant in variants
        if variant != "base" and "base" in by_variant
    ]
    return within + against


def _matrix(scores: list[PromptScores], keys: np.ndarray, *, pattern: bool = False) -> sp.csr_array:
    """(prompt, feature) scores, or 1 where active."""
    indptr = np.cumsum([0, *(len(score.keys) for score in scores)])
    found = np.concatenate([score.keys for score in scores]) if scores else np.empty(0, np.int64)
    columns = np.searchsorted(keys, found)
    if (columns == len(keys)).any() or (keys[columns] != found).any():
        raise ValueError("a score belongs to a feature that is not among the rows")
    data = np.concatenate([score.values for score in scores]) if scores else np.empty(0)
    return sp.csr_array(
        (np.ones_like(data) if pattern else data, columns, indptr), shape=(len(scores), len(keys))
    )


def _average(row_of: np.ndarray, n_rows: int) -> sp.csr_array:
    """(situation, prompt) weights that average the prompts of a situation."""
    count = np.bincount(row_of, minlength=n_rows)
    return sp.csr_array((1.0 / count[row_of], (row_of, np.arange(len(row_of)))), shape=(n_rows, len(row_of)))


def _words(words: Iterable[str]) -> np.ndarray:
    # Explicitly, because NumPy makes an empty list of words an array of floats.
    return np.array(list(words), dtype=object)


def _number(*words: str) -> int:
    """A seed from words, so that a contrast's draws do not depend on the others."""
    return int(digest(list(words))[:12], 16)
