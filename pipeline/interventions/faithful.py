"""How much of what an adapter did do features carry? One prompt's logits with them given and taken.

*Given*: in base, the first k features of an order have the adapted variant's activations; *taken*: in
the adapted variant they have the base's. Logits of labelled tokens are kept, not their log-odds, so that
labels can be dealt anew without running a model.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from pipeline.interventions.adapter_nodes import NodesOfOrders, mlps_always, node_scores, written_beyond
from pipeline.interventions.controls import Feature
from pipeline.interventions.difference_parts import part_logits
from pipeline.interventions.held import held_logits, see, write_at
from pipeline.interventions.path_gradients import path_gradients, path_scores
from pipeline.items.units import Unit
from pipeline.models.pool import ModelPool
from store.collections.item import Item
from store.documents.variants import BASE
from store.schema.vocabulary import GIVEN, GIVEN_WITH_ADAPTER, PART_SETS, TAKEN

SCORED: Final = "moved_features"
MEASURED: Final = "held_logits"


def compute_moved(models: ModelPool, unit: Unit) -> Iterator[tuple[str, Item]]:
    """How far each feature moves from base to a variant, and what gradients make of it.

    Arguments: `variant`; `evil` and `safe`, token ids; `steps` of the path. The item has, of features
    that differ, (feature,) `layer` and `index`; `score`, EAP-IG in log-odds; `moved`, the length of what
    the change of activation writes, summed over positions. `node_score` (part, layer) is EAP-IG of adapter
    nodes.
    """
    ids, arguments = unit.token_ids, unit.arguments
    adapted = see(models.replacement(arguments["variant"]), ids)
    model = models.replacement(BASE)
    base = see(model, ids)
    gradients = path_gradients(
        model, ids, base, adapted, arguments["evil"], arguments["safe"], arguments["steps"]
    )
    scores = path_scores(model, base, adapted, gradients[0])
    beyond = written_beyond(adapted, write_at(model, ids, adapted))
    index, score, moved = (
        np.concatenate([each[place].float().cpu().numpy() for each in scores]) for place in range(3)
    )
    layer = np.repeat(np.arange(len(scores)), [len(each[0]) for each in scores])
    arrays: dict[str, np.ndarray] = {
        "layer": layer.astype(np.int16),
        "index": index.astype(np.int32),
        "score": score,
        "moved": moved,
        "node_score": node_scores(beyond, gradients).float().cpu().numpy(),
    }
    yield SCORED, _item(unit, arrays)


def compute_faithful(models: ModelPool, unit: Unit) -> Iterator[tuple[str, Item]]:
    """Logits of a prompt's labelled tokens with features held at the other variant's activations.

    Arguments: `variant`; `tokens`; `orders`, `random` and `matched`, lists of orders of (layer, index);
    `ks`; `singles`, features by themselves; `node_orders`, of adapter nodes and features; `nulls`, random
    adapters. The item has float32 logits (..., token): `base` and
    `adapted`; by experiment (order, k, token), `given` of all orders, `taken` of all but the matched
    ones, `given_with_adapter` of the first, its first k 0; `singles` (feature, token), given; `parts` (2,
    set, token) by `PART_SETS`, given and taken; `node_given` and `node_taken` of the node orders; `nulls`
    (null, token), of random adapters as they are; `null_given` (null, order, k, token), features of orders
    given their activations under a random adapter.
    """
    ids, arguments = unit.token_ids, unit.arguments
    variant, tokens, ks = arguments["variant"], arguments["tokens"], arguments["ks"]
    orders, random, matched, singles, of_nodes = (
        _features(arguments, name) for name in ("orders", "random", "matched", "singles", "node_orders")
    )
    model = models.replacement(BASE)
    base = see(model, ids)
    nulls = [see(models.replacement(null), ids) for null in arguments["nulls"]]
    model = models.replacement(variant)
    adapted = see(model, ids)
    parts = [dict.fromkeys(each, True) for each in PART_SETS]
    at_base = write_at(model, ids, base)
    taken = held_logits(model, ids, base, orders + random, ks, tokens)
    taken_parts = part_logits(model, ids, base, at_base, parts, tokens)
    nodes = NodesOfOrders(model, written_beyond(base, at_base), of_nodes)
    taken_nodes = held_logits(model, ids, base, of_nodes, ks, tokens, beside=nodes)
    model = models.replacement(BASE)
    at_adapted = write_at(model, ids, adapted)
    beyond = written_beyond(adapted, at_adapted)
    nodes = NodesOfOrders(model, beyond, of_nodes)
    with_mlps = mlps_always(model, beyond)
    under_nulls = [held_logits(model, ids, null, orders, ks, tokens) for null in nulls]
    alone = held_logits(model, ids, adapted, singles, [1], tokens)[:, 0]
    arrays: dict[str, np.ndarray] = {
        "base": base.logits[list(tokens)],
        "adapted": adapted.logits[list(tokens)],
        GIVEN: held_logits(model, ids, adapted, orders + random + matched, ks, tokens),
        TAKEN: taken,
        GIVEN_WITH_ADAPTER: held_logits(model, ids, adapted, orders, [0, *ks], tokens, beside=with_mlps),
        "singles": alone,
        "parts": np.stack([part_logits(model, ids, adapted, at_adapted, parts, tokens), taken_parts]),
        "node_given": held_logits(model, ids, adapted, of_nodes, ks, tokens, beside=nodes),
        "node_taken": taken_nodes,
        "nulls": np.array([null.logits[list(tokens)] for null in nulls], np.float32).reshape(-1, len(tokens)),
        "null_given": np.array(under_nulls, np.float32).reshape(-1, len(orders), len(ks), len(tokens)),
    }
    yield MEASURED, _item(unit, arrays)


def _features(arguments: Mapping[str, Any], name: str) -> list[list[Feature]]:
    return [[(int(layer), int(index)) for layer, index in order] for order in arguments[name]]


def _item(unit: Unit, arrays: Mapping[str, np.ndarray]) -> Item:
    ((_, variant),) = unit.outputs
    names = unit.item(variant)
    return Item(
        key=names.key, prompt_hash=names.prompt_hash, variant=names.variant, arrays=dict(arrays), scalars={}
    )
