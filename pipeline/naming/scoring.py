"""Names with what they are worth: a namer's answers, and the table that is stored of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from pipeline.analysis.name_scores import NOT_SCORED, NameScore, beats_control, name_score, other_names
from pipeline.naming.answers import NamingAnswer
from pipeline.naming.cases import FeatureCase
from pipeline.naming.protocol import Claim, Namer
from store.schema.names import NAME_STATUSES


@dataclass(frozen=True, kw_only=True)
class Named:
    """One judge's name of one feature; as the arrays of the NAMES dataset."""

    status: str
    name: str = ""
    score: NameScore = NOT_SCORED
    shuffled: float = np.nan
    detail: str = ""


def named(cases: Sequence[FeatureCase], namer: Namer, *, confidence: float, seed: int) -> list[Named]:
    """Ask a namer, which is prepared with those `cases` that show anything, and score what it says.

    Raises
    ------
    UserError
        It cannot go on. What was answered is kept.
    """
    shown = [place for place, case in enumerate(cases) if case.shown]
    given = dict(zip(shown, namer.names(), strict=True))
    names = [given[place].name if place in given else "" for place in range(len(cases))]
    others = other_names(names, seed)
    own = [place for place in shown if names[place] and cases[place].held_out]
    control = [place for place in own if others[place] >= 0]
    said = namer.predictions(
        [Claim(names[place], cases[place].held_out) for place in own]
        + [Claim(names[others[place]], cases[place].held_out) for place in control]
    )
    predicted = dict(zip(own, said[: len(own)], strict=True))
    shuffled = dict(zip(control, said[len(own) :], strict=True))
    return [
        Named(status="no contexts")
        if place not in given
        else _named(given[place], predicted.get(place), shuffled.get(place), case, confidence)
        for place, case in enumerate(cases)
    ]


def _named(
    given: NamingAnswer,
    own: NamingAnswer | None,
    control: NamingAnswer | None,
    case: FeatureCase,
    confidence: float,
) -> Named:
    # What was asked and gave nothing says why there is no score; the name, if there is one, stands.
    for answer in (given, own, control):
        if answer is not None and answer.status != "judged":
            return Named(status=answer.status, name=given.name, detail=answer.detail)
    if own is None:
        return Named(status="unscored", name=given.name)
    fires = [each.fires for each in case.held_out]
    return Named(
        status="scored",
        name=given.name,
        score=name_score(fires, own.fires, confidence),
        shuffled=np.nan
        if control is None
        else name_score(fires, control.fires, confidence).balanced_accuracy,
    )


def name_groups(cases: Sequence[FeatureCase], found: Mapping[str, Sequence[Named]]) -> dict[str, xr.Dataset]:
    """The groups of the NAMES dataset: a row a feature of `cases`, by judge."""
    shape = len(found), len(cases)

    def table(values: Any, dtype: Any) -> tuple[tuple[str, str], np.ndarray]:
        rows = [[values(each) for each in judge] for judge in found.values()]
        return ("judge", "feature"), np.array(rows, dtype).reshape(shape)

    layer, index = (np.array([case.feature[end] for case in cases]) for end in (0, 1))
    return {
        "names": xr.Dataset(
            {
                "layer": ("feature", layer.astype(np.int16)),
                "index": ("feature", index.astype(np.int32)),
                "name": table(lambda each: each.name, object),
                "balanced_accuracy": table(lambda each: each.score.balanced_accuracy, np.float64),
                "low": table(lambda each: each.score.low, np.float64),
                "high": table(lambda each: each.score.high, np.float64),
                "shuffled_accuracy": table(lambda each: each.shuffled, np.float64),
                "n_contexts": ("feature", np.array([len(case.held_out) for case in cases], np.int32)),
                "status": table(lambda each: NAME_STATUSES.index(each.status), np.int8),
                "detail": table(lambda each: each.detail, object),
            },
            coords={"judge": np.array(list(found), object)},
        )
    }


def summary(found: Sequence[Named], namer: Namer) -> dict[str, Any]:
    """Metrics of a judge: features by status, how well its names tell, and what the answers took, ever."""
    status = Counter(each.status for each in found)
    scored = [each for each in found if each.status == "scored"]
    return {
        "features": len(found),
        **{name: status[name] for name in NAME_STATUSES},
        "above_control": int(
            beats_control(
                np.array([each.score.low for each in scored]), np.array([each.shuffled for each in scored])
            ).sum()
        ),
        "balanced_accuracy": _mean([each.score.balanced_accuracy for each in scored]),
        "shuffled_accuracy": _mean([each.shuffled for each in scored]),
        **namer.usage().model_dump(),
        "cost": round(namer.cost(), 4),
    }


def _mean(values: Sequence[float]) -> float | None:
    known = [value for value in values if np.isfinite(value)]
    return round(float(np.mean(known)), 4) if known else None
