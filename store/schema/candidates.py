"""The collection of candidate tokens: every array."""

from typing import Final

from store.schema.specs import CollectionSchema, array

CANDIDATES: Final = CollectionSchema(
    kind="candidates",
    arrays={
        "candidate_token": array("candidate", "int32", "token id", "candidate, most probable first"),
        "candidate_probability": array("candidate", "float32", "probability", "softmax in float32"),
    },
    scalars={},
)
