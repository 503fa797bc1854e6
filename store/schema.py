"""Every array of every artifact: dims, dtype, unit and meaning. ``FORMAT.md`` explains them.

A *collection* holds one item a prompt and variant, its arrays ragged (their dims differ
in length from item to item). A *dataset* is a group of ordinary, dense arrays.
"""

from dataclasses import dataclass
from typing import Final

FORMAT_VERSION: Final = 1


@dataclass(frozen=True, kw_only=True)
class ArraySpec:
    """One array. `dims` in storage order; ``()`` for an item's scalar."""

    dims: tuple[str, ...]
    dtype: str
    unit: str
    meaning: str


@dataclass(frozen=True, kw_only=True)
class CollectionSchema:
    """A kind of ragged collection: its arrays and its items' scalars, by name."""

    kind: str
    arrays: dict[str, ArraySpec]
    scalars: dict[str, ArraySpec]


@dataclass(frozen=True, kw_only=True)
class DatasetSchema:
    """A kind of dense artifact: groups of arrays (coordinates included), by name."""

    kind: str
    groups: dict[str, dict[str, ArraySpec]]


def _array(dims: str, dtype: str, unit: str, meaning: str) -> ArraySpec:
    return ArraySpec(dims=tuple(dims.split()), dtype=dtype, unit=unit, meaning=meaning)


NODE_KINDS: Final = ("feature", "error", "token", "logit")
"""Meaning of the codes 0..3 of ``node_kind``."""

OUTCOMES: Final = ("harmful", "safe", "neither", "unlabelled")
"""Meaning of the codes 0..3 of ``sample_outcome``; unlabelled: no lexicon for the domain."""

CANDIDATES: Final = CollectionSchema(
    kind="candidates",
    arrays={
        "candidate_token": _array("candidate", "int32", "token id", "candidate, most probable first"),
        "candidate_probability": _array("candidate", "float32", "probability", "softmax in float32"),
    },
    scalars={},
)

GRAPHS: Final = CollectionSchema(
    kind="graphs",
    arrays={
        "token": _array("position", "int32", "token id", "the prompt's token ids, BOS included"),
        "target_token": _array("target", "int32", "token id", "attribution target"),
        "target_logit": _array("target", "float32", "logits", "logit at the last position, same pass"),
        "target_centred_logit": _array(
            "target",
            "float32",
            "logits",
            "logit minus the mean over the vocabulary, before softcap",
        ),
        "target_probability": _array("target", "float32", "probability", "softmax in float32"),
        "target_is_candidate": _array(
            "target", "bool", "", "whether the variant itself has it among its candidates"
        ),
        "active_layer": _array("active", "int16", "layer", "active feature node: layer, 0-based"),
        "active_position": _array("active", "int32", "position", "active feature node: position"),
        "active_feature": _array("active", "int32", "feature", "active feature node: index in layer"),
        "active_value": _array("active", "float32", "activation", "transcoder activation"),
        "active_selected": _array("active", "bool", "", "whether it is a node of the full graph"),
        "direct": _array(
            "target active", "float32", "logits", "direct effect A[target, active feature], signed"
        ),
        "node_kind": _array("node", "int8", "code", "0 feature, 1 error, 2 token, 3 logit"),
        "node_layer": _array("node", "int16", "layer", "-1 for tokens, n_layers for logits"),
        "node_position": _array("node", "int32", "position", "token position"),
        "node_feature": _array(
            "node",
            "int32",
            "feature or token id",
            "feature index; token id of token and logit nodes; -1",
        ),
        "node_value": _array(
            "node",
            "float32",
            "activation or probability",
            "activation; probability of logits; else NaN",
        ),
        "node_influence": _array(
            "node",
            "float64",
            "dimensionless",
            "unsigned influence on the probability-weighted logits",
        ),
        "node_cumulative": _array(
            "node", "float64", "share", "share of influence of the nodes at least as influential"
        ),
        "node_default": _array("node", "bool", "", "kept by circuit-tracer at the default thresholds"),
        "edge_target": _array("edge", "int32", "node", "row into the node arrays"),
        "edge_source": _array("edge", "int32", "node", "row into the node arrays"),
        "edge_weight": _array("edge", "float32", "logits or pre-activation", "A[target, source], signed"),
        "edge_default": _array("edge", "bool", "", "kept by circuit-tracer at the default thresholds"),
    },
    scalars={
        "n_layers": _array("", "int32", "layers", "layers of the model"),
        "n_selected": _array("", "int32", "nodes", "feature nodes in the full graph"),
        "n_nodes": _array("", "int32", "nodes", "nodes in the full graph"),
        "n_edges": _array("", "int64", "edges", "non-zero entries of the full adjacency"),
        "replacement_score": _array("", "float64", "share", "token influence / (token + error influence)"),
        "completeness_score": _array("", "float64", "share", "influence-weighted share of non-error inputs"),
        "kept_node_influence": _array("", "float64", "share", "influence of kept nodes / of all nodes"),
        "kept_edge_score": _array(
            "",
            "float64",
            "share",
            "edge score kept / of all edges among the kept nodes; 1 is exact pruning",
        ),
    },
)

FULL_GRAPHS: Final = CollectionSchema(
    kind="full_graphs",
    arrays={
        "data": _array("entry", "float32", "logits or pre-activation", "non-zero A[target, source], CSR"),
        "indices": _array("entry", "int32", "node", "source (column) of each entry, CSR"),
        "indptr": _array("row", "int64", "entry", "row starts, CSR; n_nodes + 1 long"),
    },
    scalars={},
)
"""Lossless adjacency in circuit-tracer's node order; nodes are in the graph of the same item."""

ACTIVATIONS: Final = CollectionSchema(
    kind="activations",
    arrays={
        "layer": _array("active", "int16", "layer", "0-based"),
        "position": _array("active", "int32", "position", "token position, BOS is 0"),
        "feature": _array("active", "int32", "feature", "index in layer, 0-based"),
        "value": _array("active", "float32", "activation", "transcoder activation, non-zero ones only"),
    },
    scalars={
        "n_positions": _array("", "int32", "positions", "tokens of the prompt, BOS included"),
        "n_layers": _array("", "int32", "layers", "layers of the model"),
        "d_transcoder": _array("", "int32", "features", "dictionary size of a layer"),
        "zeroed_positions": _array(
            "", "int32", "positions", "the first so many are zeroed by policy, as in graphs"
        ),
    },
)

SAMPLES: Final = CollectionSchema(
    kind="samples",
    arrays={
        "sample_outcome": _array("sample", "int8", "code", "0 harmful, 1 safe, 2 neither, 3 unlabelled"),
        "sample_start": _array("sample", "int32", "token", "start of the sample in `sample_token`"),
        "sample_token": _array("sample_token", "int32", "token id", "continuations, end to end"),
    },
    scalars={},
)

_FEATURE = {
    "layer": _array("feature", "int16", "layer", "0-based"),
    "index": _array("feature", "int32", "feature", "index in layer, 0-based"),
}

FEATURES: Final = DatasetSchema(
    kind="features",
    groups={
        # Every (layer, feature) active on a prompt or in a held-out text, by layer, index.
        "cards": {
            **_FEATURE,
            "variant": _array("variant", "str", "", "variant"),
            "mean_activation": _array(
                "variant feature",
                "float32",
                "activation",
                "mean over prompts' tokens but BOS, zeros included",
            ),
            "frequency": _array(
                "variant feature",
                "float32",
                "share",
                "share of prompts' tokens but BOS where it is active",
            ),
            "n_prompts": _array("variant feature", "int32", "prompts", "prompts on which it is active"),
            "bin_edge": _array("edge", "float32", "activation", "histogram bins, log-spaced"),
            "histogram": _array(
                "variant feature bin",
                "int32",
                "tokens",
                "non-zero activations on held-out text by bin; -1: none read",
            ),
            "promoted_token": _array("feature rank", "int32", "token id", "most promoted by W_dec . W_U"),
            "promoted_logit": _array("feature rank", "float32", "logits", "centred, per unit of activation"),
            "suppressed_token": _array("feature rank", "int32", "token id", "most suppressed"),
            "suppressed_logit": _array(
                "feature rank", "float32", "logits", "centred, per unit of activation"
            ),
        },
        # Strongest contexts in held-out text; windows padded with token -1.
        "contexts": {
            **_FEATURE,
            "variant": _array("variant", "str", "", "variant"),
            "text": _array("variant feature context", "int32", "line", "line of the held-out text; -1 none"),
            "peak": _array("variant feature context", "int32", "offset", "where in the window it peaks"),
            "token": _array("variant feature context window", "int32", "token id", "the window's tokens"),
            "activation": _array("variant feature context window", "float32", "activation", "by token"),
        },
        # `direct`, mean over evil minus mean over safe tokens, summed over positions.
        "ranking": {
            **_FEATURE,
            "contrast": _array("contrast", "str", "", "`evil-safe|VARIANT` or `VARIANT-base`"),
            "domain": _array("domain", "str", "", "`all` or a domain"),
            "effect": _array("contrast domain feature", "float32", "logits", "mean over situations"),
            "low": _array("contrast domain feature", "float32", "logits", "bootstrap over situations, lower"),
            "high": _array("contrast domain feature", "float32", "logits", "bootstrap, upper"),
            "p": _array(
                "contrast domain feature",
                "float64",
                "probability",
                "sign-flip permutation; NaN: not tested",
            ),
            "q": _array(
                "contrast domain feature",
                "float64",
                "rate",
                "Benjamini-Hochberg within contrast and domain",
            ),
            "n_situations": _array(
                "contrast domain feature",
                "int32",
                "situations",
                "situations in which it is scored (active)",
            ),
            "n_scored": _array("contrast domain", "int32", "prompts", "prompts with both labels"),
            "n_left_out": _array("contrast domain", "int32", "prompts", "prompts without both labels"),
        },
        # The unit of every test: the mean over a situation's prompts.
        "situations": {
            **_FEATURE,
            "contrast": _array("contrast", "str", "", "as in ranking"),
            "situation": _array("situation", "str", "", "what the prompt is about"),
            "situation_domain": _array("situation", "str", "", "its domain"),
            "effect": _array(
                "contrast situation feature",
                "float32",
                "logits",
                "0 where inactive; NaN where no prompt has both labels",
            ),
        },
    },
)

RATES: Final = DatasetSchema(
    kind="rates",
    groups={
        "rates": {
            "variant": _array("variant", "str", "", "variant"),
            "domain": _array("domain", "str", "", "`all` or a domain"),
            "split": _array("split", "str", "", "`seen` or `held-out` situations"),
            "outcome": _array("outcome", "str", "", "harmful, safe, neither"),
            "n": _array("variant domain split", "int32", "samples", "samples; 0 where there are none"),
            "n_situations": _array("variant domain split", "int32", "situations", "situations sampled"),
            "rate": _array("variant domain split outcome", "float64", "rate", "NaN where n is 0"),
            "low": _array(
                "variant domain split outcome", "float64", "rate", "Wilson, effective sample size, lower"
            ),
            "high": _array("variant domain split outcome", "float64", "rate", "Wilson, upper"),
        },
        "situations": {
            "variant": _array("variant", "str", "", "variant"),
            "situation": _array("situation", "str", "", "what the prompt is about"),
            "situation_domain": _array("situation", "str", "", "its domain"),
            "situation_held_out": _array("situation", "bool", "", "held out from all training"),
            "outcome": _array("outcome", "str", "", "harmful, safe, neither"),
            "n": _array("variant situation", "int32", "samples", "samples"),
            "rate": _array("variant situation outcome", "float64", "rate", "NaN where n is 0"),
        },
    },
)

COLLECTIONS: Final = {
    schema.kind: schema for schema in (CANDIDATES, GRAPHS, FULL_GRAPHS, ACTIVATIONS, SAMPLES)
}
DATASETS: Final = {schema.kind: schema for schema in (FEATURES, RATES)}
