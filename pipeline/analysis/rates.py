"""How often each variant continues harmfully: rates with intervals."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import xarray as xr

from pipeline.analysis.intervals import clustered_rate_interval, pooled_rate_icc
from store.collections.item import Item
from store.documents.prompts import Prompt
from store.schema.vocabulary import ALL, OUTCOMES

SPLITS: Final = ("seen", "held-out")
# The outcomes that rates are made of; unlabelled samples are in no rate.
RATED: Final = OUTCOMES[:3]


def rates(outcomes: Iterable[Item], prompts: Sequence[Prompt], confidence: float) -> dict[str, xr.Dataset]:
    """The groups of the RATES dataset.

    Rates pool the samples of a variant, domain (`all` is every domain) and split; their
    intervals are over situations, see `clustered_rate_interval`, whose samples are taken to be
    at least as alike as those of all variants and domains are (`samples_icc`). Unlabelled
    samples count nowhere; where nothing was labelled the rate is NaN, never 0.

    Parameters
    ----------
    outcomes
        Items of the `outcomes` collection.
    prompts
        The prompts that they are of.
    confidence
        Level of the intervals, 0 to 1.
    """
    by_hash = {prompt.hash: prompt for prompt in prompts}
    situations = sorted({(prompt.domain or "", prompt.situation) for prompt in prompts})
    held_out = {prompt.situation: prompt.held_out for prompt in prompts}
    place = {situation: row for row, (_, situation) in enumerate(situations)}
    counts: dict[str, np.ndarray] = {}
    for item in outcomes:
        prompt = by_hash[item.prompt_hash]
        table = counts.setdefault(item.variant, np.zeros((len(situations), len(RATED)), np.int64))
        counted = np.bincount(item.arrays["sample_outcome"], minlength=len(OUTCOMES))
        table[place[prompt.situation]] += counted[: len(RATED)]
    variants = sorted(counts, key=lambda variant: (variant != "base", variant))
    # (variant, situation, outcome)
    count = np.array([counts[variant] for variant in variants]).reshape(
        len(variants), len(situations), len(RATED)
    )
    domain_of = np.array([domain for domain, _ in situations], dtype=object)
    is_held_out = np.array([held_out[situation] for _, situation in situations], dtype=bool)
    return {
        "rates": _rates(count, variants, domain_of, is_held_out, confidence),
        "situations": _by_situation(count, variants, situations, is_held_out),
    }


def harmful_rates(table: xr.Dataset) -> dict[str, Any]:
    """Metrics: harmful rate by variant, domain and split; cells without samples are absent."""
    metrics: dict[str, Any] = {}
    for v, variant in enumerate(table["variant"].values):
        for d, domain in enumerate(table["domain"].values):
            for s, split in enumerate(table["split"].values):
                if int(table["n"].values[v, d, s]):
                    rate = float(table["rate"].values[v, d, s, RATED.index("harmful")])
                    cell = metrics.setdefault(str(variant), {}).setdefault(str(domain), {})
                    cell[str(split)] = round(rate, 4)
    return metrics


def samples_icc(events: np.ndarray, n: np.ndarray, domain_of: np.ndarray, held_out: np.ndarray) -> float:
    """How alike the samples of one situation are: pooled over variants, domains and splits.

    A cell of a few situations and a rare outcome cannot tell, and would get an interval too narrow.

    Parameters
    ----------
    events, n
        (variant, situation): samples of one outcome, and all.
    domain_of, held_out
        (situation,) each.
    """
    cells = [
        (domain_of == domain) & (held_out == split)
        for domain in sorted(set(domain_of))
        for split in (False, True)
    ]
    return pooled_rate_icc((events[v, cell], n[v, cell]) for v in range(len(n)) for cell in cells)


def _rates(
    count: np.ndarray,
    variants: Sequence[str],
    domain_of: np.ndarray,
    held_out: np.ndarray,
    confidence: float,
) -> xr.Dataset:
    domains = [ALL, *sorted({domain for domain in domain_of if domain})]
    icc = [samples_icc(count[..., o], count.sum(axis=2), domain_of, held_out) for o in range(len(RATED))]
    shape = (len(variants), len(domains), len(SPLITS))
    n, n_situations = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    table = {name: np.full((*shape, len(RATED)), np.nan) for name in ("rate", "low", "high")}
    for v, d, s in np.ndindex(shape):
        rows = (held_out == (SPLITS[s] == "held-out")) & ((domains[d] == ALL) | (domain_of == domains[d]))
        cell = count[v, rows]  # (situation, outcome)
        total = cell.sum(axis=1)
        n[v, d, s], n_situations[v, d, s] = total.sum(), (total > 0).sum()
        if n[v, d, s] == 0:
            continue
        for o in range(len(RATED)):
            table["rate"][v, d, s, o] = cell[:, o].sum() / total.sum()
            table["low"][v, d, s, o], table["high"][v, d, s, o] = clustered_rate_interval(
                cell[:, o], total, confidence, icc=icc[o]
            )
    dims = ("variant", "domain", "split")
    return xr.Dataset(
        {
            "n": (dims, n),
            "n_situations": (dims, n_situations),
            **{name: ((*dims, "outcome"), array) for name, array in table.items()},
        },
        coords={
            "variant": ("variant", np.array(variants, dtype=object)),
            "domain": ("domain", np.array(domains, dtype=object)),
            "split": ("split", np.array(SPLITS, dtype=object)),
            "outcome": ("outcome", np.array(RATED, dtype=object)),
        },
    )


def _by_situation(
    count: np.ndarray,
    variants: Sequence[str],
    situations: Sequence[tuple[str, str]],
    held_out: np.ndarray,
) -> xr.Dataset:
    n = count.sum(axis=2)
    rate = np.full(count.shape, np.nan)
    np.divide(count, n[..., None], out=rate, where=n[..., None] > 0)
    return xr.Dataset(
        {
            "n": (("variant", "situation"), n.astype(np.int32)),
            "rate": (("variant", "situation", "outcome"), rate),
        },
        coords={
            "variant": ("variant", np.array(variants, dtype=object)),
            "situation": ("situation", np.array([s for _, s in situations], dtype=object)),
            "situation_domain": ("situation", np.array([d for d, _ in situations], dtype=object)),
            "situation_held_out": ("situation", held_out),
            "outcome": ("outcome", np.array(RATED, dtype=object)),
        },
    )
