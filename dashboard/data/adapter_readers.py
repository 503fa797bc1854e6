"""Cached readers of what the adapter writes to, and of graphs at several scales."""

import streamlit as st

from dashboard.data import project, readers
from pipeline.analysis.dose_prompt import READ, Dose, scale_of
from store.base.errors import NotInStoreError
from store.schema.registry import ADAPTERS, DOSE
from store.views.adapter import AdapterView


@st.cache_resource(max_entries=24, show_spinner=False)
def _adapter(profile: str, key: str, prompt_hash: str, variant: str) -> AdapterView:
    return AdapterView(readers.collection(profile, ADAPTERS.kind).item(prompt_hash, variant))


def adapter(profile: str, prompt_hash: str, variant: str) -> AdapterView:
    """What a variant's adapter writes to on a prompt.

    Raises
    ------
    ArtifactMissingError
        There is no such collection yet.
    NotInStoreError
        It does not hold this prompt and variant.
    """
    return _adapter(profile, project.stamp(project.artifact(profile, ADAPTERS.kind)), prompt_hash, variant)


@st.cache_resource(max_entries=8, show_spinner=False)
def _doses(profile: str, key: str, prompt_hash: str) -> list[Dose]:
    found = readers.collection(profile, DOSE.kind)
    variants = sorted(found.variants(prompt_hash), key=scale_of)
    return [
        Dose(variant=variant, arrays=found.item(prompt_hash, variant, READ).arrays) for variant in variants
    ]


def doses(profile: str, prompt_hash: str) -> list[Dose]:
    """Graphs of a prompt at every scale, ascending; errors as `adapter`."""
    return _doses(profile, project.stamp(project.artifact(profile, DOSE.kind)), prompt_hash)


def dosed(profile: str) -> list[str]:
    """Prompts that were traced at several scales; none where there are none yet."""
    try:
        return readers.collection(profile, DOSE.kind).prompts()
    except NotInStoreError:
        return []
