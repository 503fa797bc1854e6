"""The collection of continuations that begin with a forced token: every array."""

from typing import Final

from store.schema.specs import CollectionSchema, array, since

ROLLOUTS: Final = CollectionSchema(
    kind="rollouts",
    arrays=since(
        9,
        {
            "forced_token": array("forced", "int32", "token id", "what continuations begin with"),
            "forced_log_probability": array(
                "forced", "float32", "nats", "natural log of its probability as the next token"
            ),
            "rollout_start": array(
                "forced rollout", "int32", "token", "start of the continuation in `rollout_token`"
            ),
            "rollout_token": array(
                "rollout_token", "int32", "token id", "what follows the forced token, end to end"
            ),
        },
    ),
    scalars={},
)
"""Token ids alone: what they are, is told where they are read."""
