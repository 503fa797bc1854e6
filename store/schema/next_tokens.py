"""The collection of what the model says next of the tokens that are watched: every array."""

from typing import Final

from store.schema.specs import CollectionSchema, array, since

NEXT_TOKENS: Final = CollectionSchema(
    kind="next_tokens",
    arrays=since(
        8,
        {
            "watched_token": array("watched", "int32", "token id", "candidates of any variant, ascending"),
            "watched_log_probability": array(
                "watched", "float32", "nats", "natural log of its probability as the next token"
            ),
            "watched_rank": array("watched", "int32", "place", "among all tokens, from 0, the likeliest"),
        },
    ),
    scalars={},
)
"""An item a prompt, variant and setting; which of them are evil is told by labels, and not kept here."""
