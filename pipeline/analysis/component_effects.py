"""What LoRA components do at the tokens of one prompt: gates, what they add, effects on later features."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from pipeline.analysis.component_tables import cosine_p
from store.schema.vocabulary import SIDES, WRITERS

Arrays = Mapping[str, np.ndarray]
"""Of an item of `store.schema.gates.GATES`."""

_ENCODER: Final = SIDES.index("encoder")


def gate_frame(arrays: Arrays, module: str) -> pd.DataFrame:
    """The gates of a kind of module, by layer and position: at each the component that reads it best.

    Parameters
    ----------
    arrays
        Of one prompt and variant.
    module
        A name of `store.schema.vocabulary.WRITERS`.

    Returns
    -------
    pd.DataFrame
        Columns layer, position, component (with the largest |cosine|), gate (signed), cosine, p
        (chance, at most, that the best of as many random directions reads the token as strongly).
    """
    of, frames = arrays["module"] == WRITERS.index(module), []
    for layer in np.unique(arrays["layer"][of]):
        rows = np.flatnonzero(of & (arrays["layer"] == layer))
        cosine = arrays["gate_cosine"][rows].astype(np.float64)
        best = np.abs(cosine).argmax(axis=0)
        at = np.arange(cosine.shape[1])
        frames.append(
            pd.DataFrame(
                {
                    "layer": int(layer),
                    "position": at,
                    "component": arrays["index"][rows][best].astype(int),
                    "gate": arrays["gate"][rows][best, at].astype(np.float64),
                    "cosine": cosine[best, at],
                    "p": cosine_p(cosine[best, at], int(arrays["read_width"][rows[0]]), len(rows)),
                }
            )
        )
    columns = ["layer", "position", "component", "gate", "cosine", "p"]
    return pd.concat(frames, ignore_index=True)[columns] if frames else pd.DataFrame(columns=columns)


def added_frame(arrays: Arrays, module: str) -> pd.DataFrame:
    """What the adapter of a kind of module adds to the residual stream, by layer and position.

    Returns
    -------
    pd.DataFrame
        Columns layer, position, added (norm of all components together), random (root mean square,
        were the rows of A random directions of their norms), ratio (of the two).
    """
    rows = np.flatnonzero(arrays["origin_module"] == WRITERS.index(module))
    added, random = (arrays[name][rows].astype(np.float64) for name in ("added", "added_random"))
    n_pos = added.shape[1]
    return pd.DataFrame(
        {
            "layer": np.repeat(arrays["origin_layer"][rows].astype(int), n_pos),
            "position": np.tile(np.arange(n_pos), len(rows)),
            "added": added.ravel(),
            "random": random.ravel(),
            "ratio": np.divide(added, random, out=np.zeros_like(added), where=random > 0).ravel(),
        }
    )


def match_frame(components: xr.Dataset, matches: xr.Dataset, variant: str) -> pd.DataFrame:
    """The rows that a variant's components are closest to, least probable first.

    Parameters
    ----------
    components, matches
        Groups of `store.schema.components.COMPONENTS`.
    variant
        Whose.

    Returns
    -------
    pd.DataFrame
        Columns module (a name), origin_layer, component, side (a name), layer, index, rank, cosine, dot,
        p, q, null_cosine, norm.
    """
    of = matches["of"].values
    mine = np.flatnonzero(components["variant"].values[of] == variant)
    own = {name: components[name].values[of[mine]] for name in ("module", "layer", "index", "norm")}
    frame = pd.DataFrame(
        {
            "module": np.array(WRITERS, object)[own["module"]],
            "origin_layer": own["layer"].astype(int),
            "component": own["index"].astype(int),
            "side": np.array(SIDES, object)[matches["side"].values[mine]],
            "layer": matches["layer"].values[mine].astype(int),
            "index": matches["feature"].values[mine].astype(int),
            **{
                name: matches[name].values[mine].astype(np.float64)
                for name in ("rank", "cosine", "dot", "p", "q", "null_cosine")
            },
            "norm": own["norm"],
        }
    )
    order = np.lexsort((-frame["cosine"].abs().to_numpy(), frame["p"].to_numpy()))
    return frame.iloc[order].reset_index(drop=True)


def effects(arrays: Arrays, frame: pd.DataFrame) -> np.ndarray:
    """What components do to the pre-activations of features that read them, at each position.

    Along the residual stream, the scales of the norms between as they are in the adapted model; other
    positions and later layers' answers are left out. Of a random direction of the component's norm in its
    place the effect is as large with the chance that its cosine is: the rest of the product is the same.

    Parameters
    ----------
    arrays
        Of one prompt and the variant of `frame`.
    frame
        As `match_frame` gives it.

    Returns
    -------
    numpy.ndarray
        (match, position) float64, pre-activation, signed; NaN for decoders, which read nothing.
    """
    code = {name: code for code, name in enumerate(WRITERS)}
    keys = zip(arrays["module"].tolist(), arrays["layer"].tolist(), arrays["index"].tolist(), strict=True)
    row_of = {key: row for row, key in enumerate(keys)}
    named = zip(frame["module"].map(code), frame["origin_layer"], frame["component"], strict=True)
    rows = np.array([row_of[key] for key in named], np.int64)
    strength = arrays["gate"].astype(np.float64) * arrays["write_scale"]
    found: np.ndarray = (
        strength[rows] * frame["dot"].to_numpy()[:, None] * arrays["read_scale"][frame["layer"].to_numpy()]
    )
    found[frame["side"].to_numpy() != SIDES[_ENCODER]] = np.nan
    return found


def with_largest(frame: pd.DataFrame, by_position: np.ndarray) -> pd.DataFrame:
    """`frame` with effect (the largest by size over positions, signed) and position; NaN and -1: none."""
    size = np.nan_to_num(np.abs(by_position), nan=-1.0)
    at = size.argmax(axis=1) if size.shape[1] else np.zeros(len(frame), np.int64)
    effect = by_position[np.arange(len(frame)), at] if size.size else np.full(len(frame), np.nan)
    return frame.assign(effect=effect, position=np.where(np.isnan(effect), -1, at))
