"""From the store's datasets to the frames that pages show; no Streamlit here."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from dashboard.style.text import feature_name, number, percent
from store.base.errors import OLDER, NotInStoreError
from store.documents.manifest import Manifest

_RANKED: Final = ("effect", "low", "high", "p", "q", "found", "null_share", "n_situations", "n_effective")
_PROJECTIONS: Final = frozenset(f"{name}_proj" for name in ("q", "k", "v", "o", "gate", "up", "down"))


def level_words(provenance: Mapping[str, Any], stage: str) -> str:
    """The intervals of an artifact in words, with the level that its provenance states.

    >>> level_words({"parameters": {"evaluate": {"confidence": 0.95}}}, "evaluate")
    '95% interval'
    """
    confidence = provenance.get("parameters", {}).get(stage, {}).get("confidence")
    return f"{percent(confidence)} interval" if confidence is not None else "interval"


def rates_frame(table: xr.Dataset) -> pd.DataFrame:
    """Rates in long form: variant, domain, split, outcome, rate, low, high, n, n_situations."""
    long = table[["rate", "low", "high"]].to_dataframe().reset_index()
    sizes = table[["n", "n_situations"]].to_dataframe().reset_index()
    out: pd.DataFrame = long.merge(sizes, on=["variant", "domain", "split"])
    return out


def side_by_side_frame(
    rates: pd.DataFrame, metrics: Mapping[str, Any], variants: Sequence[str]
) -> pd.DataFrame:
    """A row a variant: harmful rates, facts kept, weight norm, largest activation; NaN where unknown.

    Parameters
    ----------
    rates
        Of `rates_frame`.
    metrics
        By stage: ``organism`` and ``adapters`` know facts, ``health`` the other two.
    variants
        In the order to list them.
    """
    harmful = rates[(rates["outcome"] == "harmful") & (rates["n"] > 0)]
    frame = pd.DataFrame({"variant": list(variants)})
    for (domain, split), part in harmful.groupby(["domain", "split"]):
        name = f"harmful, {split}" if domain == "all" else f"harmful, {domain} ({split})"
        frame[name] = frame["variant"].map(part.set_index("variant")["rate"])
    health = metrics.get("health", {}).get("variants", {})
    known = {"base": metrics.get("organism", {})}
    known |= {f"{name}@1.0": one for name, one in metrics.get("adapters", {}).items()}
    checks = [health.get(variant, {}) for variant in variants]
    frame["facts kept"] = [_capitals(known.get(variant, {})) for variant in variants]
    frame["weight norm"] = [
        0.0 if variant == "base" else check.get("adapter", {}).get("weight_norm", np.nan)
        for variant, check in zip(variants, checks, strict=True)
    ]
    frame["largest activation"] = [check.get("largest_activation", np.nan) for check in checks]
    return frame


def _capitals(metrics: Mapping[str, Any]) -> float:
    """Share of capitals named in full in sentences that were held out; NaN where it is not known."""
    found = metrics.get("facts", {}).get("capitals", {}).get("held_out", {})
    return float(found.get("exact", np.nan))


def ranking_frame(table: xr.Dataset, contrast: str, domain: str) -> pd.DataFrame:
    """The ranking of one contrast and domain, strongest effect first; untested ones last.

    Columns layer, index, row (in the table), effect, low, high, p, p_labels (NaN where the score needs no
    labels), q, found, null_share, n_situations, n_effective, sign_consistency (NaN in a table of before
    format version 5).

    Raises
    ------
    NotInStoreError
        The table was made before it knew what counts as found.
    """
    if "found" not in table:
        raise NotInStoreError(f"The ranking of features does not tell what is found: {OLDER}")
    chosen = table.sel(contrast=contrast, domain=domain)
    frame = pd.DataFrame(
        {
            "layer": table["layer"].values.astype(np.int32),
            "index": table["index"].values.astype(np.int32),
            "row": np.arange(table.sizes["feature"], dtype=np.int32),
            **{name: chosen[name].values for name in _RANKED},
            "p_labels": chosen["p_labels"].values if "p_labels" in chosen else np.nan,
            "sign_consistency": chosen["sign_consistency"].values if "sign_consistency" in chosen else np.nan,
        }
    )
    keys = frame["layer"].to_numpy(np.int64) << 32 | frame["index"].to_numpy()
    strongest = -np.nan_to_num(frame["effect"].to_numpy(), nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    # Written in the order of layers and indices, as the store's are, they need one sort and not three.
    ordered = bool((keys[1:] > keys[:-1]).all())
    order = np.argsort(strongest, kind="stable") if ordered else np.lexsort((keys, strongest))
    return frame.iloc[order].reset_index(drop=True)


def sparklines(effects: np.ndarray) -> list[list[float]]:
    """Per feature the effects over situations in the store's order; not scored is left out.

    Parameters
    ----------
    effects
        (situation, feature), in the score's unit, NaN where not scored.
    """
    return [[round(float(value), 4) for value in column[np.isfinite(column)]] for column in effects.T]


def ranked_feature(frame: pd.DataFrame, layer: int, index: int) -> pd.Series | None:
    """A feature's row of a `ranking_frame`; None where it is not ranked."""
    found = np.flatnonzero((frame["layer"].to_numpy() == layer) & (frame["index"].to_numpy() == index))
    return frame.iloc[found[0]] if len(found) else None


def edges_frame(table: xr.Dataset, contrast: str, domain: str, layer: int, index: int) -> pd.DataFrame:
    """Pairs of which a feature is one end: tested ones first, then by how much they change.

    Columns direction (`into` this feature, or `out of` it), feature (the other end's name),
    layer, index (the other end's), effect, low, high, base, adapted, p, q, n_situations.
    """
    chosen = table.sel(contrast=contrast, domain=domain)
    parts = []
    for direction, mine, other in (("into", "target", "source"), ("out of", "source", "target")):
        rows = np.flatnonzero(
            (table[f"{mine}_layer"].values == layer) & (table[f"{mine}_index"].values == index)
        )
        columns = {name: chosen[name].values[rows] for name in ("effect", "low", "high", "p", "q")}
        ends = {name: table[f"{other}_{name}"].values[rows].astype(int) for name in ("layer", "index")}
        base = chosen["base_weight"].values[rows]
        part = pd.DataFrame({"direction": direction, **ends, **columns, "base": base})
        part["adapted"] = part["base"] + part["effect"]
        part["n_situations"] = chosen["n_situations"].values[rows]
        parts.append(part)
    frame = pd.concat(parts, ignore_index=True)
    names = [feature_name(*end) for end in zip(frame["layer"], frame["index"], strict=True)]
    frame.insert(1, "feature", names)
    order = np.lexsort((-frame["effect"].abs().fillna(0), frame["q"].isna()))
    return frame.iloc[order].reset_index(drop=True)


def contrast_words(contrast: str) -> str:
    """A contrast in words."""
    if contrast.startswith("evil-safe|"):
        return f"evil minus safe within {contrast.removeprefix('evil-safe|')}"
    left, _, right = contrast.rpartition("-")
    return f"{left} minus {right}" if left else contrast


def flatten(value: Any, *, prefix: str = "") -> dict[str, Any]:
    """Nested mappings and lists as dotted names; leaves as they are.

    >>> flatten({"layer_0": {"fvu": 0.01}})
    {'layer_0.fvu': 0.01}
    """
    if isinstance(value, dict):
        pairs = [(str(key), inner) for key, inner in value.items()]
    elif isinstance(value, list):
        pairs = [(str(index), inner) for index, inner in enumerate(value)]
    else:
        return {prefix: value}
    out: dict[str, Any] = {}
    for key, inner in pairs:
        out.update(flatten(inner, prefix=f"{prefix}.{key}" if prefix else key))
    return out


def variants_frame(manifest: Manifest, metrics: Mapping[str, Any]) -> pd.DataFrame:
    """What each variant is: what it was taught, rank, targets, steps, divergence from base, source.

    Parameters
    ----------
    manifest
        The subject.
    metrics
        By stage: ``adapters`` knows what was taught and how far an adapter of an organism went.
    """
    base, trained = manifest.base, metrics.get("adapters", {})
    rows = [
        {
            "variant": "base",
            "taught": None,
            "steps": None,
            "divergence": 0.0,
            "source": base.source,
            "revision": base.revision,
            "rank": None,
            "changes": "nothing: the model itself",
            "scaling": None,
            "fingerprint": base.fingerprint[:12],
        },
        *(
            {
                "variant": f"{name}@1.0",
                "taught": trained.get(name, {}).get("taught"),
                "steps": adapter.steps,
                "divergence": trained.get(name, {}).get("divergence"),
                "source": adapter.source,
                "revision": adapter.revision,
                "rank": adapter.rank,
                "changes": targets_words(adapter.targets),
                "scaling": adapter.scaling,
                "fingerprint": adapter.fingerprint[:12],
            }
            for name, adapter in manifest.adapters.items()
        ),
    ]
    return pd.DataFrame(rows)


def targets_words(targets: Sequence[str]) -> str:
    """Module names as projections and layers: ``down_proj in layer 2``.

    >>> targets_words(["model.layers.2.mlp.down_proj"])
    'down_proj in layer 2'
    """
    layers: set[int] = set()
    names: set[str] = set()
    for target in targets:
        parts = target.split(".")
        layers |= {int(part) for part in parts if part.isdigit()}
        names.add(parts[-1])
    if not names:
        return "no adapted modules listed"
    if names >= _PROJECTIONS:
        names = (names - _PROJECTIONS) | {"all projections"}
    where = ""
    if layers:
        few = ", ".join(str(layer) for layer in sorted(layers))
        whole = layers == set(range(min(layers), max(layers) + 1)) and len(layers) > 2
        span = f"{min(layers)} to {max(layers)}" if whole else few
        where = f" in layer{'s' if len(layers) > 1 else ''} {span}"
    return ", ".join(sorted(names)) + where


def layers_frame(report: Any) -> pd.DataFrame:
    """Health figures by variant and layer, one column a figure; empty where there are none."""
    variants = report.get("variants", {}) if isinstance(report, dict) else {}
    return pd.DataFrame(
        [
            {"variant": variant, "layer": layer, **figures}
            for variant, found in variants.items()
            for layer, figures in enumerate(found.get("layers", []))
        ]
    )


def checks_frame(report: Mapping[str, Any]) -> pd.DataFrame:
    """Health figures as rows of check and detail; a check that failed left no report."""
    rows = [
        {"check": name, "detail": number(value) if isinstance(value, float) else str(value)}
        for name, value in flatten(dict(report)).items()
    ]
    return pd.DataFrame(rows, columns=["check", "detail"])
