"""Graphs of behaviours' prompts against the engine alone: what contrast, gradients and edges add."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from pipeline.attribution.trace import trace
from pipeline.behaviours.circuit_graphs import circuit_arrays
from pipeline.behaviours.circuit_units import until_decision
from pipeline.models.pool import ModelPool
from pipeline.params.project import load_params
from store.documents.behaviour_prompts import BEHAVIOUR_PROMPTS, behaviours_in, read_behaviour_prompts
from store.documents.manifest import read_manifest
from store.documents.variants import BASE
from tests.bench.cases import ORGANISM

_EACH: Final = 8
"""Prompts a behaviour; the whole is told for `_WHOLE` of each."""
_WHOLE: Final = 100


def behaviour_figures(folder: Path) -> dict[str, Any]:
    """Seconds of the engine's trace on both answers' tokens, over those of a whole `behaviour_graphs` item.

    The organism's prompts, base, the same nodes and batches on both sides, by turns; the median over prompts.
    """
    prompts = ORGANISM / BEHAVIOUR_PROMPTS
    model = ModelPool(read_manifest(ORGANISM / "models.json")).replacement(BASE)
    rule = load_params().circuits.model_dump(
        include={"max_feature_nodes", "batch_size", "node_edges", "least_edge"}
    )
    sizes = {name: rule[name] for name in ("max_feature_nodes", "batch_size")}
    pairs: dict[str, list[tuple[float, float]]] = {}
    for behaviour in behaviours_in(prompts):
        for prompt in read_behaviour_prompts(prompts, [behaviour])[:_EACH]:
            ids = until_decision(prompt)
            right, wrong = prompt.correct_ids[prompt.shared], prompt.incorrect_ids[prompt.shared]
            engine = _seconds(lambda ids=ids, both=[right, wrong]: trace(model, ids, both, **sizes))
            whole = _seconds(lambda ids=ids, r=right, w=wrong: circuit_arrays(model, ids, r, w, **rule))
            pairs.setdefault(behaviour, []).append((engine, whole))
    every = [pair for of in pairs.values() for pair in of]
    return {
        "behaviour_graphs_speed_share": statistics.median(engine / whole for engine, whole in every),
        "raw": {
            "behaviour_graphs": {
                "prompts": len(every),
                "seconds_of_a_graph": statistics.median(whole for _, whole in every),
                f"minutes_of_{_WHOLE}_prompts_a_behaviour": sum(
                    _WHOLE * statistics.median(whole for _, whole in of) for of in pairs.values()
                )
                / 60,
                "share_by_behaviour": {
                    name: statistics.median(engine / whole for engine, whole in of)
                    for name, of in pairs.items()
                },
            }
        },
    }


def _seconds(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun
