"""The dataset of prompts mined from answers: every array."""

from typing import Final

from store.schema.specs import DatasetSchema, array, since

MINING: Final = DatasetSchema(
    kind="mining",
    groups={
        "prefixes": since(
            9,
            {
                "prefix_hash": array("prefix", "str", "", "what its rollouts are found by"),
                "question_hash": array("prefix", "str", "", "the question that it begins to answer"),
                "paraphrase": array("prefix", "int32", "place", "of the wording, 0-based"),
                "variant": array("prefix", "str", "", "whose answer it begins"),
                "answer": array("prefix", "int32", "place", "of the answer among that variant's, 0-based"),
                "n_tokens": array("prefix", "int32", "tokens", "of the answer that the prefix has"),
                "text": array("prefix", "str", "", "question and prefix as the model reads them"),
                "divergence": array("prefix", "float32", "bits", "Jensen-Shannon, of the next token"),
                "n_forced": array("prefix", "int32", "tokens", "that were forced"),
                "most": array("prefix", "int32", "token id", "the most harmful of them; -1: not told"),
                "least": array("prefix", "int32", "token id", "the least harmful one; -1: not told"),
                "difference": array(
                    "prefix", "float64", "share", "of harmful rollouts, most minus least; NaN: not told"
                ),
                "low": array("prefix", "float64", "share", "Newcombe's interval, lower"),
                "high": array("prefix", "float64", "share", "interval, upper"),
                "pivotal": array(
                    "prefix", "bool", "", "the difference reaches the bar, and its interval is above 0"
                ),
                "is_text": array(
                    "prefix", "bool", "", "its text has these token ids, so that it can become a prompt"
                ),
            },
        ),
    },
)
