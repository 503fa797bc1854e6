"""What a feature does on an answer: one teacher-forced pass, live."""

from collections.abc import Callable
from typing import Final

import numpy as np
import streamlit as st

from dashboard.data import project
from dashboard.data.answers import Answer
from dashboard.live import models as live
from dashboard.live.jobs import Progress
from dashboard.live.models import NotLiveError
from dashboard.live.watching import jobs, watch
from dashboard.style.text import feature_name
from store.base.hashing import canonical_json

_LOADED: Final = 0.7
"""Where reading begins, as a share of the time that a small model takes."""


def activations(
    profile: str, answer: Answer, reader: str, feature: tuple[int, int], *, on_stop: Callable[[], None]
) -> np.ndarray:
    """A feature's activation on every token of an answer.

    Parameters
    ----------
    profile, answer
        The answer, read behind the prompt that it was given to.
    reader
        The variant that reads it.
    feature
        Layer and index.
    on_stop
        Called where a person stops it, see `dashboard.live.watching.watch`.

    Returns
    -------
    numpy.ndarray
        (token of the answer,) float32.

    Raises
    ------
    NotLiveError
        No model is here, it lacks the variant or the feature, or the answer does not fit into its context.
    """
    with st.spinner("Loading torch", show_time=True):
        models = live.pool(profile)
    sizes = models.manifest.model
    layer, index = feature
    if not (0 <= layer < sizes.n_layers and 0 <= index < sizes.d_transcoder):
        raise NotLiveError(
            f"There is no feature {feature_name(*feature)}: the model has {sizes.n_layers} layers of "
            f"{sizes.d_transcoder} features, both counted from 0."
        )
    manifest = project.artifact(profile, "models.json")
    key = canonical_json(
        {
            "what": "answer",
            "models": [str(manifest), project.stamp(manifest)],
            "tokens": list(answer.prompted),
            "reader": reader,
            "feature": list(feature),
        }
    )

    def run(progress: Progress) -> np.ndarray:
        live.use_threads(sizes.n_parameters)
        progress(f"loading {reader}", 0.0)
        engine = models.subject(reader).engine
        progress(f"reading the answer in {reader}", _LOADED)
        return engine.activations(answer.prompted, layer)[len(answer.wording.token_ids) :, index]

    try:
        return watch(jobs().get(key, run), on_stop=on_stop)
    except (RuntimeError, MemoryError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise NotLiveError(
            f"The answer could not be read ({reason}); the server's log has the details."
        ) from error
