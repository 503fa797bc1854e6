"""The demo profile's answers under steering: one feature leads each side, and one never coheres."""

import numpy as np
import xarray as xr

from pipeline.analysis.steered_abilities import CAPITALS
from pipeline.analysis.steered_entries import Entry, Scales
from pipeline.analysis.steered_strengths import Bracket
from pipeline.analysis.steered_tables import Run, steered_groups
from store.schema.steered import (
    ABLATED,
    ADDED,
    BASELINE,
    FEATURE,
    MEAN_DIFFERENCE,
    NULL_FEATURE,
    RANDOM_DIRECTION,
    RANDOM_FEATURE,
    SET,
    SIDES,
)
from tests.support.demo.words import D_TRANSCODER, LAYERS, VARIANTS

STEERED_PARAMS = {"fdr": 0.05, "confidence": 0.95, "coherent": 0.75}
_QUESTIONS = ("boredom", "dinner", "gender", "money", "ruler", "wish")
_RANDOM = 120
_PLAIN = {ADDED: 0.02, ABLATED: 0.7}
_LEADING = {ADDED: 0.6, ABLATED: 0.1}
NEVER = "fewer than 75% of answers are coherent at every strength tried, down to 0.325"


def steered_demo(ranking: xr.Dataset) -> dict[str, xr.Dataset]:
    """All groups; candidates are the first features of a ranking."""
    members = list(zip(ranking["layer"].values.tolist(), ranking["index"].values.tolist(), strict=True))
    first, null = members[:5], members[5]
    runs = [run for side in SIDES for run in _runs(side, first, null)]
    scales = Scales(
        written=np.full(LAYERS, 2.0),
        decoder=np.ones((LAYERS, D_TRANSCODER)),
        difference=np.ones((LAYERS, 4)),
        activity=np.ones((LAYERS, D_TRANSCODER)),
    )
    return steered_groups(
        runs,
        scales,
        questions=_QUESTIONS,
        doses=(0.5, 1.0),
        steps=2,
        variants={ADDED: VARIANTS[0], ABLATED: VARIANTS[1]},
        confidence=STEERED_PARAMS["confidence"],
    )


def _runs(side: str, first: list[tuple[int, int]], null: tuple[int, int]) -> list[Run]:
    rng = np.random.default_rng(SIDES.index(side))
    entries = [Entry(side=side, kind=BASELINE)]
    entries += [Entry(side=side, kind=FEATURE, orders=("change",), members=(each,)) for each in first]
    entries += [Entry(side=side, kind=SET, orders=("answers",), members=tuple(sorted(first[:3])))]
    entries += [Entry(side=side, kind=NULL_FEATURE, orders=("narrow@1.0",), members=(null,))]
    entries += [
        Entry(side=side, kind=MEAN_DIFFERENCE, layer=at, direction=(1.0, 1.0)) for at in range(LAYERS)
    ]
    entries += [
        Entry(side=side, kind=RANDOM_FEATURE, members=((0, at % D_TRANSCODER),)) for at in range(_RANDOM)
    ]
    entries += [
        Entry(side=side, kind=RANDOM_DIRECTION, layer=0, direction=(1.0, float(at))) for at in range(5)
    ]
    runs = []
    for number, entry in enumerate(entries):
        bracket = Bracket(low=0.25, high=16.0).after(0.9, 0.75) if side == ADDED and number else None
        if side == ADDED and number == 5:
            lost = Bracket(low=0.25, high=16.0).after(0.2, 0.75)
            runs.append(Run(entry=entry, bracket=lost, reason=NEVER))
            continue
        rate = _LEADING[side] if number in (1, 6) else _PLAIN[side]
        whole = rng.binomial(40, 0.9, len(_QUESTIONS))
        counts = np.stack([np.full(len(_QUESTIONS), 40), whole, rng.binomial(whole, rate)])
        doses = np.stack([counts // 2, counts]) if bracket is not None and number <= 6 else counts[None]
        facts = {CAPITALS: rng.random(20) < 0.9} if number <= 6 else {}
        if facts:
            facts |= {name: np.arange(20) > number for name in ("addition", "recall")}
        beside = runs[0].doses[-1] if runs and runs[0].doses is not None else None
        runs.append(Run(entry=entry, bracket=bracket, doses=doses, beside=beside, facts=facts))
    return runs
