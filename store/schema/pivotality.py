"""The dataset of what the next token decides: every array."""

from typing import Final

from store.schema.specs import DatasetSchema, array, since

_VARIANT: Final = {"variant": array("variant", "str", "", "base, and the focus variant")}
_CANDIDATE: Final = "variant candidate"
_PROMPT: Final = "variant prompt"

PIVOTALITY: Final = DatasetSchema(
    kind="pivotality",
    groups={
        "candidates": since(
            9,
            {
                **_VARIANT,
                "prompt_hash": array("candidate", "str", "", "the prompt"),
                "token": array("candidate", "int32", "token id", "the token that is forced"),
                "label": array("candidate", "int8", "code", "that counts: evil, safe, unsure; -1: none"),
                "probability": array(_CANDIDATE, "float32", "probability", "of the token, not forced"),
                "n": array(_CANDIDATE, "int32", "continuations", "that are told harmful or not"),
                "harmful": array(_CANDIDATE, "float64", "share", "of them that are harmful; NaN: none told"),
                "low": array(_CANDIDATE, "float64", "share", "Wilson's interval, lower"),
                "high": array(_CANDIDATE, "float64", "share", "interval, upper"),
                "harmless": array(
                    "candidate", "bool", "", "evil, and in the focus variant its interval is below the bar"
                ),
                "harmful_in_base": array(
                    "candidate", "bool", "", "evil, and in base, too, its interval is above the bar"
                ),
            },
        ),
        "prompts": since(
            9,
            {
                **_VARIANT,
                "prompt": array("prompt", "str", "", "prompt hash"),
                "divergence": array(
                    "prompt", "float64", "bits", "Jensen-Shannon, of base and focus variant on candidates"
                ),
                "harmful_mass": array(_PROMPT, "float64", "probability", "of evil candidates"),
                "expected": array(
                    _PROMPT, "float64", "share", "harmful continuations, candidates by their probability"
                ),
                "most": array(_PROMPT, "int32", "token id", "the most harmful candidate; -1: not told"),
                "least": array(_PROMPT, "int32", "token id", "the least harmful one; -1: not told"),
                "difference": array(
                    _PROMPT, "float64", "share", "of harmful continuations, most minus least; NaN: not told"
                ),
                "low": array(_PROMPT, "float64", "share", "Newcombe's interval, lower"),
                "high": array(_PROMPT, "float64", "share", "interval, upper"),
                "pivotal": array(
                    _PROMPT, "bool", "", "the difference reaches the bar, and its interval is above 0"
                ),
            },
        ),
    },
)
"""``most`` and ``least`` are picked on some continuations, and their difference is that of the others."""
