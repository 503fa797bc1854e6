"""Names and codes that arrays are written with: what their readers need to know beside the arrays."""

from typing import Final

NODE_KINDS: Final = ("feature", "error", "token", "logit")
"""Meaning of the codes 0..3 of ``node_kind``."""

FEATURE, ERROR, TOKEN, LOGIT = range(len(NODE_KINDS))
"""Codes of ``node_kind``."""

ADAPTER_PARTS: Final = ("down", "hidden", "attention")
"""Meaning of the codes 0..2 of ``adapter_part``, ``source_part`` and ``origin_part``.

down: a component of LoRA on ``down_proj``, or all of them. hidden: what adapted gate and up projections
add. attention: what adapted value and output projections add.
"""

WRITERS: Final = ("o_proj", "down_proj")
"""Meaning of the codes 0 and 1 of ``module``: the modules that write to the residual stream."""

SIDES: Final = ("decoder", "encoder")
"""Meaning of the codes 0 and 1 of ``side``.

decoder: which features of the module's layer write like the component. encoder: which features of the
layers behind read what it writes.
"""

CAUSES: Final = (
    "adapter_down",
    "adapter_hidden",
    "adapter_attention",
    "feature",
    "token",
    "error",
    "constant",
)
"""Columns of ``change``, in order."""

FIXED_DIMS: Final = {"cause": len(CAUSES)}
"""Dims that have the same length in every item."""

OUTCOMES: Final = ("harmful", "safe", "neither", "unlabelled")
"""Meaning of the codes 0..3 of ``sample_outcome``; unlabelled: no lexicon for the domain."""

ALL: Final = "all"
"""The entry of the dim ``domain`` that pools every domain."""

SCORES: Final = ("direct", "influence", "total_effect", "change", "activation")
"""Scores that features are ranked by; see `store.schema.rankings` for the groups that hold the rankings."""

ABLATE: Final = "ablate"
"""What a feature's role in a variant is measured by: its activation is 0 everywhere."""

RESTORE: Final = "restore"
"""What the adapter's change of a feature is measured by: its activation is the base's everywhere."""

GIVEN: Final = "given"
"""Faithfulness: in base, features have the adapted variant's activations."""

TAKEN: Final = "taken"
"""Faithfulness, the mirror: in the adapted variant, features have the base's activations."""

GIVEN_WITH_ADAPTER: Final = "given_with_adapter"
"""As `GIVEN`, and MLPs write what the adapter on them wrote in the adapted variant."""

EXPERIMENTS: Final = (GIVEN, TAKEN, GIVEN_WITH_ADAPTER)
"""What is done to the first features of an order, to see how much of the difference they carry."""

RESPONSE: Final = "response"
"""The order of features by how they tell misaligned answers from aligned ones."""

GRADIENTS: Final = "eap_ig"
"""The order of features by edge attribution with integrated gradients; no score of ours."""

FAITHFUL_ORDERS: Final = (*SCORES, RESPONSE, GRADIENTS)
"""Orders of features that faithfulness is measured of."""

ADAPTER_NODES: Final = ("mlp", "attention")
"""What an adapter writes through a layer's MLP and through its attention, at every position, beyond what the
weights of the other variant write at the same input. In an order of features, (layer, -1) and (layer, -2)."""

NODES, FEATURES_AND_NODES = NODE_ORDERS = ("nodes", "features_and_nodes")
"""Orders by edge attribution with integrated gradients that hold adapter nodes, alone or among features."""

PART_SETS: Final = (
    ("features",),
    ("errors",),
    ("adapter",),
    ("attention",),
    ("features", "errors"),
    ("features", "adapter"),
    ("features", "adapter", "errors"),
    ("adapter", "attention"),
    ("features", "adapter", "errors", "attention"),
)
"""Parts of every layer that are as in the other variant, together: all features; what they leave of an MLP's
output at the same weights; what the adapter on MLPs writes; what the one on attention writes."""

ABLATION, INHIBITION, PATCHING, IMPORTANCE, DOSE_RESPONSE, TOGETHER, INTERACTION, TRANSFER = CAUSAL = (
    "ablation",
    "inhibition",
    "patching",
    "importance",
    "dose_response",
    "together",
    "interaction",
    "transfer",
)
"""Experiments of the stage `interventions`.

ablation: the activation becomes 0 wherever there is one. inhibition: minus so many times itself. patching:
what it is on a paired prompt, at the tokens that both end with. importance: 0 at one position.
dose_response: so many times itself. together: two features are ablated at once; interaction: what that does
beyond the sum of both alone. transfer: what it is in the other variant.
"""

NOTHING, NORMS, ATTENTION, MLPS, EVERYTHING = FROZEN = ("nothing", "norms", "attention", "mlps", "everything")
"""What stays as it is while features are ablated: scales of norms, attention patterns, outputs of MLPs."""

PREDICTING: Final = ("direct", "influence", "total_effect", "change")
"""Scores that predict an intervention's effect; `change` that of a transfer."""

ALL_POSITIONS: Final = -1
"""In place of a position, counted from the prompt's end: wherever the feature is active."""

PARTNERED: Final = (ABLATION, INHIBITION, PATCHING)
"""Experiments of the stage `behaviour_interventions`; patching: as on the partner, at what decides."""

SWAPPED: Final = "swapped"
"""In place of a behaviour whose circuit it is: features ordered with right and wrong answers swapped."""

SUFFICIENT, NECESSARY, REMOVED = CIRCUIT_EXPERIMENTS = ("sufficient", "necessary", "removed")
"""What is done to the first features of a circuit.

sufficient: on the partner they are as on the prompt. necessary: on the prompt they are as on the partner.
removed: on the prompt they are 0.
"""

STREAM, SPAN_FEATURES, SPAN_CIRCUIT, BY_CHANCE = SPAN_PARTS = ("stream", "features", "circuit", "by_chance")
"""What is the partner's at what decides: the residual stream before a layer; all features of the layer;
those of the circuit; those of random circuits, on the mean."""
