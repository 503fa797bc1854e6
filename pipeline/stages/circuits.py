"""Stage `circuits`: which features make base and the focus adapter answer behaviours."""

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.analysis.circuit_tables import Cell, TracedPrompt, circuit_groups, leading, traced_prompt
from pipeline.analysis.circuits import EFFECTS, Circuit, PromptCircuit, find_circuit, prompt_circuit
from pipeline.analysis.scores import split_key
from pipeline.behaviours.circuit_units import require_apart, traced_prompts, weights_unit
from pipeline.behaviours.decisive import decisive_positions
from pipeline.behaviours.protocol import UNNAMED
from pipeline.items.provenance import provenance
from pipeline.items.subject import Subject
from pipeline.models.tokenizer import load_tokenizer
from pipeline.params.circuits import CircuitParams
from pipeline.params.project import Params
from pipeline.run.reports import write_metrics
from pipeline.run.stage import run_stage
from pipeline.text.tokens import encode_rendered_with_places
from store.collections.reader import open_collection
from store.collections.union import Union
from store.datasets.groups import write_dataset
from store.documents.behaviour_prompts import (
    BEHAVIOUR_PROMPTS,
    SPLITS,
    BehaviourPrompt,
    behaviours_in,
    read_behaviour_prompts,
)
from store.documents.variants import BASE
from store.schema.behaviours import BEHAVIOURS
from store.schema.circuits import BEHAVIOUR_GRAPHS, CIRCUITS, VIRTUAL_WEIGHTS
from store.schema.vocabulary import ALL
from store.views.by_behaviour import open_collections, open_datasets

_READ = (
    *("target_logit", "active_layer", "active_feature", "active_value", "token_total_effect"),
    *("edge_source", "edge_target", "edge_weight", *EFFECTS),
)


def read_graphs(
    subject: Subject,
    graphs: Union,
    prompts: Sequence[BehaviourPrompt],
    variants: Sequence[str],
    least_activation: float,
) -> tuple[dict[Cell, list[PromptCircuit]], list[TracedPrompt]]:
    """What train prompts' features do, by variant and behaviour, and what tokens of all prompts do."""
    tokenizer = load_tokenizer(subject.manifest)
    named = dict.fromkeys(each.behaviour for each in prompts)
    train: dict[Cell, list[PromptCircuit]] = {(variant, of): [] for variant in variants for of in named}
    traced = []
    for each in prompts:
        _, places = encode_rendered_with_places(tokenizer, each.prompt)
        decisive, attractors = decisive_positions(each, places)
        for variant in variants:
            if (each.hash, variant) not in graphs:
                continue
            arrays = graphs.item(each.hash, variant, _READ).arrays
            if each.split == SPLITS[0]:
                of_prompt = prompt_circuit(arrays, each.group, least_activation)
                train[variant, each.behaviour].append(of_prompt)
            traced.append(
                traced_prompt(
                    arrays,
                    prompt_hash=each.hash,
                    variant=variant,
                    behaviour=each.behaviour,
                    split=each.split,
                    decisive=decisive,
                    attractors=attractors,
                )
            )
    return train, traced


def find_circuits(
    train: Mapping[Cell, list[PromptCircuit]], params: CircuitParams, seed: int
) -> dict[Cell, Circuit]:
    """By variant and behaviour; each has random numbers of its own."""
    return {
        (variant, behaviour): find_circuit(
            prompts,
            [of for (one, other), of in train.items() if one == variant and other != behaviour],
            params,
            np.random.default_rng([seed, *f"{variant}/{behaviour}".encode()]),
        )
        for (variant, behaviour), prompts in train.items()
    }


def edge_pairs(circuits: Mapping[Cell, Circuit]) -> list[tuple[int, int, int, int]]:
    """Ends of all circuits' edges, end to end."""
    found: list[tuple[int, int, int, int]] = []
    for circuit in circuits.values():
        columns = [*split_key(circuit.edges.source), *split_key(circuit.edges.target)]
        found.extend(zip(*(column.tolist() for column in columns), strict=True))
    return found


def main(profile: str, params: Params) -> None:
    """Write what is the same over graphs of a behaviour's prompts, beside those of the other behaviours."""
    subject, chosen = Subject(profile, params.runtime), params.circuits
    folder, variants = subject.folder / BEHAVIOUR_PROMPTS, subject.pair
    prompts = [
        prompt
        for behaviour in behaviours_in(folder)
        for prompt in traced_prompts(read_behaviour_prompts(folder, [behaviour]), chosen.graphs)
    ]
    require_apart(prompts)
    sections = {"circuits": chosen.model_dump()}
    graphs = open_collections(subject.folder, BEHAVIOUR_GRAPHS.kind)
    train, traced = read_graphs(subject, graphs, prompts, variants, chosen.least_activation)
    circuits = find_circuits(train, chosen, params.runtime.seed)
    pairs = edge_pairs(circuits)
    weights = weights_unit(subject, pairs)
    subject.publish("circuits", [weights] if pairs else [], [VIRTUAL_WEIGHTS], sections)
    virtual = np.empty(0)
    if pairs:
        found = open_collection(subject.folder / VIRTUAL_WEIGHTS.kind)
        virtual = found.item(weights.prompt_hash, BASE).arrays["virtual_weight"]
    baseline = open_datasets(subject.folder, BEHAVIOURS.kind, "summary")
    groups = circuit_groups(
        circuits,
        traced,
        groups={cell: len({each.group for each in of}) for cell, of in train.items()},
        passes={
            (variant, of): bool(baseline["passes"].sel(variant=variant, behaviour=of, split=ALL))
            for variant, of in circuits
        },
        virtual_weights=virtual,
        fdr=chosen.fdr,
    )
    origin = provenance("circuits", subject.manifest, sections)
    write_dataset(subject.folder / CIRCUITS.kind, CIRCUITS, groups, provenance=origin)
    metrics = leading(groups["summary"])
    write_metrics(subject.folder, "circuits", metrics, "" if prompts else UNNAMED)
    for behaviour, of in metrics.items():
        failing = [variant for variant, one in of.items() if not one["passes"]]
        if failing:
            print(
                f"{behaviour}: {', '.join(failing)} do not pass the baseline; a circuit says little of them"
            )


if __name__ == "__main__":
    run_stage(main, Params)
