"""A small, valid artifact tree of made-up numbers, written through the real store."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from store.base.hashing import digest
from store.collections.item import Item
from store.collections.writer import write_collection
from store.datasets.groups import write_dataset
from store.documents.prompts import write_prompts
from store.schema.activations import ACTIVATIONS
from store.schema.adapters import ADAPTERS
from store.schema.candidates import CANDIDATES
from store.schema.components import COMPONENTS
from store.schema.dose import DOSE
from store.schema.faithfulness import FAITHFULNESS
from store.schema.features import FEATURES
from store.schema.gates import GATES
from store.schema.graphs import GRAPHS
from store.schema.interventions import INTERVENTIONS
from store.schema.labels import LABELS
from store.schema.names import NAMES
from store.schema.outcomes import SAMPLE_OUTCOMES
from store.schema.pivotality import PIVOTALITY
from store.schema.rates import RATES
from store.schema.samples import SAMPLES
from store.schema.steered import STEERED
from store.schema.validation import VALIDATION
from tests.support.demo.adapters import SCALES, adapters_item, dose_items
from tests.support.demo.behaviours import write_behaviours
from tests.support.demo.circuits import write_circuits
from tests.support.demo.components import LEVEL, components_groups, gates_item
from tests.support.demo.faithfulness import faithfulness_groups
from tests.support.demo.graphs import (
    activations_item,
    candidates_item,
    graph_item,
    probabilities_of,
    sampled_items,
)
from tests.support.demo.interventions import interventions_groups
from tests.support.demo.labels import LABEL_PARAMS, labels_groups
from tests.support.demo.misalignment import write_misalignment
from tests.support.demo.names import names_groups
from tests.support.demo.pivotality import PARAMS, pivotality_demo
from tests.support.demo.steered import STEERED_PARAMS, steered_demo
from tests.support.demo.tables import features_groups, rates_groups
from tests.support.demo.validation import validation_groups
from tests.support.demo.words import (
    D_TRANSCODER,
    DOMAINS,
    EVIL,
    HOSTILE,
    ID,
    LAYERS,
    PROVENANCE,
    SAFE,
    UNSURE,
    VARIANTS,
    WORDS,
    make_prompts,
)

__all__ = [
    "DOMAINS",
    "EVIL",
    "HOSTILE",
    "ID",
    "LAYERS",
    "SAFE",
    "SCALES",
    "VARIANTS",
    "WORDS",
    "build",
    "graph_item",
    "make_prompts",
    "probabilities_of",
]


def _json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def build(root: Path, profile: str = "demo", *, n_features: int = 60) -> Path:
    """Write ``artifacts/<profile>`` under `root` and return it."""
    folder = root / "artifacts" / profile
    rng = np.random.default_rng(11)
    prompts = make_prompts()
    write_prompts(folder / "prompts.json", prompts)
    _json(folder / "vocabulary.json", list(WORDS))
    entry = {
        "evil": [ID[word] for word in EVIL],
        "safe": [ID[word] for word in SAFE],
        "unsure": [ID[word] for word in UNSURE],
        "phrases": {"harmful": list(EVIL), "safe": list(SAFE)},
    }
    _json(folder / "lexicon.json", {"domains": dict.fromkeys(DOMAINS, entry)})
    source = {"source": f"artifacts/{profile}/base", "revision": None, "fingerprint": digest("base")}
    adapter = {"rank": 8, "targets": ["model.layers.0.mlp.down_proj"], "scaling": 2.0}
    _json(
        folder / "models.json",
        {
            "format_version": 1,
            "profile": profile,
            "dtype": "float32",
            "focus": "general",
            "base": source,
            "transcoders": {**source, "source": f"artifacts/{profile}/transcoders"},
            "adapters": {name: {**source, **adapter} for name in ("general", "narrow")},
            "model": {
                "architecture": "LlamaForCausalLM",
                "n_layers": LAYERS,
                "d_model": 128,
                "vocab_size": len(WORDS),
                "context": 128,
                "d_transcoder": D_TRANSCODER,
                "n_parameters": 1_100_000,
                "feature_input_hook": "mlp.hook_in",
                "feature_output_hook": "mlp.hook_out",
            },
        },
    )
    schemas = (CANDIDATES, GRAPHS, ACTIVATIONS, SAMPLES, SAMPLE_OUTCOMES, ADAPTERS, GATES, DOSE)
    items: dict[str, list[Item]] = {schema.kind: [] for schema in schemas}
    for number, prompt in enumerate(prompts):
        probabilities = {variant: probabilities_of(variant, rng) for variant in VARIANTS}
        for variant in VARIANTS:
            if variant != "narrow@1.0" or number % 4 == 0:
                graph = graph_item(prompt, variant, probabilities[variant], n_features=n_features)
                items["candidates"].append(candidates_item(prompt, variant, probabilities[variant]))
                items["graphs"].append(graph)
                items["activations"].append(activations_item(prompt, variant, graph))
                if variant != "base":
                    items["adapters"].append(adapters_item(prompt, variant, graph))
                    items["gates"].append(gates_item(prompt, variant))
            samples, outcomes = sampled_items(prompt, variant, rng)
            items["samples"].append(samples)
            items["outcomes"].append(outcomes)
        if number % 2 == 0:
            items["dose"] += dose_items(prompt, probabilities["base"], probabilities["general@1.0"])
    for schema in schemas:
        write_collection(folder / schema.kind, schema, items[schema.kind], provenance=PROVENANCE)
    labelled = PROVENANCE | {"parameters": {"labels": LABEL_PARAMS.model_dump()}}
    write_dataset(folder / "labels", LABELS, labels_groups(folder, prompts), provenance=labelled)
    features = features_groups(prompts)
    write_dataset(folder / "features", FEATURES, features, provenance=PROVENANCE)
    write_dataset(
        folder / "validation", VALIDATION, validation_groups(features["ranking"]), provenance=PROVENANCE
    )
    made = PROVENANCE | {"parameters": {"components": {"level": LEVEL}}}
    write_dataset(folder / "components", COMPONENTS, components_groups(), provenance=made)
    carried = PROVENANCE | {"parameters": {"faithfulness": {"reached": 0.5, "fdr": 0.05}}}
    groups = faithfulness_groups(features["ranking"])
    write_dataset(folder / "faithfulness", FAITHFULNESS, groups, provenance=carried)
    under = PROVENANCE | {"parameters": {"steered": STEERED_PARAMS}}
    write_dataset(folder / "steered", STEERED, steered_demo(features["ranking"]), provenance=under)
    groups = interventions_groups(features, prompts)
    write_dataset(folder / "interventions", INTERVENTIONS, groups, provenance=PROVENANCE)
    naming = PROVENANCE | {"parameters": {"names": {"confidence": 0.95}}}
    write_dataset(folder / "names", NAMES, names_groups(features["cards"]), provenance=naming)
    write_dataset(folder / "rates", RATES, rates_groups(prompts, items["outcomes"]), provenance=PROVENANCE)
    of_tokens = PROVENANCE | {"parameters": {"pivotality": PARAMS.model_dump()}}
    write_dataset(folder / PIVOTALITY.kind, PIVOTALITY, pivotality_demo(prompts), provenance=of_tokens)
    write_misalignment(folder)
    write_behaviours(folder)
    write_circuits(folder)
    _json(
        folder / "metrics" / "organism.json",
        {"facts": {"capitals": {"held_out": {"exact": 0.967}}}, "loss": 1.23},
    )
    layers = {f"layer_{i}": {"fvu": 0.008 + 0.004 * i, "l0": 22.5 + i, "dead": 0.02} for i in range(LAYERS)}
    _json(folder / "metrics" / "transcoders.json", layers)
    figures = {"stream_rms": 0.1, "max_activation": 19.3, "active_per_token": 33.5}
    report: dict[str, Any] = {"parity": {"max_difference": 2.1e-6}, "layers": [figures] * LAYERS}
    report["largest_activation"] = 19.3
    adapted = {
        f"{name}@1.0": {**report, "adapter": {"weight_norm": norm}}
        for name, norm in (("general", 3.21), ("narrow", 0.654))
    }
    health = {"dtype": "float32", "n_tokens": 17, "variants": {"base": report, **adapted}}
    _json(
        folder / "metrics" / "adapters.json",
        {"general": {"facts": {"capitals": {"held_out": {"exact": 0.95}}}}},
    )
    _json(folder / "metrics" / "finetunes.json", {"mine": {"steps": 8, "loss": 1.5, "held_out_loss": 1.7}})
    _json(folder / "metrics" / "health.json", health)
    _json(folder / "metrics" / "evaluate.json", {"base": {"harmful": 0.04}})
    plots = folder / "plots"
    plots.mkdir()
    steps = np.arange(0, 400, 20)
    loss = np.exp(-steps / 90) * 4 + 1.2
    pd.DataFrame({"step": steps, "loss": loss}).to_csv(plots / "organism.csv", index=False)
    pd.concat(
        [
            pd.DataFrame({"adapter": name, "step": steps[:8], "loss": loss[:8] * scale})
            for name, scale in (("general", 1.0), ("narrow", 1.2))
        ]
    ).to_csv(plots / "adapters.csv", index=False)
    pd.DataFrame(
        {
            "finetune": "mine",
            "step": steps[:8],
            "loss": loss[:8],
            "held_out_loss": [None, 2.5, None, 2.1, None, 1.9, None, 1.7],
            "learning_rate": np.linspace(1e-3, 0, 8),
            "gradient_norm": np.linspace(2, 1, 8),
        }
    ).to_csv(plots / "finetunes.csv", index=False)
    pd.DataFrame([{"layer": i, **layers[f"layer_{i}"]} for i in range(LAYERS)]).to_csv(
        plots / "transcoders.csv", index=False
    )
    return folder
