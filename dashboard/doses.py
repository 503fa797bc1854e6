"""How probabilities and features answer to the adapter's scale; no Streamlit here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from dashboard.nodescores import Contrasts

READ: Final = (
    "target_token",
    "target_probability",
    "active_layer",
    "active_position",
    "active_feature",
    "active_value",
    "direct",
)
"""The arrays of a graph that are read."""


@dataclass(frozen=True, kw_only=True)
class Dose:
    """One scale's graph of a prompt: `variant`, and the arrays `READ` of its item."""

    variant: str
    arrays: Mapping[str, np.ndarray]

    @property
    def scale(self) -> float:
        """What the adapter's difference is multiplied by; 0 for base."""
        return scale_of(self.variant)


def scale_of(variant: str) -> float:
    """Scale of a variant's name.

    >>> scale_of("general@0.25"), scale_of("base")
    (0.25, 0.0)
    """
    _, at, scale = variant.partition("@")
    return float(scale) if at else 0.0


def response(doses: Sequence[Dose], labels: Mapping[int, str]) -> pd.DataFrame:
    """Probability of the evil and of the safe targets together, by scale.

    Returns
    -------
    pd.DataFrame
        Columns scale, variant, label (evil, safe), probability, n (targets of that label); no row
        of a label that no target has.
    """
    rows = []
    for dose in doses:
        tokens = dose.arrays["target_token"].tolist()
        probability = dose.arrays["target_probability"].astype(np.float64)
        of = np.array([labels.get(token, "unlabelled") for token in tokens])
        rows += [
            {
                "scale": dose.scale,
                "variant": dose.variant,
                "label": label,
                "probability": float(probability[of == label].sum()),
                "n": int((of == label).sum()),
            }
            for label in ("evil", "safe")
            if (of == label).any()
        ]
    return pd.DataFrame(rows, columns=["scale", "variant", "label", "probability", "n"])


def feature_responses(doses: Sequence[Dose], one: Contrasts) -> pd.DataFrame:
    """Activation and direct effect of every feature by scale, each summed over positions.

    Parameters
    ----------
    doses
        All scales of a prompt.
    one
        The one contrast that `direct` is read on.

    Returns
    -------
    pd.DataFrame
        Columns layer, feature, scale, activation, direct (logits); a row a feature and scale, 0
        where it is inactive.
    """
    frames = []
    for dose in doses:
        arrays = dose.arrays
        weights = one.on(arrays["target_token"])[0]
        frames.append(
            pd.DataFrame(
                {
                    "layer": arrays["active_layer"].astype(int),
                    "feature": arrays["active_feature"].astype(int),
                    "scale": dose.scale,
                    "activation": arrays["active_value"].astype(np.float64),
                    "direct": weights @ arrays["direct"].astype(np.float64),
                }
            )
        )
    every = pd.concat(frames, ignore_index=True)
    summed = every.groupby(["layer", "feature", "scale"]).sum().unstack("scale", fill_value=0.0)
    stacked: pd.DataFrame = summed.stack("scale", future_stack=True).reset_index()
    return stacked


def most_changed(responses: pd.DataFrame, limit: int) -> list[tuple[int, int]]:
    """Features whose direct effect differs most between two scales, most first."""
    spread = responses.groupby(["layer", "feature"])["direct"].agg(lambda values: values.max() - values.min())
    order = spread.sort_values(ascending=False, kind="stable").index[:limit]
    return [(int(layer), int(feature)) for layer, feature in order]
