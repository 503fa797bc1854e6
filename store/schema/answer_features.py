"""The collection of features of whole answers: every array."""

from typing import Final

from store.schema.specs import CollectionSchema, array, since

READERS: Final = ("own", "base")
"""Meaning of the codes 0..1 of ``reader``: the variant that wrote the answer, or the base, reads it."""

ANSWER_FEATURES: Final = CollectionSchema(
    kind="answer_features",
    arrays=since(
        6,
        {
            "reader": array("firing", "int8", "code", "0 the variant that wrote the answer, 1 base"),
            "answer": array("firing", "int32", "answer", "place in the item of `answers`"),
            "layer": array("firing", "int16", "layer", "0-based"),
            "feature": array("firing", "int32", "feature", "index in layer, 0-based"),
            "mean": array(
                "firing", "float32", "activation", "over the answer's own tokens, inactive ones as 0"
            ),
            "max": array("firing", "float32", "activation", "over the answer's own tokens"),
            "n_active": array("firing", "int32", "tokens", "of the answer on which it fires"),
        },
    ),
    scalars=since(
        6,
        {
            "n_answers": array("", "int32", "answers", "of the item of `answers`"),
            "n_layers": array("", "int32", "layers", "layers of the model"),
            "d_transcoder": array("", "int32", "features", "dictionary size of a layer"),
        },
    ),
)
"""Teacher-forced; a row a feature that fires in an answer. BOS and the prompt's tokens are left out."""
