"""Units of circuits: which prompts are traced, up to which token, on which two answers. No torch."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pipeline.items.code import QualifiedName
from pipeline.items.subject import Subject
from pipeline.items.units import Unit, make_unit
from pipeline.params.circuits import CircuitParams
from store.base.errors import UserError
from store.base.hashing import PROMPT_HASH_DIGITS, digest
from store.documents.behaviour_prompts import SPLITS, BehaviourPrompt
from store.documents.variants import BASE
from store.schema.circuits import BEHAVIOUR_GRAPHS, VIRTUAL_WEIGHTS

GRAPH: Final = QualifiedName("pipeline.behaviours.circuit_graphs", "compute_circuit_graph")
WEIGHTS: Final = QualifiedName("pipeline.behaviours.virtual_weights", "compute_virtual_weights")
_TRACING: Final = frozenset({"max_feature_nodes", "batch_size", "node_edges", "least_edge"})


def until_decision(prompt: BehaviourPrompt) -> tuple[int, ...]:
    """Token ids of a prompt and of what both answers begin with: what follows them is the decision."""
    return (*prompt.token_ids, *prompt.correct_ids[: prompt.shared])


def traced_prompts(prompts: Sequence[BehaviourPrompt], graphs: int | None) -> list[BehaviourPrompt]:
    """Of one behaviour's prompts those that are traced: so many of train, all of test.

    Groups take turns, so that as many as can be are there; a prompt brings its partner of the same group, so
    that neither answer is the rule.

    Parameters
    ----------
    prompts
        Train before test.
    graphs
        How many train prompts; None: all.
    """
    train = [each for each in prompts if each.split == SPLITS[0]]
    waiting: dict[str, list[BehaviourPrompt]] = {}
    for each in train:
        waiting.setdefault(each.group, []).append(each)
    turns: list[BehaviourPrompt] = []
    while waiting:
        for group, left in list(waiting.items()):
            first = left.pop(0)
            turns.append(first)
            partner = next((each for each in left if each.hash == first.partner), None)
            if partner is not None:
                left.remove(partner)
                turns.append(partner)
            if not left:
                del waiting[group]
    chosen = {each.hash for each in turns[:graphs]}
    return [each for each in prompts if each.split != SPLITS[0] or each.hash in chosen]


def require_apart(prompts: Sequence[BehaviourPrompt]) -> None:
    """Refuse a prompt that two behaviours have in common, so that it has two pairs of answers.

    Raises
    ------
    UserError
        The sentence names the prompt and both.
    """
    by_hash: dict[str, str] = {}
    for each in prompts:
        if by_hash.setdefault(each.hash, each.behaviour) != each.behaviour:
            raise UserError(
                f"The prompt '{each.prompt}' is one of {by_hash[each.hash]} and of {each.behaviour}; change "
                "a template in the file of one of them, for a prompt has one right answer."
            )


def graph_units(
    subject: Subject, prompts: Sequence[BehaviourPrompt], variants: Sequence[str], params: CircuitParams
) -> list[Unit]:
    """A unit a prompt and variant."""
    tracing = params.model_dump(include=set(_TRACING))
    return [
        make_unit(
            GRAPH,
            prompt_hash=each.hash,
            token_ids=until_decision(each),
            variants=[variant],
            outputs=[(BEHAVIOUR_GRAPHS.kind, variant)],
            arguments={
                **tracing,
                "right": each.correct_ids[each.shared],
                "wrong": each.incorrect_ids[each.shared],
            },
            manifest=subject.manifest,
            runtime=subject.runtime,
        )
        for each in prompts
        for variant in variants
    ]


def weights_unit(subject: Subject, pairs: Sequence[tuple[int, int, int, int]]) -> Unit:
    """Virtual weights of pairs of features: source layer and index, target layer and index."""
    arguments: Mapping[str, Any] = {"pairs": [list(pair) for pair in pairs]}
    return make_unit(
        WEIGHTS,
        prompt_hash=digest(arguments)[:PROMPT_HASH_DIGITS],
        token_ids=(),
        variants=[BASE],
        outputs=[(VIRTUAL_WEIGHTS.kind, BASE)],
        arguments=arguments,
        manifest=subject.manifest,
        runtime=subject.runtime,
    )
