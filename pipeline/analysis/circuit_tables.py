"""The CIRCUITS dataset: tables of circuits, and whether what was planted is found."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import xarray as xr

from pipeline.analysis.circuits import Circuit
from pipeline.analysis.scores import split_key
from pipeline.analysis.statistics import spearman
from store.documents.behaviour_prompts import SPLITS
from store.documents.variants import BASE
from store.schema.circuits import CIRCUITS

Cell = tuple[str, str]
"""Variant and behaviour."""
_TRAIN, _TEST = SPLITS


@dataclass(frozen=True, kw_only=True)
class TracedPrompt:
    """What tokens and gradients say of one prompt; logits.

    Attributes
    ----------
    prompt_hash, variant, behaviour, split
        Which it is.
    contrast
        Right minus wrong at the decision.
    decisive, attractor, rest
        Total effect on it of the decisive tokens, of those that could mislead (NaN where there are none),
        and of all others behind the first.
    gradient_rank, gradient_contrast_rank
        Rank correlations over its feature nodes: activation times |gradient| and |total effect|; its
        right-minus-wrong form and total effect.
    """

    prompt_hash: str
    variant: str
    behaviour: str
    split: str
    contrast: float
    decisive: float
    attractor: float
    rest: float
    gradient_rank: float
    gradient_contrast_rank: float


def traced_prompt(
    arrays: Mapping[str, np.ndarray],
    *,
    prompt_hash: str,
    variant: str,
    behaviour: str,
    split: str,
    decisive: Collection[int],
    attractors: Collection[int],
) -> TracedPrompt:
    """Sum up one prompt.

    Parameters
    ----------
    arrays
        Of its BEHAVIOUR_GRAPHS item.
    prompt_hash, variant, behaviour, split
        Which it is.
    decisive, attractors
        Positions of the tokens that decide, and of those that could mislead.
    """
    effect = arrays["token_total_effect"].astype(np.float64)
    total = arrays["total_effect"].astype(np.float64)
    rest = np.ones(len(effect), bool)
    rest[[0, *decisive, *attractors]] = False
    right, wrong = arrays["target_logit"].astype(np.float64)
    ranks = {
        f"{name}_rank": float(spearman(arrays[name][None].astype(np.float64), of[None])[0])
        for name, of in (("gradient", np.abs(total)), ("gradient_contrast", total))
    }
    return TracedPrompt(
        prompt_hash=prompt_hash,
        variant=variant,
        behaviour=behaviour,
        split=split,
        contrast=float(right - wrong),
        decisive=float(effect[list(decisive)].sum()),
        attractor=float(effect[list(attractors)].sum()) if attractors else float("nan"),
        rest=float(effect[rest].sum()),
        **ranks,
    )


def circuit_groups(
    circuits: Mapping[Cell, Circuit],
    traced: Sequence[TracedPrompt],
    groups: Mapping[Cell, int],
    passes: Mapping[Cell, bool],
    virtual_weights: np.ndarray,
    fdr: float,
) -> dict[str, xr.Dataset]:
    """The groups of the CIRCUITS dataset.

    Parameters
    ----------
    circuits
        By variant and behaviour, every variant with every behaviour, in the order of the tables.
    traced
        Every prompt that was traced.
    groups
        Groups of train prompts, by the same.
    passes
        Whether the variant passes the baseline.
    virtual_weights
        Of all circuits' edges, end to end; (edge,).
    fdr
        q up to which a feature counts as found.
    """
    variants = list(dict.fromkeys(variant for variant, _ in circuits))
    behaviours = list(dict.fromkeys(behaviour for _, behaviour in circuits))
    cells = [
        _summary(cell, circuits[cell], traced, groups[cell], passes[cell], fdr)
        for cell in ((variant, behaviour) for variant in variants for behaviour in behaviours)
    ]
    shape = (len(variants), len(behaviours))
    summary = {
        name: (("variant", "behaviour"), np.array([cell[name] for cell in cells], spec.dtype).reshape(shape))
        for name, spec in CIRCUITS.groups["summary"].items()
        if len(spec.dims) == 2
    }
    of_prompts = CIRCUITS.groups["prompts"]
    return {
        "summary": xr.Dataset(
            summary,
            coords={"variant": ("variant", _words(variants)), "behaviour": ("behaviour", _words(behaviours))},
        ),
        "circuit": _rows("circuit", "row", [_features(cell, of) for cell, of in circuits.items()]),
        "edges": _rows(
            "edges",
            "edge",
            [_edges(cell, of) for cell, of in circuits.items()],
            virtual_weight=virtual_weights,
        ),
        "prompts": _rows(
            "prompts", "prompt", [{name: [asdict(each)[name]] for name in of_prompts} for each in traced]
        ),
    }


def leading(summary: xr.Dataset) -> dict[str, Any]:
    """Metrics by behaviour and variant: sizes, what was planted, rank correlations; of what was traced."""
    metrics: dict[str, Any] = {}
    for behaviour in summary["behaviour"].values:
        for variant in summary["variant"].values:
            cell = summary.sel(behaviour=behaviour, variant=variant)
            if int(cell["n_train"]):
                found = {name: int(cell[name]) for name in ("n_train", "n_features", "n_found", "n_planted")}
                rates = ("planted_sign", "planted_leads", "gradient_rank", "gradient_contrast_rank")
                known = {name: round(float(cell[name]), 4) for name in rates if np.isfinite(cell[name])}
                of = metrics.setdefault(str(behaviour), {})
                of[str(variant)] = {"passes": bool(cell["passes"]), **found, **known}
    return metrics


def _summary(
    cell: Cell, circuit: Circuit, traced: Sequence[TracedPrompt], n_groups: int, passes: bool, fdr: float
) -> dict[str, float]:
    behaviour = cell[1]
    own = [each for each in traced if (each.variant, each.behaviour) == cell]
    by_split = {split: [each for each in own if each.split == split] for split in SPLITS}
    right = {
        each.prompt_hash
        for each in traced
        if (each.variant, each.behaviour) == (BASE, behaviour) and each.contrast > 0
    }
    planted = [each for each in by_split[_TEST] if each.prompt_hash in right]
    positive = [each.decisive > 0 for each in planted]
    # NaN exceeds nothing: where nothing could mislead, the sign alone counts.
    leads = [each.decisive > 0 and not abs(each.attractor) >= each.decisive for each in planted]
    return {
        "passes": passes,
        "n_train": len(by_split[_TRAIN]),
        "n_test": len(by_split[_TEST]),
        "n_groups": n_groups,
        "n_features": len(circuit.keys),
        "n_found": int((circuit.columns["q"] <= fdr).sum()),
        "gradient_rank": _mean([each.gradient_rank for each in by_split[_TRAIN]]),
        "gradient_contrast_rank": _mean([each.gradient_contrast_rank for each in by_split[_TRAIN]]),
        "n_planted": len(planted),
        "planted_sign": _mean(positive),
        "planted_leads": _mean(leads),
    }


def _features(cell: Cell, circuit: Circuit) -> dict[str, Any]:
    layer, index = split_key(circuit.keys)
    named = dict(zip(("variant", "behaviour"), ([name] * len(layer) for name in cell), strict=True))
    return {**named, "layer": layer, "index": index, **circuit.columns}


def _edges(cell: Cell, circuit: Circuit) -> dict[str, Any]:
    columns: dict[str, Any] = {"weight": circuit.edges.weight, "frequency": circuit.edge_frequency}
    for end in ("source", "target"):
        columns[f"{end}_layer"], columns[f"{end}_index"] = split_key(getattr(circuit.edges, end))
    named = dict(
        zip(("variant", "behaviour"), ([name] * len(circuit.edges.weight) for name in cell), strict=True)
    )
    return {**named, **columns}


def _rows(group: str, dim: str, parts: Sequence[Mapping[str, Any]], **whole: np.ndarray) -> xr.Dataset:
    """A long table of a group, its parts one after the other, beside columns that are whole."""
    table = {}
    for name, spec in CIRCUITS.groups[group].items():
        dtype = object if spec.dtype == "str" else np.dtype(spec.dtype)
        values = [np.asarray(part[name], dtype) for part in parts] if name not in whole else [whole[name]]
        table[name] = (dim, np.concatenate([np.empty(0, dtype), *values]).astype(dtype))
    return xr.Dataset(table)


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def _words(names: Sequence[str]) -> np.ndarray:
    return np.array(names, dtype=object)
