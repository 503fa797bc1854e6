"""Circuits of behaviours, and the graphs of prompts behind them, as frames."""

from pathlib import Path

import pandas as pd
import streamlit as st

from dashboard.data import behaviours, by_behaviour, readers
from dashboard.data.project import artifact, fresh
from pipeline.analysis.scores import split_key
from store.datasets.groups import open_dataset
from store.documents.variants import BASE
from store.schema.circuits import BEHAVIOUR_GRAPHS, CIRCUITS

_OF_PROMPT = (
    *("split", "group", "prompt", "correct_answer", "incorrect_answer"),
    *("contrast", "decisive", "attractor", "base_right"),
)


@st.cache_resource(max_entries=24, show_spinner=False)
def _frame(path: str, key: str, group: str, variant: str) -> pd.DataFrame:
    frame = open_dataset(Path(path), group).to_dataframe().reset_index()
    return frame[frame["variant"] == variant].reset_index(drop=True) if variant else frame


def summary(profile: str) -> pd.DataFrame:
    """A row a variant and behaviour with a traced prompt; columns are the arrays of the group `summary`."""
    frame = _of(profile, "summary", "")
    return frame[frame["n_train"] > 0].reset_index(drop=True)


def features(profile: str, variant: str) -> pd.DataFrame:
    """Features of a variant's circuits, by behaviour and falling |total effect|; the group `circuit`."""
    return _of(profile, "circuit", variant)


def edges(profile: str, variant: str, behaviour: str) -> pd.DataFrame:
    """Edges among them, by falling |weight|; the group `edges`."""
    found = _of(profile, "edges", variant)
    return found[found["behaviour"] == behaviour].reset_index(drop=True)


def prompts(profile: str, variant: str, behaviour: str) -> pd.DataFrame:
    """A behaviour's prompts with a graph of a variant, in the order of their files.

    Returns
    -------
    pd.DataFrame
        Columns split, group, prompt, correct_answer, incorrect_answer (empty where the prompt is not in the
        store any more), contrast, decisive, attractor (logits), base_right (the contrast of base is above
        0; None: base was not traced), hash.
    """
    frame = _of(profile, "prompts", "")
    frame = frame[frame["behaviour"] == behaviour].rename(columns={"prompt_hash": "hash"})
    of_base = frame[frame["variant"] == BASE].set_index("hash")["contrast"] > 0
    mine = frame[frame["variant"] == variant].reset_index(drop=True)
    known = behaviours.prompts(profile)
    for name in ("group", "prompt", "correct_answer", "incorrect_answer"):
        mine[name] = [getattr(known[each], name) if each in known else "" for each in mine["hash"]]
    mine["base_right"] = [of_base.get(each) for each in mine["hash"]]
    return mine[[*_OF_PROMPT, "hash"]]


def of_prompt(profile: str, variant: str, prompt_hash: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Features and edges of one prompt's graph, summed over positions as circuits have them.

    Returns
    -------
    tuple
        Columns layer, index, total_effect, direct (logits), activation, by falling |total effect|; and
        source_layer, source_index, target_layer, target_index, weight, by falling |weight|.

    Raises
    ------
    NotInStoreError
        The prompt was not traced with the variant.
    ArtifactMissingError
        The stage has not run.
    """
    # It loads scipy, which no page needs before a graph is opened.
    from pipeline.analysis.circuits import prompt_circuit

    least = readers.provenance(profile, CIRCUITS.kind)["parameters"]["circuits"]["least_activation"]
    item = by_behaviour.collections(profile, BEHAVIOUR_GRAPHS.kind).item(prompt_hash, variant)
    found = prompt_circuit(item.arrays, "", float(least))
    layer, index = split_key(found.keys)
    effects = {name: found.effects[name] for name in ("total_effect", "direct")}
    features = pd.DataFrame({"layer": layer, "index": index, **effects, "activation": found.activation})
    ends = {
        f"{end}_{part}": values
        for end, keys in (("source", found.edges.source), ("target", found.edges.target))
        for part, values in zip(("layer", "index"), split_key(keys), strict=True)
    }
    edges = pd.DataFrame({**ends, "weight": found.edges.weight})
    return _by_size(features, "total_effect"), _by_size(edges, "weight")


def _by_size(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    order = frame[column].abs().sort_values(ascending=False, kind="stable").index
    return frame.loc[order].reset_index(drop=True)


def _of(profile: str, group: str, variant: str) -> pd.DataFrame:
    return fresh(artifact(profile, CIRCUITS.kind), lambda path, key: _frame(path, key, group, variant))
