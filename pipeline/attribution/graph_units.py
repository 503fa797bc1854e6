"""Units of work of attribution graphs: candidates first, then all variants on one target set."""

from collections.abc import Mapping, Sequence
from typing import Final

from pipeline.analysis.targets import in_order, target_set
from pipeline.attribution.parameters import CANDIDATE_PARAMS, GRAPH_PARAMS
from pipeline.items.cache import ItemCache
from pipeline.items.code import QualifiedName
from pipeline.items.subject import Subject
from pipeline.items.units import Unit
from pipeline.params.graphs import GraphParams
from store.collections.reader import Collection
from store.documents.prompts import Prompt
from store.documents.variants import BASE

_ITEMS: Final = "pipeline.attribution.prompt_items"
CANDIDATES: Final = QualifiedName(_ITEMS, "compute_candidates")
GRAPHS: Final = QualifiedName(_ITEMS, "compute_graphs")
DOSE: Final = QualifiedName(_ITEMS, "compute_dose")

Candidates = Mapping[str, Sequence[int]]
"""Candidate token ids of a prompt by variant, most probable first."""


def variants_by_prompt(subject: Subject, tag: str) -> dict[str, list[str]]:
    """Base and focus on every prompt, the other adapters on those with the tag."""
    pair = {BASE, subject.focus}
    return {
        prompt.hash: [variant for variant in subject.variants if variant in pair or tag in prompt.tags]
        for prompt in subject.prompts.values()
    }


def candidate_units(
    subject: Subject, prompts: Mapping[str, Sequence[str]], graphs: GraphParams
) -> list[Unit]:
    """Candidates of every variant of every prompt.

    Parameters
    ----------
    subject
        The profile.
    prompts
        The variants of each prompt, by prompt hash.
    graphs
        How candidates are chosen.
    """
    arguments = graphs.model_dump(include=set(CANDIDATE_PARAMS))
    return [
        subject.unit(CANDIDATES, subject.prompts[prompt], [variant], [("candidates", variant)], arguments)
        for prompt, variants in prompts.items()
        for variant in variants
    ]


def candidates_of(units: Sequence[Unit], cache: ItemCache) -> dict[str, dict[str, list[int]]]:
    """What `candidate_units` gave, of the prompts whose candidates are all in the cache."""
    by_prompt: dict[str, dict[str, list[int]]] = {}
    incomplete: set[str] = set()
    for unit in units:
        (variant,) = unit.variants
        item = cache.get("candidates", unit.item(variant).key)
        if item is None:
            incomplete.add(unit.prompt_hash)
        else:
            own = item.arrays["candidate_token"].tolist()
            by_prompt.setdefault(unit.prompt_hash, {})[variant] = own
    return {prompt: own for prompt, own in by_prompt.items() if prompt not in incomplete}


def published_candidates(
    found: Collection, variants: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, list[int]]]:
    """What stage `candidates` has written, of the prompts whose variants are all there.

    Parameters
    ----------
    found
        The CANDIDATES collection.
    variants
        Those that are wanted of each prompt.
    """
    written = set(found.prompts())
    return {
        prompt: {
            variant: found.item(prompt, variant, ["candidate_token"]).arrays["candidate_token"].tolist()
            for variant in wanted
        }
        for prompt, wanted in variants.items()
        if prompt in written and set(wanted) <= set(found.variants(prompt))
    }


def graph_unit(subject: Subject, prompt: Prompt, own: Candidates, graphs: GraphParams) -> Unit:
    """Graphs of a prompt's variants, what adapters write to, and by policy full adjacencies.

    Parameters
    ----------
    subject, prompt
        Whose graphs.
    own
        Candidates by variant: the target set is their union, and what the prompt itself names.
    graphs
        How they are traced, and what of them is kept.
    """
    variants = in_order(list(own))
    adapted = [variant for variant in variants if variant != BASE]
    outputs = [("graphs", variant) for variant in variants] + [("adapters", variant) for variant in adapted]
    if graphs.full == "always" or (graphs.full == "tagged" and graphs.full_tag in prompt.tags):
        outputs += [("full_graphs", variant) for variant in variants]
    return subject.unit(GRAPHS, prompt, variants, outputs, _arguments(prompt, own, graphs))


def dose_unit(subject: Subject, prompt: Prompt, own: Candidates, graphs: GraphParams) -> Unit:
    """Graphs of a prompt at several doses of an adapter; arguments as of `graph_unit`."""
    outputs = [("dose", variant) for variant in own]
    return subject.unit(DOSE, prompt, list(own), outputs, _arguments(prompt, own, graphs))


def _arguments(prompt: Prompt, own: Candidates, graphs: GraphParams) -> dict[str, object]:
    traced = graphs.model_dump(include=set(GRAPH_PARAMS))
    by_variant = {variant: list(tokens) for variant, tokens in own.items()}
    return {**traced, "targets": target_set(own, prompt.targets), "own_candidates": by_variant}
