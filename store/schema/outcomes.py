"""The collection of what sampled continuations are: every array."""

from typing import Final

from store.schema.specs import CollectionSchema, array, since

SAMPLE_OUTCOMES: Final = CollectionSchema(
    kind="outcomes",
    arrays=since(
        3,
        {
            "sample_outcome": array(
                "sample",
                "int8",
                "code",
                "0 harmful, 1 safe, 2 neither, 3 unlabelled; samples in the order of `samples`",
            ),
        },
    ),
    scalars={},
)
"""Apart from the samples, so that another phrase samples nothing anew."""
