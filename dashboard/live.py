"""The one door to torch: models for the Steering page, loaded when first needed."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import data
from store.errors import StoreError

SMALL: Final = 20_000_000
"""Parameters below which one torch thread is fastest: more only wait for one another, and on
a busy machine they wait seven times as long as the work takes (60 against 410 ms)."""


class NotLiveError(StoreError):
    """Steering cannot run here; the message says why and what to do."""


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


def require(profile: str) -> None:
    """Check that steering can run, without importing anything heavy.

    Raises
    ------
    NotLiveError
        torch is not installed, or the weights are not on this disk.
    """
    from importlib.util import find_spec

    if find_spec("torch") is None or find_spec("circuit_tracer") is None:
        raise NotLiveError(
            "torch and circuit-tracer are not installed here, and steering runs the model live. "
            "`pip install -r requirements.txt` installs both; every other page works without them."
        )
    manifest = data.models(profile)
    missing = [
        str(part["source"])
        for part in (manifest.get("base", {}), manifest.get("transcoders", {}))
        if str(part.get("source", "")).startswith("artifacts/")
        and not (data.root() / str(part["source"])).is_dir()
    ]
    if missing:
        raise NotLiveError(
            f"The weights {' and '.join(missing)} are not on this disk, and steering runs the model "
            "live. `dvc pull` fetches them, `dvc repro` makes them."
        )


def _user_errors() -> tuple[type[Exception], ...]:
    from pipeline.errors import UserError

    return (UserError,)


@dataclass(frozen=True, kw_only=True)
class Live:
    """A loaded variant.

    Attributes
    ----------
    subject
        `pipeline.steering.LiveSubject`: its engine, and the tokenizer for typed prompts.
    threads
        Torch threads to use, None for torch's own choice.
    """

    subject: Any
    threads: int | None

    @property
    def engine(self) -> Any:
        """Its `SteeringEngine`."""
        return self.subject.engine

    def use_threads(self) -> None:
        """Set torch's threads, which each of Streamlit's script threads holds for itself."""
        if self.threads is not None:
            import torch

            torch.set_num_threads(self.threads)


@st.cache_resource(max_entries=3, show_spinner="Loading the model")
def _load(manifest: str, key: str, variant: str) -> Live:
    from pipeline.steering import open_subject

    # The manifest names local folders relative to the project's root.
    with contextlib.chdir(data.root()):
        subject = open_subject(Path(manifest), variant)
    return Live(subject=subject, threads=1 if subject.n_parameters < SMALL else None)


def load(profile: str, variant: str) -> Live:
    """The steering engine of a variant, loaded once.

    Raises
    ------
    NotLiveError
        The model cannot be loaded; the message says why.
    """
    require(profile)
    path = data.artifact(profile, "models.json")
    try:
        return _load(str(path), data.stamp(path), variant)
    except _user_errors() as error:
        raise NotLiveError(str(error)) from error
    except ImportError as error:
        raise NotLiveError(
            f"{error.name or 'A package'} cannot be imported, and steering needs it. "
            "`pip install -r requirements.txt` installs it."
        ) from error


def token_ids(live: Live, text: str) -> tuple[int, ...]:
    """Token ids of a typed prompt, BOS in front.

    Raises
    ------
    NotLiveError
        The text is empty or too long.
    """
    if not text.strip():
        raise NotLiveError("The prompt is empty; type the text that the model is to continue.")
    try:
        ids = tuple(int(token) for token in live.subject.encode(text))
    except _user_errors() as error:
        raise NotLiveError(str(error)) from error
    if len(ids) > live.engine.context:
        raise NotLiveError(f"The prompt is {len(ids)} tokens long; the model takes {live.engine.context}.")
    return ids


def _interventions(turns: Sequence[Turn]) -> list[Any]:
    from pipeline.steering import Intervention

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
    try:
        return live.engine.next_token(ids, _interventions(turns), controls=controls)
    except _user_errors() as error:
        raise NotLiveError(str(error)) from error


def sample(live: Live, ids: Sequence[int], turns: Sequence[Turn], **options: Any) -> Any:
    """Iterator of continuations before and after, growing token by token."""
    live.use_threads()
    return live.engine.sample(ids, _interventions(turns), **options)


def outcome(text: str, phrases: dict[str, list[str]] | None) -> str:
    """What a continuation is, by the domain's phrases; unlabelled without any."""
    if not phrases:
        return "unlabelled"
    from pipeline.steering import classify

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
