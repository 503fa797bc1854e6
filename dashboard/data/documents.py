"""Cached readers of the JSON and CSV files of a profile: what models are, prompts, words, figures."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.data.project import artifact, fresh, shown
from store.base.errors import DamagedArtifactError, StoreError
from store.documents.manifest import Manifest, read_manifest
from store.documents.prompts import Prompt, read_prompts
from store.documents.token_texts import read_token_texts


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Tell what is wrong with a document in a sentence.

    Raises
    ------
    DamagedArtifactError
        It is not JSON or CSV, or has another form than the pipeline writes.
    """
    try:
        yield
    except StoreError:
        raise
    except json.JSONDecodeError as error:
        raise DamagedArtifactError(
            f"{shown(path)} is not valid JSON (line {error.lineno}); `dvc checkout --force` "
            "restores it, `dvc repro` makes it anew."
        ) from error
    except UnicodeDecodeError as error:
        raise DamagedArtifactError(
            f"{shown(path)} is not UTF-8 text; `dvc checkout --force` restores it."
        ) from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise DamagedArtifactError(
            f"{shown(path)} is not a readable CSV table; `dvc checkout --force` restores it."
        ) from error
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise DamagedArtifactError(
            f"{shown(path)} cannot be read ({type(error).__name__}); `dvc checkout --force` "
            "restores it, `dvc repro` makes it anew."
        ) from error


@st.cache_resource(max_entries=64, show_spinner=False)
def _json(path: str, key: str) -> Any:
    with _explained(Path(path)):
        return json.loads(Path(path).read_text(encoding="utf-8"))


@st.cache_resource(max_entries=8, show_spinner=False)
def _models(path: str, key: str) -> Manifest:
    with _explained(Path(path)):
        return read_manifest(Path(path))


def models(profile: str) -> Manifest:
    """``models.json``: what base, transcoders and adapters are."""
    return fresh(artifact(profile, "models.json"), _models)


def focus(profile: str) -> str:
    """The variant that is traced on every prompt beside base."""
    return f"{models(profile).focus}@1.0"


def lexicon(profile: str) -> dict[str, Any]:
    """Token labels and phrases by domain."""
    path = artifact(profile, "lexicon.json")
    document = fresh(path, _json)
    if not isinstance(document, dict):
        raise DamagedArtifactError(
            f"{shown(path)} does not hold a JSON object; `dvc checkout --force` restores it."
        )
    domains = document.get("domains", {})
    return domains if isinstance(domains, dict) else {}


def token_labels(profile: str, domain: str | None) -> dict[int, str]:
    """Label of each token id of a domain's lexicon; a token that is absent is unlabelled."""
    entry = lexicon(profile).get(domain or "", {})
    return {int(token): label for label in ("evil", "safe", "unsure") for token in entry.get(label, [])}


@st.cache_resource(max_entries=8, show_spinner=False)
def _token_texts(path: str, key: str) -> list[str]:
    return read_token_texts(Path(path))


def vocabulary(profile: str) -> list[str]:
    """Token id to decoded text."""
    return fresh(artifact(profile, "vocabulary.json"), _token_texts)


@st.cache_resource(max_entries=8, show_spinner=False)
def _prompts(path: str, key: str) -> dict[str, Prompt]:
    with _explained(Path(path)):
        return {prompt.hash: prompt for prompt in read_prompts(Path(path))}


def prompts(profile: str) -> dict[str, Prompt]:
    """All prompts by hash."""
    return fresh(artifact(profile, "prompts.json"), _prompts)


def metrics(profile: str) -> dict[str, Any]:
    """Metrics by stage; empty where none have been made."""
    folder = artifact(profile, "metrics")
    if not folder.is_dir():
        return {}
    return {path.stem: fresh(path, _json) for path in sorted(folder.glob("*.json"))}


@st.cache_resource(max_entries=16, show_spinner=False)
def _csv(path: str, key: str) -> pd.DataFrame:
    with _explained(Path(path)):
        return pd.read_csv(path)


def plots(profile: str) -> dict[str, pd.DataFrame]:
    """Training curves and the like by file name (without ``.csv``)."""
    folder = artifact(profile, "plots")
    if not folder.is_dir():
        return {}
    return {path.stem: fresh(path, _csv) for path in sorted(folder.glob("*.csv"))}
