"""The collection of answers that variants were made to read: every array."""

from typing import Final

from store.schema.specs import CollectionSchema, array, since

FORCED_ANSWERS: Final = CollectionSchema(
    kind="forced_answers",
    arrays=since(
        8,
        {
            "answer_start": array("answer", "int32", "token", "start of the answer in `log_prob`"),
            "log_prob": array("answer_token", "float32", "nats", "of each token, answers end to end"),
            "decision": array(
                "prompt", "float32", "logits", "right minus wrong token where the answers first differ"
            ),
        },
    ),
    scalars={},
)
"""An item a behaviour, split and variant, with its prompts in the order of their file; each has two answers,
the right one first. An item's prompt hash is that of all of them."""
