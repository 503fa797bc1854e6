"""Trials on prompts: from logits of labelled tokens to effects, ranks, flips and controls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from pipeline.analysis.against_controls import share_as_extreme
from pipeline.analysis.validation_sets import Situation
from pipeline.params.interventions import InterventionParams

_MARKS = ("logit_before", "logit_after", "log_probability_before", "log_probability_after")
_RANKS = ("rank_before", "rank_after")


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What `pipeline.interventions.tried.compute_tried` found of one prompt.

    Attributes
    ----------
    prompt, situation, partner, n_shared
        Its hash, what it is about, and where its patched values come from.
    tokens, weights
        (token,) labelled tokens, and their weights in evil minus safe.
    arrays
        By variant, the item's.
    """

    prompt: str
    situation: Situation
    partner: str
    n_shared: int
    tokens: np.ndarray
    weights: np.ndarray
    arrays: Mapping[str, Mapping[str, np.ndarray]]

    @property
    def evil(self) -> np.ndarray:
        """(token,) bool; the others are safe."""
        found: np.ndarray = self.weights > 0
        return found


def cells(tried: Sequence[Tried], variants: Sequence[str], params: InterventionParams) -> xr.Dataset:
    """The group ``cells`` of the INTERVENTIONS dataset.

    Parameters
    ----------
    tried
        Of every prompt; each has all variants.
    variants
        Whose trials follow each other.
    """
    width = max((len(one.tokens) for one in tried), default=0)
    columns = [_of_prompt(one, variants, params, width) for one in tried]
    arrays: dict[str, tuple[tuple[str, ...], np.ndarray]] = {
        name: (("trial", "prompt", *_inner(name)), np.stack([column[name] for column in columns], axis=1))
        for name in (columns[0] if columns else ())
    }
    words = {
        "prompt": [one.prompt for one in tried],
        "situation": [one.situation[1] for one in tried],
        "domain": [one.situation[0] for one in tried],
        "partner": [one.partner for one in tried],
    }
    return xr.Dataset(
        arrays
        | {name: (("prompt",), np.array(values, object)) for name, values in words.items()}
        | {
            "n_shared": (("prompt",), np.array([one.n_shared for one in tried], np.int32)),
            "token": (
                ("prompt", "token"),
                np.array([_padded(one.tokens, width, -1) for one in tried], np.int32).reshape(-1, width),
            ),
            "evil": (
                ("prompt", "token"),
                np.array([_padded(one.evil, width, False) for one in tried], bool).reshape(-1, width),
            ),
        }
    )


def token_effects(tried: Sequence[Tried], variants: Sequence[str]) -> list[np.ndarray]:
    """(trial, token) float64 changes of logits, by prompt; trials of all variants."""
    return [
        np.concatenate([one.arrays[variant]["effect"] for variant in variants]).astype(np.float64)
        for one in tried
    ]


def _inner(name: str) -> tuple[str, ...]:
    if name in (*_MARKS, *_RANKS):
        return ("token",)
    return ("control",) if name in ("control_effect", "control_index") else ()


def _of_prompt(
    one: Tried, variants: Sequence[str], params: InterventionParams, width: int
) -> dict[str, np.ndarray]:
    parts = [_of_variant(one, one.arrays[variant], params, width) for variant in variants]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _of_variant(
    one: Tried, arrays: Mapping[str, np.ndarray], params: InterventionParams, width: int
) -> dict[str, np.ndarray]:
    """(trial, ...) arrays of one variant."""
    effects = arrays["effect"].astype(np.float64)  # (trial, token)
    # An interaction is what two features do beyond what both alone add up to: it is measured from there.
    before = arrays["baseline"].astype(np.float64) + arrays["added"].astype(np.float64)
    after = before + effects
    mass = (arrays["mass"] + arrays["added_mass"])[:, None]
    mass_after = mass + arrays["effect_mass"][:, None]
    effect, baseline = effects @ one.weights, before @ one.weights
    controls = arrays["controls"].astype(np.float64) @ one.weights
    marks = (before, after, before - mass, after - mass_after)
    ranks = (np.broadcast_to(arrays["baseline_rank"], effects.shape), arrays["rank"])
    return {
        "baseline": baseline,
        "intervened": baseline + effect,
        "effect": effect,
        "effect_log_probability": _log_sum((after - mass_after)[:, one.evil])
        - _log_sum((before - mass)[:, one.evil]),
        "relative": relative_effect(effect, baseline, params.relative_floor),
        "flip": baseline * (baseline + effect) < 0,
        "before": arrays["before"][:, 0],
        "after": arrays["after"][:, 0],
        "second_before": arrays["before"][:, 1],
        "second_after": arrays["after"][:, 1],
        "n_positions": arrays["n_positions"],
        "control_effect": controls.astype(np.float32),
        "control_index": arrays["control_index"],
        "p": share_as_extreme(effect, controls),
        **{
            name: _padded(values.astype(np.float32), width, np.nan)
            for name, values in zip(_MARKS, marks, strict=True)
        },
        **{
            name: _padded(values.astype(np.int32), width, -1)
            for name, values in zip(_RANKS, ranks, strict=True)
        },
    }


def relative_effect(effect: np.ndarray, baseline: np.ndarray, floor: float) -> np.ndarray:
    """Effect by |baseline|, so that its sign is the effect's; NaN where |baseline| is below a floor."""
    size = np.abs(baseline)
    found: np.ndarray = np.divide(effect, size, out=np.full_like(effect, np.nan), where=size >= floor)
    return found


def _log_sum(values: np.ndarray) -> np.ndarray:
    """(trial,) log of the sum of exponentials of (trial, token)."""
    found: np.ndarray = np.logaddexp.reduce(values, axis=1)
    return found


def _padded(values: np.ndarray, width: int, fill: float) -> np.ndarray:
    """(..., token) with as many tokens as any prompt has."""
    found = np.full((*values.shape[:-1], width), fill, values.dtype)
    found[..., : values.shape[-1]] = values
    return found
