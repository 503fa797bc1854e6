"""Circuits of the demo's behaviours: made-up features, by base and the focus adapter."""

from pathlib import Path
from typing import Final

import numpy as np

from pipeline.analysis.circuit_tables import circuit_groups, traced_prompt
from pipeline.analysis.circuits import find_circuit, prompt_circuit
from store.datasets.groups import write_dataset
from store.schema.circuits import CIRCUITS
from tests.support.circuits import PARAMS, random_arrays
from tests.support.demo.behaviours import FAILS, NAMES, behaviour_prompts
from tests.support.demo.words import PROVENANCE

TRACED: Final = ("base", FAILS[0])


def write_circuits(folder: Path) -> None:
    """Write the tables below a profile's folder."""
    rng = np.random.default_rng(6)
    circuits, traced, edges = {}, [], 0
    for variant in TRACED:
        for name in NAMES:
            train = []
            for prompt in behaviour_prompts(name):
                arrays = random_arrays(rng)
                tokens = rng.normal(size=len(prompt.token_ids) + 1).astype(np.float32)
                arrays |= {"token_total_effect": tokens, "target_logit": np.array([3, 1], np.float32)}
                if prompt.split == "train":
                    train.append(prompt_circuit(arrays, prompt.group, PARAMS.least_activation))
                traced.append(
                    traced_prompt(
                        arrays,
                        prompt_hash=prompt.hash,
                        variant=variant,
                        behaviour=name,
                        split=prompt.split,
                        decisive=range(*prompt.token_span),
                        attractors=[],
                    )
                )
            circuits[variant, name] = find_circuit(train, [], PARAMS, rng)
            edges += len(circuits[variant, name].edges.weight)
    groups = circuit_groups(
        circuits,
        traced,
        groups=dict.fromkeys(circuits, 3),
        passes={cell: cell != FAILS for cell in circuits},
        virtual_weights=rng.normal(size=edges),
        fdr=PARAMS.fdr,
    )
    origin = PROVENANCE | {"parameters": {"circuits": PARAMS.model_dump()}}
    write_dataset(folder / CIRCUITS.kind, CIRCUITS, groups, provenance=origin)
