"""Features of behaviours' prompts as NumPy's files: the largest activations, and how frequent all are."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.behaviours.forced_units import by_split
from store.documents.behaviour_prompts import BEHAVIOUR_PROMPTS, behaviours_in, read_behaviour_prompts
from store.schema.circuits import BEHAVIOUR_FEATURES
from store.views.by_behaviour import open_collections

ARRAYS = ("indices", "values", "seen", "frequencies")
"""A file a layer each: (prompt, rank) int32 features of the largest activations, -1 where there are fewer;
(prompt, rank) float32 activations; (feature,) int32 of all that are active on any prompt; (feature,) float64,
on which share of prompts each of these is."""


def feature_files(folder: Path, variant: str) -> Iterator[tuple[str, bytes]]:
    """``features_<behaviour>_<split>_layer_<n>_<array>.npy``, a ``_meta.json`` a behaviour and split, and
    ``features_summary.json``, by name; of a variant that was not read there are none.

    Parameters
    ----------
    folder
        The profile's artifacts.
    variant
        Whose activations.

    Raises
    ------
    ArtifactMissingError
        The stage has not run.
    """
    source = folder / BEHAVIOUR_PROMPTS
    collections = open_collections(folder, BEHAVIOUR_FEATURES.kind)
    summary: dict[str, Any] = {}
    for of, prompts in by_split(read_behaviour_prompts(source, behaviours_in(source))).items():
        if (of, variant) not in collections:
            continue
        collection = collections.holding(of, variant)
        arrays = collection.item(of, variant).arrays
        name, split = prompts[0].behaviour, prompts[0].split
        counts: dict[str, dict[str, float]] = {}
        for place, layer in enumerate(arrays["layer"].tolist()):
            here = arrays["seen_layer"] == layer
            seen = arrays["seen_prompts"][here]
            found = (
                arrays["top_index"][:, place],
                arrays["top_value"][:, place],
                arrays["seen_index"][here],
                seen / len(prompts),
            )
            for array, values in zip(ARRAYS, found, strict=True):
                yield f"features_{name}_{split}_layer_{layer}_{array}.npy", _npy(values)
            counts[str(layer)] = {"active": int(here.sum()), "a_prompt": float(seen.sum() / len(prompts))}
        meta = {
            "variant": variant,
            "behaviour": name,
            "split": split,
            "prompts": [each.hash for each in prompts],
            "layers": arrays["layer"].tolist(),
            "top": arrays["top_index"].shape[2],
            "parameters": collection.provenance["parameters"],
        }
        yield f"features_{name}_{split}_meta.json", _json(meta)
        summary.setdefault(name, {})[split] = {"n_prompts": len(prompts), "layers": counts}
    if summary:
        yield "features_summary.json", _json({"variant": variant, "behaviours": summary})


def _npy(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(values), allow_pickle=False)
    return file.getvalue()


def _json(value: Any) -> bytes:
    return f"{json.dumps(value, ensure_ascii=False, indent=1)}\n".encode()
