"""Does the base's dictionary still explain each variant? Scores of graphs, by variant."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import xarray as xr

from pipeline.analysis.intervals import studentized_interval
from pipeline.params.features import FeatureParams
from store.collections.item import Item
from store.documents.prompts import Prompt

MEASURES: Final = ("replacement", "completeness", "error_share", "unselected_share")

_BySituation = dict[tuple[str | None, str], list[tuple[float, ...]]]


@dataclass(frozen=True, kw_only=True)
class GraphFidelity:
    """How far the dictionary explains one graph; shares between 0 and 1.

    Attributes
    ----------
    prompt_hash, variant
        Whose graph.
    replacement, completeness
        circuit-tracer's scores of the whole graph.
    error_share
        |inputs from error nodes| / |all inputs| of a logit, mean over the targets; NaN
        where no target has an input.
    unselected_share
        |inputs from active features that are no nodes| / |all inputs, theirs included|, mean over the
        targets: `influence` and `total_effect` of others do not pass through them.
    """

    prompt_hash: str
    variant: str
    replacement: float
    completeness: float
    error_share: float
    unselected_share: float


def graph_fidelity(item: Item) -> GraphFidelity:
    """Read the scores of an item of the GRAPHS collection (arrays ``target_*_share``)."""
    return GraphFidelity(
        prompt_hash=item.prompt_hash,
        variant=item.variant,
        replacement=float(item.scalars["replacement_score"]),
        completeness=float(item.scalars["completeness_score"]),
        error_share=_mean(item.arrays["target_error_share"].astype(np.float64)),
        unselected_share=_mean(item.arrays["target_unselected_share"].astype(np.float64)),
    )


def dictionary_table(
    graphs: Sequence[GraphFidelity],
    changes: Iterable[Item],
    prompts: Mapping[str, Prompt],
    params: FeatureParams,
    seed: int,
) -> xr.Dataset:
    """The group `dictionary` of the FEATURES dataset.

    Parameters
    ----------
    graphs
        One a prompt and variant.
    changes
        Items of the ADAPTERS collection, one a prompt and adapted variant; only their scalar
        `error_share_of_change` is read. None where adapters were not taken apart: the share
        is NaN then, as it is for base.
    prompts
        By hash.
    params, seed
        Resamples and level of the bootstrap; its seed.

    Returns
    -------
    xarray.Dataset
        As in the schema: means over situations, each the mean over its prompts, with
        intervals from a bootstrap over situations (the same draws for every variant with as
        many).
    """
    found = _grouped(
        prompts,
        ((g.variant, g.prompt_hash, tuple(getattr(g, name) for name in MEASURES)) for g in graphs),
    )
    shares = _grouped(
        prompts,
        ((c.variant, c.prompt_hash, (float(c.scalars["error_share_of_change"]),)) for c in changes),
    )
    variants = sorted(found, key=lambda variant: (variant != "base", variant))
    columns: dict[str, list[float]] = {
        f"{name}{end}": [] for name in MEASURES for end in ("", "_low", "_high")
    }
    for variant in variants:
        means = _means(found[variant])  # (situation, measure)
        for place, name in enumerate(MEASURES):
            known = means[~np.isnan(means[:, place]), place]
            (low,), (high,) = studentized_interval(
                known[:, None], params.bootstrap, params.confidence, np.random.default_rng([seed, 0])
            )
            columns[name].append(_mean(known))
            columns[f"{name}_low"].append(np.clip(low, 0, 1))
            columns[f"{name}_high"].append(np.clip(high, 0, 1))
    columns["change_error_share"] = [
        _mean(_means(shares[variant])[:, 0]) if variant in shares else np.nan for variant in variants
    ]
    counts = np.array([len(found[variant]) for variant in variants], np.int32)
    return xr.Dataset(
        {
            **{name: ("variant", np.array(values, np.float64)) for name, values in columns.items()},
            "n_situations": ("variant", counts),
        },
        coords={"variant": ("variant", np.array(variants, dtype=object))},
    )


def _grouped(
    prompts: Mapping[str, Prompt], rows: Iterable[tuple[str, str, tuple[float, ...]]]
) -> dict[str, _BySituation]:
    """Values of (variant, prompt hash, values) by variant and situation."""
    grouped: dict[str, _BySituation] = {}
    for variant, prompt_hash, values in rows:
        prompt = prompts[prompt_hash]
        situation = (prompt.domain, prompt.situation)
        grouped.setdefault(variant, {}).setdefault(situation, []).append(values)
    return grouped


def _means(by_situation: _BySituation) -> np.ndarray:
    """(situation, measure) means over the prompts of a situation, in its order in the mapping."""
    rows = [np.array(values, np.float64) for values in by_situation.values()]
    return np.array([[_mean(column) for column in row.T] for row in rows])


def _mean(values: np.ndarray) -> float:
    """Mean of what is known; NaN where nothing is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else np.nan
