"""The one door to torch: models that run live, loaded when first needed."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import streamlit as st

from dashboard.data import documents, project
from store.base.errors import StoreError, UserError

if TYPE_CHECKING:
    from pipeline.interventions.engine import SteeringEngine
    from pipeline.live import LivePool, LiveSubject
    from pipeline.params.project import Params

SMALL: Final = 20_000_000
"""Parameters below which one torch thread is fastest: more only wait for one another, and on
a busy machine they wait seven times as long as the work takes (60 against 410 ms)."""

EMPTY: Final = "The prompt is empty; type the text that the model is to continue."


class NotLiveError(StoreError):
    """A model cannot run here, or not on this; the message says why and what to do."""


def require(profile: str) -> None:
    """Check that models can run, without importing anything heavy.

    Raises
    ------
    NotLiveError
        torch is not installed, or the weights are not on this disk.
    """
    from importlib.util import find_spec

    if find_spec("torch") is None or find_spec("circuit_tracer") is None:
        raise NotLiveError(
            "torch and circuit-tracer are not installed here, and this runs the model live. "
            "`pip install -r requirements.txt` installs both; every other page works without them."
        )
    manifest = documents.models(profile)
    adapters = [part.source for part in manifest.deltas.values()]
    own, put_on = _made_here(manifest.base.source, manifest.transcoders.source), _made_here(*adapters)
    if own or put_on:
        _require_same_folder(profile)
    missing = [source for source in own if not (project.root() / source).is_dir()]
    if missing:
        raise NotLiveError(
            f"The weights {' and '.join(missing)} are not on this disk, and this runs the model "
            "live. `dvc pull` fetches them, `dvc repro` makes them."
        )


def _made_here(*sources: str) -> list[str]:
    return [source for source in sources if source.startswith("artifacts/")]


def _require_same_folder(profile: str) -> None:
    """Weights are read from the root's artifacts, which may be other ones than those that are shown."""
    if (place := project.place()) is not None:
        raise NotLiveError(
            f"This runs the model live, and weights are not read from {place}; `python -m store pull "
            f"{place}/{profile} here/artifacts/{profile}` fetches them, and `EMC_ROOT=here` without "
            "EMC_ARTIFACTS shows what was fetched."
        )
    shown = project.artifact(profile, "models.json").parent.parent.resolve()
    if shown != (project.root() / "artifacts").resolve():
        raise NotLiveError(
            f"This runs the model live, and weights are not read from {shown}, which EMC_ARTIFACTS names; "
            f"`EMC_ROOT={shown.parent}` without EMC_ARTIFACTS shows the project that they are of."
        )


@dataclass(frozen=True, kw_only=True)
class Live:
    """A loaded variant.

    Attributes
    ----------
    subject
        Its engine, and the tokenizer for typed prompts.
    """

    subject: "LiveSubject"

    @property
    def engine(self) -> "SteeringEngine":
        """What steers it."""
        return self.subject.engine

    def use_threads(self) -> None:
        """Set torch's threads, which each of Streamlit's script threads holds for itself."""
        use_threads(self.subject.n_parameters)


def use_threads(n_parameters: int) -> None:
    """Let this thread run a small model on one torch thread."""
    if n_parameters < SMALL:
        import torch

        torch.set_num_threads(1)


@st.cache_resource(max_entries=2, show_spinner=False)
def _pool(manifest: str, key: str, root: str) -> "LivePool":
    from pipeline.live import LivePool

    return LivePool(Path(manifest), Path(root))


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Turn what a model's user can mend into `NotLiveError`.

    Raises
    ------
    NotLiveError
        In place of `store.base.errors.UserError` and `ImportError`.
    """
    try:
        yield
    except UserError as error:
        raise NotLiveError(str(error)) from error
    except ImportError as error:
        raise NotLiveError(
            f"{error.name or 'A package'} cannot be imported, and the model needs it. "
            "`pip install -r requirements.txt` installs it."
        ) from error


def pool(profile: str) -> "LivePool":
    """The profile's models: each variant is loaded once, for every page and session.

    Raises
    ------
    NotLiveError
        Models cannot run here.
    """
    require(profile)
    path = project.artifact(profile, "models.json")
    with explained():
        return _pool(str(path), project.stamp(path), str(project.root()))


def load(profile: str, variant: str) -> Live:
    """The steering engine of a variant, loaded once.

    Raises
    ------
    NotLiveError
        The model cannot be loaded; the message says why.
    """
    with st.spinner("Loading the model", show_time=True):
        models = pool(profile)
        with explained():
            subject = models.subject(variant)
            subject.engine  # noqa: B018 -- made while the spinner turns
            return Live(subject=subject)


@st.cache_resource(max_entries=4, show_spinner=False)
def _params(path: str, key: str) -> "Params":
    from pipeline.params.project import load_params

    return load_params(Path(path))


def params() -> "Params":
    """``params.yaml``.

    Raises
    ------
    NotLiveError
        It is missing or malformed.
    """
    path = project.root() / "params.yaml"
    with explained():
        return _params(str(path), project.stamp(path))
