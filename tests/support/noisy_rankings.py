"""How a ranking by labels of known errors compares with that by true labels, in a world of known aims."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import xarray as xr

from pipeline.analysis.statistics import spearman
from pipeline.params.features import FeatureParams
from pipeline.text.token_labels import TokenLabels
from tests.support.label_worlds import World, make_world

AIMED: Final = 7
"""The feature that favours evil tokens most."""
FEATURES: Final = 200
TOP: Final = 20
_TOKENS: Final = 24
_SIZE: Final = 2.5
"""What the aimed feature adds to evil tokens, in logits; the other aims are 0.4 on average."""


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """Of two rankings of the same features.

    Attributes
    ----------
    first
        Whether the second has the aimed feature first.
    found
        Whether it is among the second's findings.
    spearman
        Rank correlation of the effects.
    top
        Share of the first's `TOP` features, by size of the effect, that are among the second's.
    """

    first: bool
    found: bool
    spearman: float
    top: float


def aimed_world(seed: int, *, prompts: int = 40) -> World:
    """Features that favour evil or safe tokens more or less, beside tokens that they like for no reason."""
    rng = np.random.default_rng([11, seed])
    aims = rng.laplace(scale=0.4, size=FEATURES).clip(-_SIZE / 2, _SIZE / 2)
    aims[AIMED] = _SIZE
    of_token = 0.5 * rng.normal(size=(_TOKENS, FEATURES))
    of_token[: _TOKENS // 2] += aims
    return make_world(of_token, rng, prompts=prompts, targets=8, noise=0.5)


def likeness(world: World, reference: xr.Dataset, labels: TokenLabels, params: FeatureParams) -> Likeness:
    """The ranking by `labels` against the `reference` of the same world."""
    table = world.ranking(labels, params)
    true, now = (each["effect"].values.astype(np.float64) for each in (reference, table))
    best = [set(np.argsort(-np.abs(effect))[:TOP].tolist()) for effect in (true, now)]
    return Likeness(
        first=int(np.abs(now).argmax()) == AIMED,
        found=bool(table["found"].values[AIMED]),
        spearman=float(spearman(true[None], now[None])[0]),
        top=len(best[0] & best[1]) / TOP,
    )
