"""What labelling needs of a profile: candidates and verdicts by prompt, strata, the journal as it is now.

Prompts that were only just found (`python -m pipeline.discover`) are among them at once, with the candidates
and verdicts that its program has kept, until the stages have read them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.data import discovery, documents, journal, readers
from dashboard.data.project import artifact, fresh, made, stamp
from pipeline.labels.candidates import Own, all_candidates, candidates_of
from pipeline.labels.events import Event
from pipeline.labels.heads import localised
from pipeline.labels.strata import Labels, strata
from store.base.errors import StoreError
from store.collections.reader import open_collection
from store.documents.discovery import DISCOVERY, ROUNDS
from store.documents.prompts import Prompt
from store.documents.token_texts import read_token_texts, tokenizer_fingerprint
from store.documents.variants import BASE
from store.documents.verdicts import VERDICTS, Verdict, read_verdicts

_ROUNDS: Final = f"{DISCOVERY}/{ROUNDS}"
_PROMPTS_OF: Final = ("candidates", "models.json", "prompts.json", "vocabulary.json", _ROUNDS)
_STRATA_OF: Final = (*_PROMPTS_OF, VERDICTS, "labels", "lexicon.json")


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
    return all_candidates(open_collection(Path(path)))


def _key(profile: str, names: Sequence[str]) -> str:
    return "-".join(stamp(artifact(profile, name)) for name in names)


@st.cache_resource(max_entries=4, show_spinner=False)
def _arrived(profile: str, key: str) -> dict[str, discovery.Arrived]:
    try:
        both = {BASE, documents.focus(profile)}
        read = fresh(artifact(profile, "candidates"), _candidates)
    except StoreError:  # where stages have read nothing, nothing can be labelled
        return {}
    return {
        prompt: each
        for prompt, each in discovery.arrived(profile).items()
        if prompt not in read and both <= each.own.keys()
    }


def arrived(profile: str) -> Mapping[str, discovery.Arrived]:
    """Prompts that were found and that no stage has candidates of yet, by hash."""
    return _arrived(profile, _key(profile, _PROMPTS_OF))


def prompts(profile: str) -> Mapping[str, Prompt]:
    """All prompts that there are to label, by hash: the profile's, and those that were only just found."""
    return {prompt: each.prompt for prompt, each in arrived(profile).items()} | documents.prompts(profile)


def candidates(profile: str) -> Mapping[str, Own]:
    """Every variant's candidates by prompt hash, of prompts that base and the focus variant have some on."""
    focus = documents.focus(profile)
    found = fresh(artifact(profile, "candidates"), _candidates)
    known = documents.prompts(profile)
    read = {prompt: own for prompt, own in found.items() if prompt in known and {BASE, focus} <= own.keys()}
    return read | {prompt: each.own for prompt, each in arrived(profile).items()}


@st.cache_resource(max_entries=4, show_spinner=False)
def _prompt_rows(profile: str, key: str, which: int, _own: Mapping[str, Own]) -> pd.DataFrame:
    known = prompts(profile)
    rows = [
        {
            "prompt_hash": prompt,
            "domain": known[prompt].domain or "",
            "situation": known[prompt].situation if known[prompt].situation != prompt else known[prompt].name,
            "candidates": len(candidates_of(own)),
            "text": " ".join(known[prompt].text.split()),
        }
        for prompt, own in _own.items()
    ]
    frame = pd.DataFrame(rows, columns=["prompt_hash", "domain", "situation", "candidates", "text"])
    return frame.sort_values(["domain", "situation", "prompt_hash"]).set_index("prompt_hash")


def prompt_rows(profile: str, own: Mapping[str, Own]) -> pd.DataFrame:
    """What there is to label of the prompts of `own` (see `label_strata`), whoever has labelled what.

    By prompt_hash, in the order of domain and situation: domain, situation, candidates (how many), text.
    """
    return _prompt_rows(profile, _key(profile, _PROMPTS_OF), hash(tuple(own)), own)


@st.cache_resource(max_entries=4, show_spinner=False)
def _verdicts(path: str, key: str) -> dict[str, dict[str, Verdict]]:
    return read_verdicts(Path(path).parent)


def verdicts(profile: str) -> Mapping[str, Mapping[str, Verdict]]:
    """Verdicts by judge and prompt hash; none where nothing was judged."""
    return fresh(artifact(profile, VERDICTS), _verdicts) if made(profile, VERDICTS) else {}


def judged(profile: str, prompt: str) -> dict[str, Verdict]:
    """Verdicts of a prompt by judge, of those that answered with labels."""
    return _judged(prompt, arrived(profile), verdicts(profile))


def _judged(
    prompt: str,
    new: Mapping[str, discovery.Arrived],
    known: Mapping[str, Mapping[str, Verdict]],
) -> dict[str, Verdict]:
    if prompt in new:
        found = new[prompt].verdicts
    else:
        found = {judge: of[prompt] for judge, of in known.items() if prompt in of}
    return {judge: verdict for judge, verdict in found.items() if verdict.status == "judged"}


def judged_labels(profile: str, prompt: str) -> dict[str, Labels]:
    """Labels by token id of each judge that labelled a prompt."""
    return _labels_of(judged(profile, prompt))


def _labels_of(found: Mapping[str, Verdict]) -> dict[str, Labels]:
    return {judge: {each.token: each.label for each in of.tokens} for judge, of in found.items()}


@st.cache_resource(max_entries=4, show_spinner=False)
def _strata(profile: str, key: str, which: int, _own: Mapping[str, Own]) -> dict[str, np.ndarray]:
    known = prompts(profile)
    try:
        labels = readers.labels(profile)
    except StoreError:  # nothing counts yet: only verdicts tell
        counted: dict[str, Labels] = {}
    else:
        counted = {prompt: labels.of(prompt, known[prompt].domain) for prompt in _own}
    new, said = arrived(profile), verdicts(profile)  # asked once: each looks at a folder's files
    of_judges = {prompt: _labels_of(_judged(prompt, new, said)) for prompt in _own}
    return strata(list(_own), _own, documents.focus(profile), of_judges, counted)


def label_strata(profile: str, own: Mapping[str, Own]) -> Mapping[str, np.ndarray]:
    """Strata of the prompts of `own`, in their order.

    `own` is what `candidates` gave: others may have arrived since.
    """
    return _strata(profile, _key(profile, _STRATA_OF), hash(tuple(own)), own)
