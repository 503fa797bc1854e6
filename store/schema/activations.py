"""The collection of activations: every array."""

from typing import Final

from store.schema.specs import CollectionSchema, array

ACTIVATIONS: Final = CollectionSchema(
    kind="activations",
    arrays={
        "layer": array("active", "int16", "layer", "0-based"),
        "position": array("active", "int32", "position", "token position, BOS is 0"),
        "feature": array("active", "int32", "feature", "index in layer, 0-based"),
        "value": array("active", "float32", "activation", "transcoder activation, non-zero ones only"),
    },
    scalars={
        "n_positions": array("", "int32", "positions", "tokens of the prompt, BOS included"),
        "n_layers": array("", "int32", "layers", "layers of the model"),
        "d_transcoder": array("", "int32", "features", "dictionary size of a layer"),
        "zeroed_positions": array(
            "", "int32", "positions", "the first so many are zeroed by policy, as in graphs"
        ),
    },
)
