"""Artifacts that lie in object storage: which version a session sees, and the folder in which it appears.

``EMC_ARTIFACTS`` names a place with a folder a profile, each pushed by ``python -m store push``, or another
folder of artifacts. Files come when a page reads them, and stay below ``.cache/artifacts`` of the root.
"""

import os
import time
from collections.abc import MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import streamlit as st

from store.base.errors import StoreError, UserError
from store.base.hashing import digest

if TYPE_CHECKING:
    from store.remote.folders import FolderFiles
    from store.remote.places import ObjectFiles

VARIABLE: Final = "EMC_ARTIFACTS"
_ASKED_EVERY: Final = 10.0
"""Seconds for which what a place says of its profiles and their versions is believed."""
_SEEN: Final = "_versions"
"""In a session's state: the folder of each profile's version, from one run of the page to the next."""


def chosen() -> "ObjectFiles | FolderFiles | None":
    """The place that the environment names; None: the project's own folder.

    Raises
    ------
    StoreError
        It is of a kind that is not supported.
    """
    place = os.environ.get(VARIABLE, "").strip()
    if not place:
        return None
    from store.remote.places import files_at  # on the project's own folder nobody asks for it

    try:
        return files_at(place)
    except UserError as error:
        raise StoreError(f"{VARIABLE}: {error}") from error


def begin() -> None:
    """Let a run of a page see what is current now: until the next, it sees nothing newer."""
    if _SEEN in st.session_state:
        del st.session_state[_SEEN]


def profiles(place: "ObjectFiles") -> list[str]:
    """Profiles that were pushed to a place.

    Raises
    ------
    StoreError
        The service refuses.
    """
    found = list(_profiles(place.scheme, place.path, _now()))
    if found == ["versions"]:
        raise StoreError(f"{VARIABLE} is {place}, which is one profile; name the folder above it.")
    return found


def folder(place: "ObjectFiles", profile: str, root: Path) -> Path:
    """Where the files of a profile's version appear when they are read.

    Parameters
    ----------
    place
        Where profiles were pushed.
    profile
        Its name.
    root
        Root of the project.

    Raises
    ------
    StoreError
        Nothing was pushed, or the service refuses.
    """
    seen = _seen()
    name = f"{place}/{profile}"
    if name not in seen:
        seen[name] = _current(place.scheme, f"{place.path}/{profile}", str(root), _now())
    return Path(seen[name])


def _seen() -> MutableMapping[Any, Any]:
    from streamlit.runtime.scriptrunner import get_script_run_ctx

    if get_script_run_ctx(suppress_warning=True) is None:  # a thread of no session
        return {}
    seen: MutableMapping[Any, Any] = st.session_state.setdefault(_SEEN, {})
    return seen


def _now() -> int:
    return int(time.monotonic() / _ASKED_EVERY)


@st.cache_resource(max_entries=2, show_spinner=False)
def _profiles(scheme: str, path: str, now: int) -> tuple[str, ...]:
    from store.remote.places import ObjectFiles

    place = ObjectFiles(scheme, path)
    try:
        found = tuple(name for name in place.folders() if not name.startswith("."))
        if not found:
            place.require()  # that it is empty is said of a bucket that is not there, too
        return found
    except UserError as error:
        raise StoreError(f"{VARIABLE}: {error}") from error


@st.cache_resource(max_entries=8, show_spinner=False)
def _current(scheme: str, path: str, root: str, now: int) -> str:
    from store.remote.mirror import mirrored
    from store.remote.places import ObjectFiles

    place = ObjectFiles(scheme, path)
    cache = Path(root) / ".cache" / "artifacts" / digest(str(place))[:16]
    return str(mirrored(place, cache).folder)
