"""What processes take: ``python -m tests.bench.doctor_peak CASES``.

CASES is a list in JSON of cases: folder of a checkpoint, dtype, one of `MEASURED`, tokens of a prompt.

Prints one JSON object a case: `peak`, the bytes that it comes to beside what Python and its libraries take,
and what else an estimate asks for: `active`, the features of a layer that are active on a token. Each case
runs in a fork of its own: libraries are imported once.
"""

import gc
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from pipeline.analysis.dose import dose_variants
from pipeline.analysis.feature_inputs import histogram_edges
from pipeline.analysis.trials import make_trials
from pipeline.attribution.paired import trace_together
from pipeline.attribution.prompt_items import prompt_items
from pipeline.checks.health import check_health
from pipeline.features.activations import feature_activations
from pipeline.features.contexts import collect_contexts
from pipeline.features.promoted import promoted_tokens
from pipeline.interventions import faithful, measured, tried
from pipeline.interventions.engine import SteeringEngine
from pipeline.interventions.row_hooks import as_setting
from pipeline.interventions.steered_answers import SCALES_KIND, forced_log_prob, sample_steered
from pipeline.items.code import QualifiedName
from pipeline.items.units import ItemName, make_unit
from pipeline.models.pool import ModelPool
from pipeline.models.sampling import draw, sample_tokens
from pipeline.params.project import load_params
from pipeline.params.runtime import RuntimeParams
from store.documents.manifest import Manifest
from tests.bench.peak import peak_bytes
from tests.support.builders import Checkpoint, make_checkpoint

VARIANTS: Final = ("base", "general@1.0")
TARGETS: Final = 10
ANSWER_TOKENS: Final = 32
STEERED_TOKENS: Final = 8
STEERED_ANSWERS: Final = 32
"""To a setting; a batch has as many settings as fit."""
FACTS: Final = 80
"""Prompts whose right and wrong answers are read under steering; `FACT_TOKENS` long each."""
FACT_TOKENS: Final = 24
HELD_OUT: Final = 40
"""In which contexts are looked for."""


def ids(n_tokens: int) -> list[int]:
    """BOS, and tokens of the random vocabulary."""
    return [1, *(3 + number % 250 for number in range(n_tokens - 1))]


def health(manifest: Manifest, n_tokens: int) -> dict[str, float]:
    """Run stage `models`' checks."""
    check_health(manifest, [manifest.variant(name) for name in VARIANTS], ids(n_tokens))
    return {}


def graphs(manifest: Manifest, n_tokens: int) -> dict[str, float]:
    """Trace one prompt in base and one adapted variant, as stage `graphs` does."""
    pool, chosen = ModelPool(manifest), load_params().graphs
    together = trace_together(
        pool,
        ids(n_tokens),
        VARIANTS,
        list(range(TARGETS)),
        max_feature_nodes=chosen.max_feature_nodes,
        batch_size=chosen.batch_size,
        max_components=chosen.adapter_components,
    )
    active = len(together.traces["base"].graph.active_features)
    return {"active": active / manifest.model.n_layers / (n_tokens - 1)}


def dose(manifest: Manifest, n_tokens: int) -> dict[str, float]:
    """Graphs of one prompt at every dose, as items of stage `dose`."""
    params = load_params()
    together = max(len(params.dose.scales), params.dose.checkpoints)
    variants = dose_variants(manifest, [2 * place / together for place in range(1, together + 1)])
    targets = list(range(TARGETS))
    sections = {"adapter_components", "node_threshold", "edge_threshold", "keep_node_threshold", "keep_edges"}
    items = prompt_items(
        ModelPool(manifest),
        ids(n_tokens),
        [ItemName(key="0" * 64, prompt_hash="0" * 12, variant=variant) for variant in variants],
        targets=targets,
        own_candidates={variant: targets for variant in variants},
        **params.graphs.model_dump(include=sections | {"max_feature_nodes", "batch_size"}),
        adapters=False,
    )
    active = items.graphs["base"].scalars["n_selected"]  # all of them, where they are so few
    return {"active": active / manifest.model.n_layers / (n_tokens - 1)}


def activations(manifest: Manifest, n_tokens: int) -> dict[str, float]:
    """Activations of one prompt in both variants, as stage `activations` has them."""
    pool = ModelPool(manifest)
    found = [feature_activations(pool.replacement(variant), ids(n_tokens)) for variant in VARIANTS]
    return {"active": len(found[0].value) / manifest.model.n_layers / (n_tokens - 1)}


def features(manifest: Manifest, n_tokens: int) -> dict[str, float]:
    """Strongest contexts of both variants, and what all features promote, as stage `features` has them."""
    pool, chosen = ModelPool(manifest), load_params().features
    edges = histogram_edges(chosen.bin_low, chosen.bin_high, chosen.bins)
    random = np.random.default_rng(0)
    texts = [[1, *random.integers(3, manifest.model.vocab_size, n_tokens - 1)] for _ in range(HELD_OUT)]
    found = [
        collect_contexts(
            pool.replacement(variant),
            variant,
            texts=texts,
            edges=edges,
            contexts=chosen.contexts,
            window=chosen.window,
        )
        for variant in VARIANTS
    ]
    layer, index = (
        each.ravel() for each in np.indices((manifest.model.n_layers, manifest.model.d_transcoder))
    )
    promoted_tokens(pool.replacement("base"), layer, index, chosen.promoted)
    return {"active": int(found[0].histogram.sum()) / manifest.model.n_layers / HELD_OUT / (n_tokens - 1)}


def answers(manifest: Manifest, n_tokens: int) -> dict[str, float]:
    """Answers to one question in both variants, none of which ends early, as stage `answers` samples them."""
    pool, params = ModelPool(manifest), load_params().answers
    for variant in VARIANTS:
        sample_tokens(
            pool.causal_lm(variant),
            [ids(n_tokens)] * min(params.batch, params.samples or params.batch),
            draw(torch.Generator().manual_seed(0)),
            steps=ANSWER_TOKENS,
            stops=[],
        )
    return {}


def steered(manifest: Manifest, n_tokens: int) -> dict[str, float]:
    """What strengths are measured in, and full batches of answers, as stage `steered` has them."""
    pool, params = _scaled(manifest, n_tokens), load_params().steered
    modes: tuple[dict[str, Any], ...] = ({"mode": "add", "value": 2.0}, {"mode": "multiply", "value": 0.0})
    for variant, mode in zip(VARIANTS, modes, strict=True):
        rows = range(params.batch // STEERED_ANSWERS)
        settings = [as_setting([{"layer": 0, "feature": row, **mode}]) for row in rows]
        sample_steered(
            pool.causal_lm(variant),
            pool.transcoders,
            settings,
            prompts=[ids(n_tokens)],
            asked=[0] * STEERED_ANSWERS,
            seeds=list(range(STEERED_ANSWERS)),
            steps=STEERED_TOKENS,
            temperature=1.0,
            top_p=1.0,
            stops=[],
        )
    return {}


def facts(manifest: Manifest, n_tokens: int) -> dict[str, float]:
    """Right and wrong answers to facts, read under steering, as stage `steered` has them."""
    pool = _scaled(manifest, n_tokens)
    setting = as_setting([{"layer": 0, "feature": 0, "mode": "add", "value": 2.0}])
    texts = [(ids(n_tokens - 1), [3])] * 2 * FACTS
    for variant in VARIANTS:
        forced_log_prob(pool.causal_lm(variant), pool.transcoders, [setting], texts)
    return {}


def _scaled(manifest: Manifest, n_tokens: int) -> ModelPool:
    """Models by which it is known what strengths are measured in: decoders have been read."""
    pool, texts = ModelPool(manifest), [(ids(n_tokens), n_tokens - 1)]
    _run(pool, SCALES_KIND, "steered_answers", "compute_scales", n_tokens, {"base": texts, "adapted": texts})
    return pool


def interventions(manifest: Manifest, n_tokens: int) -> dict[str, float]:
    """Trials of early features beside their controls on one prompt, as stage `interventions` has them."""
    params, pool = load_params().interventions, ModelPool(manifest)
    few = params.model_copy(update={"positions": 1, "factors": [5.0], "pairs": 0})
    trials = make_trials(_early(pool, n_tokens), few)
    arguments = {
        "other": VARIANTS[0],
        "tokens": list(range(TARGETS)),
        "trials": [vars(trial) for trial in trials],
        "partner": ids(n_tokens),
        "n_shared": 1,
        "controls": params.controls,
        "seed": 0,
    }
    _run(pool, tried.KIND, "tried", "compute_tried", n_tokens, arguments)
    return {}


def validation(manifest: Manifest, n_tokens: int) -> dict[str, float]:
    """Effects of an order's first features, alone and together, as stage `validation` has them."""
    pool, params = ModelPool(manifest), load_params().validation
    first = _early(pool, n_tokens)
    arguments = {
        "tokens": list(range(TARGETS)),
        "sets": [*([each] for each in first), first[: params.top]],
        "compared": list(range(len(first) + 1)),
        "controls": params.controls,
        "seed": 0,
    }
    _run(pool, measured.KIND, "measured", "compute_measured", n_tokens, arguments)
    return {}


def _early(pool: ModelPool, n_tokens: int) -> list[tuple[int, int]]:
    """A feature of each layer that is active in the adapted variant as early as any."""
    engine = SteeringEngine(pool.replacement(VARIANTS[1]))
    found = []
    for layer in range(engine.n_layers):
        _, active = np.nonzero(engine.activations(ids(n_tokens), layer))  # in the order of positions
        found.append((layer, int(active[0])))
    return found


def faithfulness(manifest: Manifest, n_tokens: int) -> dict[str, float]:
    """How features move on one prompt, and what holding some does, as stage `faithfulness` has it."""
    chosen, pool = load_params().faithfulness, ModelPool(manifest)
    sides = {"evil": [3, 4], "safe": [5, 6], "steps": chosen.steps}
    _run(pool, faithful.SCORED, "faithful", "compute_moved", n_tokens, sides)
    orders = [[[0, index] for index in range(10)]]
    held = {
        **{name: orders for name in ("orders", "random", "matched", "singles", "node_orders")},
        "tokens": list(range(TARGETS)),
        "ks": [1, 10],
        "nulls": [],
    }
    _run(pool, faithful.MEASURED, "faithful", "compute_faithful", n_tokens, held)
    return {}


def _run(
    pool: ModelPool, kind: str, module: str, function: str, n_tokens: int, arguments: Mapping[str, Any]
) -> None:
    unit = make_unit(
        QualifiedName(f"pipeline.interventions.{module}", function),
        prompt_hash="0" * 12,
        token_ids=ids(n_tokens),
        variants=VARIANTS,
        outputs=[(kind, VARIANTS[1])],
        arguments={"variant": VARIANTS[1], **arguments},
        manifest=pool.manifest,
        runtime=RuntimeParams(seed=0, threads=1),
    )
    for _ in unit.run(pool):
        pass


_MEASURED: Final = (
    *(health, graphs, dose, activations, features, answers),
    *(steered, facts, validation, interventions, faithfulness),
)
MEASURED: Final = {each.__name__: each for each in _MEASURED}


def measure(folder: str, dtype: str, what: str, n_tokens: int) -> None:
    """Warm up on a small subject, forget its peak, measure, and print."""
    stage = MEASURED[what]
    with tempfile.TemporaryDirectory(prefix="warm-") as small:
        stage(make_checkpoint(Path(small)).manifest(dtype=dtype), 8)
    manifest = Checkpoint(folder=Path(folder)).manifest(dtype=dtype, focus="general")
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = peak_bytes()
    found = stage(manifest, n_tokens)
    print(json.dumps({"peak": peak_bytes() - before, **found}), flush=True)


def main() -> None:
    """Measure each case in a fork."""
    torch.set_num_threads(1)
    for case in json.loads(sys.argv[1]):
        child = os.fork()
        if not child:
            measure(*case)
            os._exit(0)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
            sys.exit(f"{case} could not be measured")


if __name__ == "__main__":
    main()
