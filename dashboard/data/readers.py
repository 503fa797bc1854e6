"""Cached readers of the artifact tree; everything is keyed by small stamps of the files.

`st.cache_data` hashes large arguments by sample, so nothing large is ever an argument:
readers take paths and a stamp (names, sizes and modification times of an artifact's
top-level files) and are remade when the artifact is.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import streamlit as st
import xarray as xr

from dashboard.data.tables import feature_row, level_words, ranking_frame
from dashboard.style.theme import variant_colours
from store.base.errors import ArtifactMissingError, DamagedArtifactError, NotInStoreError, StoreError
from store.collections.reader import Collection, open_collection
from store.datasets.groups import open_dataset, read_provenance
from store.documents.prompts import Prompt, read_prompts
from store.schema.rankings import ranking_group, situations_group
from store.views.graph import GraphView

T = TypeVar("T")


def root() -> Path:
    """Root of the project whose artifacts are shown: ``EMC_ROOT``, else the current folder."""
    return Path(os.environ.get("EMC_ROOT", ".")).resolve()


def profiles() -> list[str]:
    """Profiles that have anything under ``artifacts/``."""
    folder = root() / "artifacts"
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def artifact(profile: str, name: str) -> Path:
    """Path of an artifact of a profile."""
    return root() / "artifacts" / profile / name


def shown(path: Path) -> str:
    """A path as a person would type it at the project's root."""
    return path.relative_to(root()).as_posix() if path.is_relative_to(root()) else str(path)


def stamp(path: Path) -> str:
    """Small key of an artifact's state: changes whenever it is made anew; '' if absent."""
    try:
        own = path.stat()
        files = [own] if path.is_file() else [own, *(f.stat() for f in sorted(path.iterdir()))]
    except (FileNotFoundError, NotADirectoryError):
        # Absent, or a stage is just replacing it.
        return ""
    return "-".join(f"{f.st_ino:x}.{f.st_mtime_ns:x}.{f.st_size:x}" for f in files)


def _fresh(path: Path, reader: Callable[[str, str], T]) -> T:
    """Call a cached reader with an artifact's path and stamp.

    Raises
    ------
    ArtifactMissingError
        The artifact is not there (yet, or while its stage runs).
    """
    key = stamp(path)
    if not key:
        raise ArtifactMissingError(f"{shown(path)} does not exist yet; `dvc repro` makes it.")
    return reader(str(path), key)


def read_json(path: Path) -> Any:
    """A JSON file's content.

    Raises
    ------
    ArtifactMissingError
        There is no such file.
    DamagedArtifactError
        It is not JSON; names file and line.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtifactMissingError(f"{shown(path)} does not exist yet; `dvc repro` makes it.") from None
    except json.JSONDecodeError as error:
        raise DamagedArtifactError(
            f"{shown(path)} is not valid JSON (line {error.lineno}); `dvc checkout --force` "
            "restores it, `dvc repro` makes it anew."
        ) from error
    except UnicodeDecodeError as error:
        raise DamagedArtifactError(
            f"{shown(path)} is not UTF-8 text; `dvc checkout --force` restores it."
        ) from error


@st.cache_resource(max_entries=64, show_spinner=False)
def _json(path: str, key: str) -> Any:
    return read_json(Path(path))


def _object(path: Path) -> dict[str, Any]:
    value = _fresh(path, _json)
    if not isinstance(value, dict):
        raise DamagedArtifactError(
            f"{shown(path)} does not hold a JSON object; `dvc checkout --force` restores it."
        )
    return value


def models(profile: str) -> dict[str, Any]:
    """``models.json``: what base, transcoders and adapters are."""
    return _object(artifact(profile, "models.json"))


def lexicon(profile: str) -> dict[str, Any]:
    """Token labels and phrases by domain."""
    value = _object(artifact(profile, "lexicon.json")).get("domains", {})
    return value if isinstance(value, dict) else {}


def token_labels(profile: str, domain: str | None) -> dict[int, str]:
    """Label of each token id of a domain's lexicon; a token that is absent is unlabelled."""
    entry = lexicon(profile).get(domain or "", {})
    return {int(token): label for label in ("evil", "safe", "unsure") for token in entry.get(label, [])}


def vocabulary(profile: str) -> list[str]:
    """Token id to decoded text."""
    value = _fresh(artifact(profile, "vocabulary.json"), _json)
    if not isinstance(value, list):
        raise DamagedArtifactError(
            f"{shown(artifact(profile, 'vocabulary.json'))} does not hold a JSON list; "
            "`dvc checkout --force` restores it."
        )
    return value


def token_text(words: list[str], token: int) -> str:
    """A token id's text; an id beyond the vocabulary is shown as a number."""
    return words[token] if 0 <= token < len(words) else f"⟨{token}⟩"


@st.cache_resource(max_entries=8, show_spinner=False)
def _prompts(path: str, key: str) -> dict[str, Prompt]:
    try:
        return {prompt.hash: prompt for prompt in read_prompts(Path(path))}
    except (json.JSONDecodeError, TypeError, KeyError, AttributeError) as error:
        raise DamagedArtifactError(
            f"{shown(Path(path))} cannot be read ({type(error).__name__}); `dvc checkout --force` "
            "restores it, `dvc repro` makes it anew."
        ) from error


def prompts(profile: str) -> dict[str, Prompt]:
    """All prompts by hash."""
    return _fresh(artifact(profile, "prompts.json"), _prompts)


@st.cache_resource(max_entries=16, show_spinner=False)
def _collection(path: str, key: str) -> Collection:
    return open_collection(Path(path))


def collection(profile: str, kind: str) -> Collection:
    """A collection of items: candidates, graphs, full_graphs, activations or samples."""
    return _fresh(artifact(profile, kind), _collection)


@st.cache_resource(max_entries=24, show_spinner=False)
def _graph(path: str, key: str, prompt_hash: str, variant: str) -> GraphView:
    return GraphView(_collection(path, key).item(prompt_hash, variant))


def graph(profile: str, prompt_hash: str, variant: str) -> GraphView:
    """One attribution graph.

    Raises
    ------
    NotInStoreError
        It was not traced for this prompt and variant.
    """
    return _fresh(artifact(profile, "graphs"), lambda path, key: _graph(path, key, prompt_hash, variant))


def traced(profile: str, prompt_hash: str) -> list[str]:
    """Variants that a prompt was traced with; none where it was not."""
    try:
        return collection(profile, "graphs").variants(prompt_hash)
    except NotInStoreError:
        return []


def candidates(profile: str, prompt_hash: str, variant: str) -> pd.DataFrame:
    """Own candidates of a variant on a prompt: token, probability; most probable first."""
    item = collection(profile, "candidates").item(prompt_hash, variant)
    return pd.DataFrame(
        {
            "token": item.arrays["candidate_token"],
            "probability": item.arrays["candidate_probability"],
        }
    )


@st.cache_resource(max_entries=16, show_spinner=False)
def _dataset(path: str, key: str, group: str) -> xr.Dataset:
    return open_dataset(Path(path), group)


def dataset(profile: str, name: str, group: str) -> xr.Dataset:
    """A group of a dense artifact (``features`` or ``rates``)."""
    return _fresh(artifact(profile, name), lambda path, key: _dataset(path, key, group))


@st.cache_resource(max_entries=24, show_spinner=False)
def _ranking(path: str, key: str, score: str, contrast: str, domain: str) -> pd.DataFrame:
    return ranking_frame(_dataset(path, key, ranking_group(score)), contrast, domain)


def ranking(profile: str, contrast: str, domain: str, score: str = "direct") -> pd.DataFrame:
    """The ranking of a contrast and domain by a score, as `tables.ranking_frame` gives it."""
    return _fresh(
        artifact(profile, "features"), lambda path, key: _ranking(path, key, score, contrast, domain)
    )


@st.cache_resource(max_entries=8, show_spinner=False)
def _contrasts(path: str, key: str) -> list[str]:
    return [str(value) for value in _dataset(path, key, "ranking")["contrast"].values]


def contrasts(profile: str) -> list[str]:
    """Contrasts of the ranking."""
    return _fresh(artifact(profile, "features"), _contrasts)


@st.cache_resource(max_entries=512, show_spinner=False)
def _largest_activation(path: str, key: str, layer: int, index: int) -> float:
    contexts = _dataset(path, key, "contexts")
    row = feature_row(contexts, layer, index)
    if row is None:
        return 1.0
    top = float(np.nanmax(contexts["activation"][:, row].values, initial=0.0))
    return max(1.0, float(np.ceil(top)))


def largest_activation(profile: str, layer: int, index: int) -> float:
    """Largest activation of a feature on held-out text, rounded up; 1 where none is known."""
    try:
        return _fresh(
            artifact(profile, "features"),
            lambda path, key: _largest_activation(path, key, layer, index),
        )
    except StoreError:
        return 1.0


@st.cache_resource(max_entries=6, show_spinner=False)
def _situation_effects(path: str, key: str, score: str, contrast: str) -> np.ndarray:
    table = _dataset(path, key, situations_group(score))
    return np.asarray(table["effect"].sel(contrast=contrast).values)


def situation_effects(profile: str, contrast: str, score: str = "direct") -> np.ndarray:
    """Effects by situation of every feature; (situation, feature), the score's unit, NaN: not scored."""
    return _fresh(
        artifact(profile, "features"), lambda path, key: _situation_effects(path, key, score, contrast)
    )


def provenance(profile: str, name: str) -> dict[str, Any]:
    """What an artifact says it was computed from."""
    path = artifact(profile, name)
    if not path.exists():
        raise ArtifactMissingError(f"{shown(path)} does not exist yet; `dvc repro` makes it.")
    return dict(read_provenance(path))


def level(profile: str, name: str) -> str:
    """The intervals of ``rates`` or ``features`` in words: ``95% interval``."""
    stage = {"rates": "evaluate", "features": "features"}[name]
    return level_words(provenance(profile, name), stage)


def metrics(profile: str) -> dict[str, Any]:
    """Metrics by stage; empty where none have been made."""
    folder = artifact(profile, "metrics")
    if not folder.is_dir():
        return {}
    return {path.stem: _fresh(path, _json) for path in sorted(folder.glob("*.json"))}


@st.cache_resource(max_entries=16, show_spinner=False)
def _csv(path: str, key: str) -> pd.DataFrame:
    try:
        return pd.read_csv(path)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DamagedArtifactError(
            f"{shown(Path(path))} is not a readable CSV table; `dvc checkout --force` restores it."
        ) from error


def plots(profile: str) -> dict[str, pd.DataFrame]:
    """Training curves and the like by file name (without ``.csv``)."""
    folder = artifact(profile, "plots")
    if not folder.is_dir():
        return {}
    return {path.stem: _fresh(path, _csv) for path in sorted(folder.glob("*.csv"))}


def colours(profile: str) -> dict[str, str]:
    """Colour of every variant of a profile, in the order to list them."""
    manifest = models(profile) if stamp(artifact(profile, "models.json")) else {}
    return variant_colours(variants(profile), focus=str(manifest.get("focus", "")))


def variants(profile: str) -> list[str]:
    """Variants that the store or the manifest knows, base first."""
    found: list[str] = []
    for kind in ("candidates", "graphs", "samples"):
        if stamp(artifact(profile, kind)):
            found.extend(collection(profile, kind).variants())
    if not found and stamp(artifact(profile, "models.json")):
        found = ["base", *(f"{name}@1.0" for name in models(profile).get("adapters", {}))]
    return sorted(dict.fromkeys(found), key=lambda variant: (variant != "base", variant))
