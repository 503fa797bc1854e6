"""Every array of every artifact: dims, dtype, unit and meaning. ``FORMAT.md`` explains them.

A *collection* holds one item a prompt and variant, its arrays ragged (their dims differ
in length from item to item). A *dataset* is a group of ordinary, dense arrays.
"""

from typing import Final

from store.schema.features import FEATURES, RATES
from store.schema.graphs import (
    ADAPTERS,
    CANDIDATES,
    DOSE,
    FULL_GRAPHS,
    GRAPHS,
)
from store.schema.specs import ArraySpec, CollectionSchema, DatasetSchema, array

__all__ = [
    "ACTIVATIONS",
    "ADAPTERS",
    "CANDIDATES",
    "COLLECTIONS",
    "DATASETS",
    "DOSE",
    "FEATURES",
    "FORMAT_VERSION",
    "FULL_GRAPHS",
    "GRAPHS",
    "RATES",
    "SAMPLES",
    "ArraySpec",
    "CollectionSchema",
    "DatasetSchema",
]

FORMAT_VERSION: Final = 2
"""Version that is written; every version from 1 on is read."""

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

SAMPLES: Final = CollectionSchema(
    kind="samples",
    arrays={
        "sample_outcome": array("sample", "int8", "code", "0 harmful, 1 safe, 2 neither, 3 unlabelled"),
        "sample_start": array("sample", "int32", "token", "start of the sample in `sample_token`"),
        "sample_token": array("sample_token", "int32", "token id", "continuations, end to end"),
    },
    scalars={},
)

COLLECTIONS: Final = {
    schema.kind: schema for schema in (CANDIDATES, GRAPHS, FULL_GRAPHS, ACTIVATIONS, SAMPLES, ADAPTERS, DOSE)
}
DATASETS: Final = {schema.kind: schema for schema in (FEATURES, RATES)}
