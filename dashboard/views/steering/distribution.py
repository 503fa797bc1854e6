"""What the Steering page asks of a loaded model, and what it shows of the answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from dashboard.live.models import EMPTY, Live, NotLiveError, explained


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One feature turned, as the page's widgets say it.

    Attributes
    ----------
    layer, index
        The feature, 0-based.
    mode
        set, add or multiply.
    value
        Activation for set and add, a factor for multiply.
    where
        last, all, always, or positions.
    """

    layer: int
    index: int
    mode: str
    value: float
    where: str | tuple[int, ...]

    @property
    def nothing(self) -> bool:
        """Whether it changes nothing by its own meaning."""
        return (self.mode == "add" and self.value == 0) or (self.mode == "multiply" and self.value == 1)


def token_ids(live: Live, text: str) -> tuple[int, ...]:
    """Token ids of a typed prompt, BOS in front.

    Raises
    ------
    NotLiveError
        The text is empty or too long.
    """
    if not text.strip():
        raise NotLiveError(EMPTY)
    with explained():
        ids = tuple(int(token) for token in live.subject.encode(text))
    if len(ids) > live.engine.context:
        raise NotLiveError(f"The prompt is {len(ids)} tokens long; the model takes {live.engine.context}.")
    return ids


def _interventions(turns: Sequence[Turn]) -> list[Any]:
    from pipeline.interventions import Intervention

    return [
        Intervention(layer=turn.layer, feature=turn.index, mode=turn.mode, value=turn.value, where=turn.where)
        for turn in turns
        if not turn.nothing
    ]


def next_token(live: Live, ids: Sequence[int], turns: Sequence[Turn], *, controls: int) -> Any:
    """Next-token distribution before and after, with the random controls.

    Raises
    ------
    NotLiveError
        A feature or position that the model does not have.
    """
    live.use_threads()
    with explained():
        return live.engine.next_token(ids, _interventions(turns), controls=controls)


def sample(live: Live, ids: Sequence[int], turns: Sequence[Turn], **options: Any) -> Any:
    """Iterator of continuations before and after, growing token by token."""
    live.use_threads()
    return live.engine.sample(ids, _interventions(turns), **options)


def outcome(text: str, phrases: dict[str, list[str]] | None) -> str:
    """What a continuation is, by the domain's phrases; unlabelled without any."""
    if not phrases:
        return "unlabelled"
    from pipeline.interventions import classify

    return str(classify(text, phrases))


def distribution_frame(
    result: Any, *, vocabulary: Sequence[str], labels: dict[int, str], limit: int = 12
) -> pd.DataFrame:
    """Before, after and the controls' band, of the most probable tokens on either side.

    Returns
    -------
    pd.DataFrame
        Columns token, text, label, side (before, after), probability, low and high (middle
        90% of the random controls; NaN without controls, and on the before side).
    """
    before, after = result.baseline_probability, result.steered_probability
    low, high = control_band(result.control_probability)
    best = np.argsort(-np.maximum(before, after), kind="stable")[:limit]
    rows = []
    for token in best.tolist():
        common = {
            "token": token,
            "text": vocabulary[token] if token < len(vocabulary) else f"⟨{token}⟩",
            "label": labels.get(token, "unlabelled"),
        }
        rows.append(
            {**common, "side": "before", "probability": float(before[token]), "low": np.nan, "high": np.nan}
        )
        rows.append(
            {
                **common,
                "side": "after",
                "probability": float(after[token]),
                "low": float(low[token]) if low is not None else np.nan,
                "high": float(high[token]) if high is not None else np.nan,
            }
        )
    return pd.DataFrame(rows)


def control_band(values: np.ndarray) -> tuple[Any, Any]:
    """Where the middle 90% of the controls lies, by token; (None, None) without controls."""
    if len(values) == 0:
        return None, None
    low, high = np.quantile(values, [0.05, 0.95], axis=0)
    return low, high


def mass(result: Any, tokens: Sequence[int]) -> dict[str, float]:
    """Probability on some tokens: before, after, and the band of the controls."""
    chosen = list(tokens)
    controls = result.control_probability[:, chosen].sum(axis=1)
    low, high = control_band(controls)
    return {
        "before": float(result.baseline_probability[chosen].sum()),
        "after": float(result.steered_probability[chosen].sum()),
        "low": float("nan") if low is None else float(low),
        "high": float("nan") if high is None else float(high),
    }
