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
