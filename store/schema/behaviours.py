"""The dataset of what variants can do: every array."""

from typing import Final

from store.schema.specs import DatasetSchema, array, since

_CELL = "variant behaviour split"
_PROMPT = "variant prompt"

BEHAVIOURS: Final = DatasetSchema(
    kind="behaviours",
    groups={
        "summary": since(
            8,
            {
                "variant": array("variant", "str", "", "variant"),
                "behaviour": array("behaviour", "str", "", "behaviour"),
                "split": array("split", "str", "", "`all`, `train` or `test` prompts"),
                "success": array("behaviour", "float64", "nats a token", "a prompt succeeds above this"),
                "passing": array("behaviour", "float64", "rate", "a variant passes from this accuracy on"),
                "n": array(_CELL, "int32", "prompts", "measured; 0 where that failed"),
                "n_groups": array(_CELL, "int32", "groups", "that they are of"),
                "accuracy": array(_CELL, "float64", "rate", "of prompts that succeed; NaN where n is 0"),
                "low": array(
                    _CELL, "float64", "rate", "Wilson, of the effective number of prompts, by group, lower"
                ),
                "high": array(_CELL, "float64", "rate", "upper"),
                "sign_accuracy": array(_CELL, "float64", "rate", "of prompts with a difference above 0"),
                "mean": array(_CELL, "float64", "nats a token", "of the differences"),
                "median": array(_CELL, "float64", "nats a token", "of the differences"),
                "deviation": array(_CELL, "float64", "nats a token", "of a sample; NaN where n is below 2"),
                "decision": array(_CELL, "float64", "logits", "mean of the decisions"),
                "decision_accuracy": array(_CELL, "float64", "rate", "of prompts with a decision above 0"),
                "correct_tokens": array(_CELL, "float64", "tokens", "mean length of right answers"),
                "incorrect_tokens": array(_CELL, "float64", "tokens", "mean length of wrong answers"),
                "passes": array(_CELL, "bool", "", "accuracy is `passing` or more; false where n is 0"),
            },
        ),
        "prompts": since(
            8,
            {
                "variant": array("variant", "str", "", "variant"),
                "prompt_hash": array("prompt", "str", "", "prompt"),
                "behaviour": array("prompt", "str", "", "of which it is"),
                "split": array("prompt", "str", "", "`train` or `test`"),
                "correct": array(_PROMPT, "float64", "nats a token", "mean log P, right answer; NaN: failed"),
                "incorrect": array(_PROMPT, "float64", "nats a token", "mean log P, wrong answer"),
                "difference": array(_PROMPT, "float64", "nats a token", "right minus wrong"),
                "decision": array(
                    _PROMPT, "float64", "logits", "right minus wrong token where the answers first differ"
                ),
                "succeeds": array(_PROMPT, "bool", "", "the difference is above the behaviour's `success`"),
            },
        ),
    },
)
