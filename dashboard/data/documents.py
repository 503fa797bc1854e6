"""Cached readers of the JSON and CSV files of a profile: what models are, prompts, words, figures."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st
from pydantic import TypeAdapter

from dashboard.data.project import artifact, fresh
from pipeline.text.lexicon import Lexicon
from pipeline.text.lexicon_file import read_lexicon
from store.base.errors import DamagedArtifactError
from store.documents.manifest import Manifest, read_manifest
from store.documents.prompts import Prompt, read_prompts
from store.documents.reading import read_document, read_recorded
from store.documents.recipe_controls import RECIPE_CONTROLS, RecipeControls, read_recipe_controls
from store.documents.token_texts import read_token_texts
from store.remote.origins import listed


@st.cache_resource(max_entries=64, show_spinner=False)
def _metrics(path: str, key: str) -> dict[str, Any]:
    return read_document(Path(path), TypeAdapter(dict[str, Any]))


@st.cache_resource(max_entries=8, show_spinner=False)
def _models(path: str, key: str) -> Manifest:
    return read_manifest(Path(path))


def models(profile: str) -> Manifest:
    """``models.json``: what base, transcoders and adapters are."""
    return fresh(artifact(profile, "models.json"), _models)


def focus(profile: str) -> str:
    """The variant that is traced on every prompt beside base; base where the profile has no adapter."""
    manifest = models(profile)
    return str(manifest.variant(manifest.focus))


@st.cache_resource(max_entries=8, show_spinner=False)
def _lexicon(path: str, key: str) -> Lexicon:
    return read_lexicon(Path(path))


def lexicon(profile: str) -> Lexicon:
    """The lexicon's labels and phrases."""
    return fresh(artifact(profile, "lexicon.json"), _lexicon)


@st.cache_resource(max_entries=8, show_spinner=False)
def _token_texts(path: str, key: str) -> list[str]:
    return read_token_texts(Path(path))


def vocabulary(profile: str) -> list[str]:
    """Token id to decoded text."""
    return fresh(artifact(profile, "vocabulary.json"), _token_texts)


@st.cache_resource(max_entries=8, show_spinner=False)
def _prompts(path: str, key: str) -> dict[str, Prompt]:
    return {prompt.hash: prompt for prompt in read_prompts(Path(path))}


def prompts(profile: str) -> dict[str, Prompt]:
    """All prompts by hash."""
    return fresh(artifact(profile, "prompts.json"), _prompts)


@st.cache_resource(max_entries=8, show_spinner=False)
def _in_order(path: str, key: str) -> list[str]:
    return in_order(_prompts(path, key))


def prompts_in_order(profile: str) -> list[str]:
    """Hashes of all prompts, as `in_order` has them; one list for all sessions."""
    return fresh(artifact(profile, "prompts.json"), _in_order)


def in_order(known: Mapping[str, Prompt]) -> list[str]:
    """Hashes by domain, those of none last, then by situation."""
    return sorted(known, key=lambda h: (known[h].domain or "~", known[h].situation, h))


@st.cache_resource(max_entries=8, show_spinner=False)
def _recipe_controls(path: str, key: str) -> tuple[RecipeControls, ...]:
    return read_recipe_controls(Path(path))


def recipe_controls(profile: str) -> tuple[RecipeControls, ...]:
    """``recipe_controls.json``: recipes beside recipes of matched features."""
    return fresh(artifact(profile, RECIPE_CONTROLS), _recipe_controls)


def metrics(profile: str) -> dict[str, Any]:
    """Metrics by stage; empty where none have been made."""
    return {path.stem: fresh(path, _metrics) for path in listed(artifact(profile, "metrics"), ".json")}


@st.cache_resource(max_entries=16, show_spinner=False)
def _csv(path: str, key: str) -> pd.DataFrame:
    try:
        return pd.read_csv(io.BytesIO(read_recorded(Path(path))))
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise DamagedArtifactError(
            f"{path} is not a readable CSV table; `dvc checkout --force` restores it."
        ) from error


def plots(profile: str) -> dict[str, pd.DataFrame]:
    """Training curves and the like by file name (without ``.csv``)."""
    return {path.stem: fresh(path, _csv) for path in listed(artifact(profile, "plots"), ".csv")}
