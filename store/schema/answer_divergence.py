"""The collection of how far two variants lie apart in each token of answers: every array."""

from typing import Final

from store.schema.specs import CollectionSchema, array, since

ANSWER_DIVERGENCE: Final = CollectionSchema(
    kind="answer_divergence",
    arrays=since(
        9,
        {
            "divergence": array(
                "answer_token",
                "float32",
                "bits",
                "Jensen-Shannon divergence of base and focus variant where this token was next; tokens as in "
                "`answers`",
            ),
        },
    ),
    scalars={},
)
"""An item a question and variant whose answers both read."""
