"""The collection of answers to open questions: every array."""

from typing import Final

from store.schema.specs import CollectionSchema, array, since

ANSWERS: Final = CollectionSchema(
    kind="answers",
    arrays=since(
        6,
        {
            "answer_start": array("answer", "int32", "token", "start of the answer in `answer_token`"),
            "answer_token": array("answer_token", "int32", "token id", "answers, end to end, no stop"),
            "answer_paraphrase": array("answer", "int32", "paraphrase", "which wording was asked"),
            "answer_ended": array(
                "answer", "bool", "", "the variant ended it; false: it was cut at its longest"
            ),
            "paraphrase_seed": array(
                "paraphrase",
                "int64",
                "",
                "of its random numbers; -1: not sampled here",
            ),
        },
    ),
    scalars={},
)
"""An item a question, in one form, and variant. An item's prompt hash is that of the question."""
