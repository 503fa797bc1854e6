"""How much of the adapter's change features carry, and what that is computed from: every array."""

from typing import Final

from store.schema.rankings import OF_FEATURE
from store.schema.specs import CollectionSchema, DatasetSchema, array, since
from store.schema.vocabulary import ADAPTER_NODES, EXPERIMENTS, NODE_ORDERS

_SHARE: Final = "share"
_CURVE: Final = "experiment order k"
_AREA: Final = "experiment order"
_ODDS: Final = "log-odds"
_OF_NODES: Final = "direction node_order k"
_OF_NODE_ORDER: Final = "direction node_order"
_OF_NULL: Final = "null order k"
_INTERVAL: Final = "bootstrap-t over situations, lower; NaN: too few"

_OF_ORDER: Final = {
    "experiment": array("experiment", "str", "", f"`{'`, `'.join(EXPERIMENTS)}`"),
    "order": array("order", "str", "", "a score, `response` or `eap_ig`: made on the other situations"),
}

FAITHFULNESS: Final = DatasetSchema(
    kind="faithfulness",
    groups={
        # One entry: what all shares are of.
        "difference": {
            "variant": array("difference", "str", "", "the adapted variant that is compared with base"),
            "base_odds": array("difference", "float64", _ODDS, "of evil against safe tokens, base"),
            "adapted_odds": array("difference", "float64", _ODDS, "the same, adapted"),
            "change": array("difference", "float64", _ODDS, "adapted minus base, mean over situations"),
            "low": array("difference", "float64", _ODDS, _INTERVAL),
            "high": array("difference", "float64", _ODDS, "bootstrap-t, upper"),
            "n_situations": array("difference", "int32", "situations", "in which it is measured"),
            "n_prompts": array("difference", "int32", "prompts", "of these situations"),
            "reason": array("difference", "str", "", "why no share of it is known; empty: they are"),
            **since(
                8,
                {
                    "smallest_q": array(
                        "difference",
                        "float64",
                        "FDR",
                        "that single features could have together: labels can be dealt in so many ways",
                    )
                },
            ),
        },
        "curves": {
            **_OF_ORDER,
            "k": array("k", "int32", "features", "how many of the order are given or taken"),
            "fraction": array(_CURVE, "float64", _SHARE, "F(k): of the difference; above 1: more than all"),
            "low": array(_CURVE, "float64", _SHARE, _INTERVAL),
            "high": array(_CURVE, "float64", _SHARE, "bootstrap-t, upper"),
            "random_mean": array("experiment k", "float64", _SHARE, "F(k) of random orders; NaN: not done"),
            "random_low": array("experiment k", "float64", _SHARE, "the smallest of them"),
            "random_high": array("experiment k", "float64", _SHARE, "the largest of them"),
            "matched_mean": array(
                "order k", "float64", _SHARE, "given: F(k) of random features that move as far"
            ),
            "matched_high": array("order k", "float64", _SHARE, "the largest of them"),
        },
        "orders": {
            **_OF_ORDER,
            "area": array(_AREA, "float64", _SHARE, "mean of F(k), at most 1, over log k"),
            "area_low": array(_AREA, "float64", _SHARE, _INTERVAL),
            "area_high": array(_AREA, "float64", _SHARE, "bootstrap-t, upper"),
            "fewest": array(
                _AREA, "int32", "features", "first k with F(k) >= `faithfulness.reached`; -1: none"
            ),
            "fewest_sure": array(
                _AREA, "int32", "features", "first k whose lower bound reaches it; -1: none"
            ),
            "p_random": array(
                _AREA, "float64", "probability", "(1 + random orders with as large an area) / (1 + n)"
            ),
            "area_random": array("experiment", "float64", _SHARE, "mean area of random orders"),
            "area_random_high": array("experiment", "float64", _SHARE, "their largest area"),
            "area_matched": array("order", "float64", _SHARE, "given: mean area of matched features"),
            "p_matched": array(
                "order", "float64", "probability", "given: as `p_random`, of the order's matched features"
            ),
            "n_ranked": array("order", "int32", "features", "in the order; a larger k takes all of them"),
        },
        # Whole parts of every layer, of which features are one.
        "parts": {
            "direction": array("direction", "str", "", "`given` or `taken`"),
            "part": array("part", "str", "", "which parts are the other variant's, joined by +"),
            "fraction": array("direction part", "float64", _SHARE, "of the difference"),
            "low": array("direction part", "float64", _SHARE, _INTERVAL),
            "high": array("direction part", "float64", _SHARE, "bootstrap-t, upper"),
        },
        # Orders by EAP-IG that hold adapter nodes; which node is where, and F(k).
        "nodes": since(
            9,
            {
                "direction": array("direction", "str", "", "`given` or `taken`"),
                "node_order": array(
                    "node_order",
                    "str",
                    "",
                    f"`{'`, `'.join(NODE_ORDERS)}`: adapter nodes alone, among features",
                ),
                "node": array(
                    "node", "str", "", f"through what an adapter writes: `{'`, `'.join(ADAPTER_NODES)}`"
                ),
                "k": array("k", "int32", "nodes", "how many of the order, features too, are given or taken"),
                "rank": array(
                    "node_order node model_layer", "int32", "place", "in the order, from 1; 0: not in it"
                ),
                "fraction": array(_OF_NODES, "float64", _SHARE, "F(k): of the difference"),
                "low": array(_OF_NODES, "float64", _SHARE, _INTERVAL),
                "high": array(_OF_NODES, "float64", _SHARE, "bootstrap-t, upper"),
                "random_mean": array(_OF_NODES, "float64", _SHARE, "F(k) of orders of the same by chance"),
                "random_low": array(_OF_NODES, "float64", _SHARE, "the smallest of them"),
                "random_high": array(_OF_NODES, "float64", _SHARE, "the largest of them"),
                "area": array(_OF_NODE_ORDER, "float64", _SHARE, "mean of F(k), at most 1, over log k"),
                "area_low": array(_OF_NODE_ORDER, "float64", _SHARE, _INTERVAL),
                "area_random": array(_OF_NODE_ORDER, "float64", _SHARE, "mean area of random orders"),
                "area_high": array(_OF_NODE_ORDER, "float64", _SHARE, "bootstrap-t, upper"),
                "fewest": array(
                    _OF_NODE_ORDER, "int32", "nodes", "first k with F(k) >= `faithfulness.reached`; -1: none"
                ),
                "p_random": array(
                    _OF_NODE_ORDER,
                    "float64",
                    "probability",
                    "(1 + random orders with as large an area) / (1 + n)",
                ),
            },
        ),
        # Random adapters: what they do by themselves, and through the features of each order.
        "nulls": since(
            9,
            {
                "null": array("null", "str", "", "a random adapter"),
                "order": array("order", "str", "", "as in curves: made of the focus adapter"),
                "k": array("k", "int32", "features", "how many of the order are given"),
                "change": array("null", "float64", _ODDS, "its variant minus base, mean over situations"),
                "change_low": array("null", "float64", _ODDS, _INTERVAL),
                "change_high": array("null", "float64", _ODDS, "bootstrap-t, upper"),
                "reason": array(
                    "null", "str", "", "why no share of its own change is known; empty: they are"
                ),
                "own_fraction": array(_OF_NULL, "float64", _SHARE, "F(k): of its own change"),
                "fraction": array(
                    _OF_NULL,
                    "float64",
                    _SHARE,
                    "of the focus adapter's difference, by its change of the features",
                ),
                "low": array(_OF_NULL, "float64", _SHARE, _INTERVAL),
                "high": array(_OF_NULL, "float64", _SHARE, "bootstrap-t, upper"),
            },
        ),
        # The first of any order, given by themselves.
        "features": {
            **OF_FEATURE,
            "order": array("order", "str", "", "as in curves"),
            "rank": array("order feature", "int32", "place", "in the order, from 1; 0: not in it"),
            "effect": array("feature", "float64", _ODDS, "change by giving it, mean over situations"),
            "fraction": array("feature", "float64", _SHARE, "of the difference"),
            "low": array("feature", "float64", _SHARE, _INTERVAL),
            "high": array("feature", "float64", _SHARE, "bootstrap-t, upper"),
            "p": array("feature", "float64", "probability", "evil and safe labels exchanged within domains"),
            "q": array(
                "feature",
                "float64",
                "rate",
                "Benjamini-Hochberg over all features that move, p of those not given counting as 1",
            ),
            "verdict": array("feature", "str", "", "`acts`, `silent`, `unclear`; empty: not known"),
        },
    },
)

MOVED_FEATURES: Final = CollectionSchema(
    kind="moved_features",
    arrays=since(
        8,
        {
            "layer": array("moved", "int16", "layer", "0-based"),
            "index": array("moved", "int32", "feature", "index in layer, 0-based"),
            "score": array("moved", "float32", _ODDS, "edge attribution with integrated gradients"),
            "moved": array(
                "moved", "float32", "residual stream", "length of what its change writes, over positions"
            ),
            **since(
                9,
                {
                    "node_score": array(
                        "node model_layer", "float32", _ODDS, "EAP-IG of adapter nodes: MLPs, then attention"
                    )
                },
            ),
        },
    ),
    scalars={},
)
"""Features that differ between base and the adapted variant, on prompts where they are ordered."""

_LOGIT: Final = "of labelled tokens"

HELD_LOGITS: Final = CollectionSchema(
    kind="held_logits",
    arrays=since(
        8,
        {
            "base": array("token", "float32", "logits", _LOGIT),
            "adapted": array("token", "float32", "logits", _LOGIT),
            "given": array(
                "given_order k token",
                "float32",
                "logits",
                f"{_LOGIT}: base, the first k of an order as in the adapted variant; orders, random, matched",
            ),
            "taken": array(
                "taken_order k token",
                "float32",
                "logits",
                f"{_LOGIT}: adapted, the first k of an order as in base; orders, random ones",
            ),
            "given_with_adapter": array(
                "own_order k_or_none token",
                "float32",
                "logits",
                f"{_LOGIT}: as `given`, and what the adapter on MLPs writes; of orders, the first k is 0",
            ),
            "singles": array("single token", "float32", "logits", f"{_LOGIT}: as `given`, one feature each"),
            "parts": array("direction part token", "float32", "logits", f"{_LOGIT}: parts given, and taken"),
            **since(
                9,
                {
                    "node_given": array(
                        "node_order k token",
                        "float32",
                        "logits",
                        f"{_LOGIT}: orders with adapter nodes, random too",
                    ),
                    "node_taken": array(
                        "node_order k token",
                        "float32",
                        "logits",
                        f"{_LOGIT}: the same, taken from the adapted",
                    ),
                    "nulls": array("null token", "float32", "logits", f"{_LOGIT}: random adapters"),
                    "null_given": array(
                        "null own_order k token",
                        "float32",
                        "logits",
                        f"{_LOGIT}: as `given`, of random adapters",
                    ),
                },
            ),
        },
    ),
    scalars={},
)
"""On prompts where it is measured: what `faithfulness` is computed from. The key holds orders and tokens."""
