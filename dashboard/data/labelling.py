"""What labelling needs of a profile: candidates and verdicts by prompt, strata, the journal as it is now."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import streamlit as st

from dashboard.data import documents, journal, readers
from dashboard.data.project import artifact, fresh, made, stamp
from pipeline.labels.candidates import Own, own_candidates
from pipeline.labels.events import Event
from pipeline.labels.heads import localised
from pipeline.labels.strata import Labels, strata
from store.base.errors import StoreError
from store.collections.reader import open_collection
from store.documents.token_texts import read_token_texts, tokenizer_fingerprint
from store.documents.variants import BASE
from store.documents.verdicts import VERDICTS, Verdict, read_verdicts

_STRATA_OF: Final = ("candidates", VERDICTS, "labels", "lexicon.json", "models.json", "prompts.json")


def events(profile: str) -> Sequence[Event]:
    """Every author's events, in their journals' order, with the token ids of the profile.

    Raises
    ------
    UserError
        A journal is malformed.
    """
    return localised(journal.events(), tokenizer=tokenizer(profile), texts=documents.vocabulary(profile))


@st.cache_resource(max_entries=8, show_spinner=False)
def _tokenizer(path: str, key: str) -> str:
    return tokenizer_fingerprint(read_token_texts(Path(path)))


def tokenizer(profile: str) -> str:
    """Fingerprint of a profile's tokenizer."""
    return fresh(artifact(profile, "vocabulary.json"), _tokenizer)


@st.cache_resource(max_entries=4, show_spinner="Reading the candidates of every prompt")
def _candidates(path: str, key: str) -> dict[str, Own]:
    found = open_collection(Path(path))
    return {prompt: own_candidates(found, prompt) for prompt in found.prompts()}


def candidates(profile: str) -> Mapping[str, Own]:
    """Every variant's candidates by prompt hash, of prompts that base and the focus variant have some on."""
    focus = documents.focus(profile)
    found = fresh(artifact(profile, "candidates"), _candidates)
    known = documents.prompts(profile)
    return {prompt: own for prompt, own in found.items() if prompt in known and {BASE, focus} <= own.keys()}


@st.cache_resource(max_entries=4, show_spinner=False)
def _verdicts(path: str, key: str) -> dict[str, dict[str, Verdict]]:
    return read_verdicts(Path(path).parent)


def verdicts(profile: str) -> Mapping[str, Mapping[str, Verdict]]:
    """Verdicts by judge and prompt hash; none where nothing was judged."""
    return fresh(artifact(profile, VERDICTS), _verdicts) if made(profile, VERDICTS) else {}


def judged(profile: str, prompt: str) -> dict[str, Verdict]:
    """Verdicts of a prompt by judge, of those that answered with labels."""
    return {
        judge: of[prompt]
        for judge, of in verdicts(profile).items()
        if prompt in of and of[prompt].status == "judged"
    }


def judged_labels(profile: str, prompt: str) -> dict[str, Labels]:
    """Labels by token id of each judge that labelled a prompt."""
    found = judged(profile, prompt)
    return {judge: {each.token: each.label for each in of.tokens} for judge, of in found.items()}


@st.cache_resource(max_entries=4, show_spinner=False)
def _strata(profile: str, key: str) -> dict[str, np.ndarray]:
    own, prompts = candidates(profile), documents.prompts(profile)
    try:
        labels = readers.labels(profile)
    except StoreError:  # nothing counts yet: only verdicts tell
        counted: dict[str, Labels] = {}
    else:
        counted = {prompt: labels.of(prompt, prompts[prompt].domain) for prompt in own}
    of_judges = {prompt: judged_labels(profile, prompt) for prompt in own}
    return strata(list(own), own, documents.focus(profile), of_judges, counted)


def label_strata(profile: str) -> Mapping[str, np.ndarray]:
    """Strata of the prompts of `candidates`, in their order."""
    key = "-".join(stamp(artifact(profile, name)) for name in _STRATA_OF)
    return _strata(profile, key)
