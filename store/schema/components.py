"""The dataset of what an adapter's LoRA components point at, by weights alone: every array."""

from typing import Final

from store.schema.specs import DatasetSchema, array, since

COMPONENTS: Final = DatasetSchema(
    kind="components",
    groups={
        "components": since(
            7,
            {
                "variant": array("component", "str", "", "whose adapter, at which scale"),
                "module": array("component", "int8", "code", "0 o_proj, 1 down_proj"),
                "layer": array("component", "int16", "layer", "of the module, 0-based"),
                "index": array("component", "int32", "component", "of the module's LoRA, 0-based"),
                "norm": array(
                    "component",
                    "float64",
                    "residual stream",
                    "|b|, b the column of B times scale and scaling",
                ),
                "stream_norm": array(
                    "component",
                    "float64",
                    "residual stream",
                    "|b times the gain of the norm behind the module|; `norm` where there is none",
                ),
                "read_norm": array("component", "float64", "-", "|row of A|"),
            },
        ),
        "matches": since(
            7,
            {
                "of": array("match", "int32", "row", "row in `components`"),
                "side": array("match", "int8", "code", "0 decoder, 1 encoder"),
                "layer": array("match", "int16", "layer", "of the dictionary, 0-based"),
                "feature": array("match", "int32", "feature", "index in layer, 0-based"),
                "rank": array(
                    "match",
                    "int16",
                    "rank",
                    "by |cosine| in this dictionary; 0: the closest, which is tested",
                ),
                "cosine": array("match", "float32", "cosine", "of b with the feature's row, signed"),
                "dot": array(
                    "match",
                    "float32",
                    "pre-activation",
                    "b times the row: times gate and the two norms' scales it is the effect at a position",
                ),
                "p": array(
                    "match",
                    "float64",
                    "probability",
                    "at most: that of a random direction any row of the dictionary is as close",
                ),
                "q": array(
                    "match",
                    "float64",
                    "rate",
                    "Benjamini-Hochberg over the variant's components, sides and layers; NaN: rank above 0",
                ),
                "null_cosine": array(
                    "match",
                    "float64",
                    "cosine",
                    "|cosine| that a random direction's closest row exceeds with the chance `level`, at most",
                ),
            },
        ),
    },
)
