"""The collection of how strongly an adapter's LoRA components act at each token: every array."""

from typing import Final

from store.schema.specs import CollectionSchema, array, since

GATES: Final = CollectionSchema(
    kind="gates",
    arrays=since(
        7,
        {
            "token": array("position", "int32", "token id", "the prompt's token ids, BOS included"),
            "module": array("component", "int8", "code", "0 o_proj, 1 down_proj"),
            "layer": array("component", "int16", "layer", "of the module, 0-based"),
            "index": array("component", "int32", "component", "of the module's LoRA, 0-based"),
            "gate": array(
                "component position", "float32", "-", "row of A times what the adapted model's module reads"
            ),
            "gate_cosine": array("component position", "float32", "cosine", "of the row of A with it"),
            "read_width": array("component", "int32", "numbers", "length of the row of A"),
            "write_scale": array(
                "component position",
                "float32",
                "1 / residual stream",
                "1 / scale of the norm behind the module; 1 where there is none",
            ),
            "read_scale": array(
                "layer position",
                "float32",
                "1 / residual stream",
                "1 / scale of the norm that the layer's transcoder reads behind; 1 where there is none",
            ),
            "origin_module": array("origin", "int8", "code", "0 o_proj, 1 down_proj"),
            "origin_layer": array("origin", "int16", "layer", "of the module, 0-based"),
            "added": array(
                "origin position",
                "float32",
                "residual stream",
                "norm of what all components of the module add together",
            ),
            "added_random": array(
                "origin position",
                "float32",
                "residual stream",
                "root mean square of it, were the rows of A random directions of their norms",
            ),
        },
    ),
    scalars={},
)
"""Adapted variants only; modules that write to the residual stream: ``o_proj`` and ``down_proj``."""
