"""What stands beside F(k) of features: orders that hold adapter nodes, and what random adapters do."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from pipeline.analysis.faithfulness import areas, fewest, fractions
from pipeline.analysis.faithfulness_changes import Changes, reason_of
from pipeline.analysis.faithfulness_sets import NodeSets
from pipeline.params.faithfulness import FaithfulnessParams
from store.schema.vocabulary import ADAPTER_NODES, GIVEN, NODE_ORDERS, TAKEN


def node_group(
    changes: Changes | None, sets: NodeSets, params: FaithfulnessParams, *, known: bool
) -> xr.Dataset:
    """F(k) of orders that hold adapter nodes, beside orders of the same nodes and features by chance.

    Where the difference is not known, or there is no node, shares are NaN.
    """
    n, n_random, ks = len(NODE_ORDERS), len(sets.random[0]), params.ks
    whole, each = ("direction", "node_order", "k"), ("direction", "node_order")
    bounds = ("fraction", "low", "high")
    names = (*bounds, *(f"random_{name}" for name in ("mean", "low", "high")))
    curves = {name: (whole, np.full((2, n, len(ks)), np.nan)) for name in names}
    numbers = {
        name: (each, np.full((2, n), np.nan))
        for name in ("area", "area_low", "area_high", "area_random", "p_random")
    }
    rank = np.zeros((n, len(ADAPTER_NODES), sets.n_layers), np.int32)
    for row, order in enumerate(sets.orders):
        for place, (layer, index) in enumerate(order, start=1):
            if index < 0:
                rank[row, -index - 1, layer] = place
    found = xr.Dataset(
        {
            "direction": ("direction", np.array([GIVEN, TAKEN], object)),
            "node_order": ("node_order", np.array(NODE_ORDERS, object)),
            "node": ("node", np.array(ADAPTER_NODES, object)),
            "k": ("k", np.array(ks, np.int32)),
            "rank": (("node_order", "node", "model_layer"), rank),
            "fewest": (each, np.full((2, n), -1, np.int32)),
        }
        | curves
        | numbers
    )
    if changes is None or not known:
        return found
    for row, name in enumerate(("node_given", "node_taken")):
        change = changes.of[name]
        for part, values in zip(bounds, changes.share(change[:, :n]), strict=True):
            found[part].values[row] = values
        for part, values in zip(
            ("area", "area_low", "area_high"), changes.area(change[:, :n], ks), strict=True
        ):
            found[part].values[row] = values
        found["fewest"].values[row] = fewest(found["fraction"].values[row], ks, params.reached)
        random = fractions(change[:, n:], changes.difference).reshape(n, n_random, len(ks))
        for part, values in (
            ("random_mean", random.mean(axis=1)),
            ("random_low", random.min(axis=1)),
            ("random_high", random.max(axis=1)),
        ):
            found[part].values[row] = values
        of_random = areas(random, ks)
        found["area_random"].values[row] = of_random.mean(axis=1)
        larger = of_random >= found["area"].values[row][:, None]
        found["p_random"].values[row] = (1 + larger.sum(axis=1)) / (1 + n_random)
    return found


def null_group(
    changes: Changes | None,
    nulls: Sequence[str],
    names: Sequence[str],
    params: FaithfulnessParams,
    *,
    known: bool,
) -> xr.Dataset:
    """What random adapters do to the log-odds, and through the first features of each order.

    `fraction` is a share of the focus adapter's difference: as if the random adapter's change of the same
    features were what carries it. `own_fraction` is one of the random adapter's own, where there is one.
    """
    ks = params.ks
    size = (len(nulls), len(names), len(ks))
    totals = [(np.nan,) * 3 for _ in nulls]
    of_focus, of_own = np.full((3, *size), np.nan), np.full(size, np.nan)
    if changes is not None:
        totals = [changes.mean(values) for values in changes.of["nulls"].T]
    reasons = [reason_of(changes.n if changes else 0, total, params) for total in totals]
    if changes is not None and known and of_own.size:
        of_focus = np.stack(changes.share(changes.of["null_given"]))
    for row, reason in enumerate(reasons):
        if changes is not None and not reason:
            of_own[row] = fractions(changes.of["null_given"][:, row], changes.of["nulls"][:, row])
    low_high = np.array(totals, np.float64).reshape(-1, 3).T
    return xr.Dataset(
        {
            "null": ("null", np.array(nulls, object)),
            "order": ("order", np.array(names, object)),
            "k": ("k", np.array(ks, np.int32)),
            "reason": ("null", np.array(reasons, object)),
            "own_fraction": (("null", "order", "k"), of_own),
        }
        | {
            name: ("null", values)
            for name, values in zip(("change", "change_low", "change_high"), low_high, strict=True)
        }
        | {
            name: (("null", "order", "k"), values)
            for name, values in zip(("fraction", "low", "high"), of_focus, strict=True)
        }
    )
