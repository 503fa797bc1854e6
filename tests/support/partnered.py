"""What interventions along partners find on a prompt, made up: what circuits carry, features that act."""

from typing import Any

import numpy as np

from store.schema.vocabulary import SPAN_PARTS


def logits(contrast: Any) -> np.ndarray:
    """(..., token) of a contrast; a constant added to both tokens is nothing."""
    contrast = np.asarray(contrast, np.float64)
    return np.stack([contrast + 5.0, np.full_like(contrast, 5.0)], axis=-1).astype(np.float32)


def held_arrays(
    rng: np.random.Generator,
    shares: np.ndarray,
    sites: np.ndarray,
    *,
    paired: bool = True,
    noise: float = 0.1,
) -> dict[str, np.ndarray]:
    """Arrays of a `circuit_logits` item: about 4 on the prompt, -4 on its partner.

    Parameters
    ----------
    shares
        (circuit, k) that circuits carry; behind them stand nine random ones that carry a tenth.
    sites
        (3, site) that the stream, all features and the circuit carry at the span; random ones carry 0.05.
    """
    clean, partner = 4.0 + rng.normal() * noise, -4.0 + rng.normal() * noise
    share = np.concatenate([shares, np.full((9, shares.shape[1]), 0.1)])
    share = share + noise * 0.1 * rng.normal(size=share.shape)
    n, n_sites = int(paired), sites.shape[1]
    chance = np.full((9, n_sites), 0.05)
    return {
        "clean": logits(clean),
        "ablated": logits(clean - share * clean),
        "partnered": logits([partner][:n]),
        "given": logits(partner + share * (clean - partner))[: len(share) * n],
        "taken": logits(clean - share * (clean - partner))[: len(share) * n],
        **{
            name: logits(clean + row * (partner - clean))[: n_sites * n]
            for name, row in zip(SPAN_PARTS, sites, strict=False)
        },
        "by_chance": logits(clean + chance * (partner - clean))[:, : n_sites * n],
    }


def effect_arrays(
    rng: np.random.Generator, n_single: int, n_whole: int, n_controls: int
) -> dict[str, np.ndarray]:
    """Arrays of a `partnered_effects` item: the first takes 4 of a contrast of 3, the fourth nothing."""
    n = n_single + n_whole
    effect = 0.3 * rng.normal(size=(n, 2))
    effect[0] += [-2.5, 1.5]
    n_acting = np.ones(n, np.int32)
    effect[3], n_acting[3] = 0.0, 0
    controls = (0.3 * rng.normal(size=(n, n_controls, 2))).astype(np.float32)
    index = np.tile(np.arange(n_controls, dtype=np.int32), (n, 1))
    controls[n_single:], index[n_single:] = np.nan, -1
    return {
        "baseline": np.array([4.0, 1.0], np.float32),
        "baseline_rank": np.array([1, 5], np.int32),
        "mass": np.array([5.0]),
        "effect": effect.astype(np.float32),
        "effect_mass": np.full(n, 0.25),
        "rank": np.full((n, 2), 2, np.int32),
        "before": np.ones((n, 2), np.float32),
        "after": np.zeros((n, 2), np.float32),
        "n_positions": n_acting,
        "controls": controls,
        "control_index": index,
    }
