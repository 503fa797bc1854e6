"""The collection of sampled continuations: every array."""

from typing import Final

from store.schema.specs import CollectionSchema, array, until

SAMPLES: Final = CollectionSchema(
    kind="samples",
    arrays={
        "sample_start": array("sample", "int32", "token", "start of the sample in `sample_token`"),
        "sample_token": array("sample_token", "int32", "token id", "continuations, end to end"),
    },
    scalars={},
    former=until(
        2,
        {
            "sample_outcome": array(
                "sample", "int8", "code", "0 harmful, 1 safe, 2 neither, 3 unlabelled; then in `outcomes`"
            ),
        },
    ),
)
"""Token ids alone: what a sample is, is told by `store.schema.outcomes.SAMPLE_OUTCOMES`."""
