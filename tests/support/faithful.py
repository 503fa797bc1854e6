"""Faithfulness on a planted subject: ordered on half of its situations, measured on the other."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from pipeline.analysis.faithfulness import Measured
from pipeline.analysis.faithfulness_sets import (
    Moved,
    firsts,
    matched_orders,
    means_of_moved,
    node_means,
    node_sets,
    ordered,
    random_orders,
)
from pipeline.analysis.faithfulness_tables import Sets, faithfulness_groups
from pipeline.items.code import QualifiedName
from pipeline.items.units import make_unit
from pipeline.models.pool import ModelPool
from pipeline.params.project import load_params
from pipeline.params.runtime import RuntimeParams
from tests.support.planted import DOMAIN, N_LAYERS, TARGETS, Planted, module_input, steadily_one

PARAMS = load_params().faithfulness.model_copy(
    update={
        "orders": ["eap_ig", "activation"],
        "ks": [1, 3, 10],
        "matched": 3,
        "top": 3,
        "bootstrap": 200,
        "labellings": 4000,
    }
)


N_FEATURES = 64
"""Of a layer, as `make_checkpoint` makes them."""
LOUDER = 8.0
"""Than the planted decoder is by itself."""
STEEP = 8.0
"""Slope of the gate of the neuron that is planted."""


def run_unit(
    pool: ModelPool, name: str, kind: str, variant: str, ids: Sequence[int], arguments: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Arrays of the one item of a unit of `pipeline.interventions.faithful`."""
    unit = make_unit(
        QualifiedName("pipeline.interventions.faithful", name),
        prompt_hash="0" * 12,
        token_ids=ids,
        variants=["base", variant, *arguments.get("nulls", ())],
        outputs=[(kind, variant)],
        arguments={"variant": variant, **arguments},
        manifest=pool.manifest,
        runtime=RuntimeParams(seed=0, threads=1),
    )
    ((_, item),) = list(unit.run(pool))
    return dict(item.arrays)


def faithfulness_of(planted: Planted, variant: str, nulls: Sequence[str] = ()) -> dict[str, xr.Dataset]:
    """The groups of the dataset, and the single features' names."""
    layer, index = (each.ravel() for each in np.mgrid[:N_LAYERS, :N_FEATURES])
    moved = []
    for prompt in planted.prompts[::2]:
        targets = planted.targets[prompt.situation]
        arguments = {"evil": targets[:TARGETS], "safe": targets[TARGETS:], "steps": PARAMS.steps}
        arrays = run_unit(
            planted.pool, "compute_moved", "moved_features", variant, prompt.token_ids, arguments
        )
        moved.append(Moved(situation=(DOMAIN, prompt.situation), **arrays))
    score, length = means_of_moved(moved, layer, index)
    allowed = np.ones(len(layer), bool)
    orders = {
        "eap_ig": ordered("eap_ig", score, allowed, 10),
        "activation": ordered("activation", length, allowed, 10),
    }
    sets = Sets(
        orders=orders,
        random=random_orders(allowed, PARAMS.random_orders, 10, 0),
        matched={
            name: matched_orders(rows, layer, length, allowed, PARAMS.matched, PARAMS.top, 0)
            for name, rows in orders.items()
        },
        singles=firsts(orders.values(), PARAMS.top),
        n_candidates=int((length > 0).sum()),
        nodes=node_sets(
            node_means(moved, N_LAYERS),
            list(zip(layer.tolist(), index.tolist(), strict=True)),
            score,
            n=PARAMS.random_orders,
            length=10,
            seed=0,
        ),
        nulls=nulls,
    )

    def named(rows: Sequence[np.ndarray]) -> list[list[tuple[int, int]]]:
        return [[(int(layer[row]), int(index[row])) for row in order] for order in rows]

    arguments = {
        "orders": named(list(orders.values())),
        "random": named(sets.random),
        "matched": named([each for of in sets.matched.values() for each in of]),
        "singles": named([np.array([row]) for row in sets.singles]),
        "ks": PARAMS.ks,
        "node_orders": sets.nodes.all(),
        "nulls": list(nulls),
    }
    measured = []
    for prompt in planted.prompts[1::2]:
        targets = planted.targets[prompt.situation]
        arrays = run_unit(
            planted.pool,
            "compute_faithful",
            "held_logits",
            variant,
            prompt.token_ids,
            {**arguments, "tokens": targets},
        )
        measured.append(
            Measured(
                situation=(DOMAIN, prompt.situation),
                domain=DOMAIN,
                tokens=np.array(targets),
                evil=np.arange(len(targets)) < TARGETS,
                **arrays,
            )
        )
    groups = faithfulness_groups(measured, sets, variant, PARAMS, 0)
    names = {"layer": ("feature", layer[sets.singles]), "index": ("feature", index[sets.singles])}
    groups["features"] = groups["features"].assign_coords(names)
    return groups


def embody(planted: Planted) -> None:
    """Give the model's own MLP a neuron that does what the planted feature says, and does it loudly.

    Random transcoders explain nothing of a random MLP: without it the feature wakes and nothing comes of
    it. The neuron's gate reads the feature's encoder, steeply, so that it is nearly a ReLU; its other half
    reads what is most steadily 1 (Fisher's direction).
    """
    layer, feature = planted.feature
    path = planted.checkpoint.transcoders / f"layer_{layer}.safetensors"
    tensors = load_file(path)
    tensors["W_dec"][feature] *= LOUDER
    tensors["b_enc"][feature] = 0.0
    save_file(tensors, path)
    model = AutoModelForCausalLM.from_pretrained(planted.checkpoint.base).requires_grad_(False)
    inputs = [module_input(model, layer, "gate", prompt.token_ids)[1:] for prompt in planted.prompts]
    steady = steadily_one(torch.cat(inputs))
    mlp = model.model.layers[layer].mlp
    mlp.gate_proj.weight[0] = STEEP * tensors["W_enc"][feature]
    mlp.up_proj.weight[0] = steady / STEEP
    mlp.down_proj.weight[:, 0] = tensors["W_dec"][feature]
    model.save_pretrained(planted.checkpoint.base)
