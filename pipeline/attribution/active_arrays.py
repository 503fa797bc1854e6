"""What the store keeps of active features, those that are nodes of the graph and those that are not."""

import numpy as np
import torch

from pipeline.attribution.exact_scores import ExactScores
from pipeline.attribution.trace import Trace


def active_arrays(trace: Trace) -> dict[str, np.ndarray]:
    """Every active feature, whether it is a node, and its direct effects on the targets."""
    graph = trace.graph
    selected = np.zeros(len(graph.active_features), dtype=bool)
    selected[graph.selected_features.numpy()] = True
    layer, position, feature = graph.active_features.T
    return {
        "active_layer": to_numpy(layer, np.int16),
        "active_position": to_numpy(position, np.int32),
        "active_feature": to_numpy(feature, np.int32),
        "active_value": to_numpy(graph.activation_values, np.float32),
        "active_selected": selected,
        "direct": to_numpy(trace.direct, np.float32),
    }


def total_effect(trace: Trace, exact: ExactScores) -> np.ndarray:
    """(target, selected) float32; of an imported graph through its selected features only."""
    if trace.total_effect is None:
        return exact.features.total_effect.astype(np.float32)
    return to_numpy(trace.total_effect[:, trace.graph.selected_features], np.float32)


def unselected_arrays(trace: Trace) -> dict[str, np.ndarray]:
    """What active features that are no nodes do to the targets; NaN of an imported graph."""
    graph = trace.graph
    others = np.setdiff1d(np.arange(len(graph.active_features)), graph.selected_features.numpy())
    unknown = torch.full((len(graph.logit_targets), len(others)), torch.nan)
    influence, total = trace.unselected_influence, trace.total_effect
    left_out = np.abs(to_numpy(trace.direct, np.float64)[:, others]).sum(axis=1)
    inputs = graph.adjacency_matrix[-len(graph.logit_targets) :].double().abs().sum(1).numpy() + left_out
    share = np.divide(left_out, inputs, out=np.zeros_like(inputs), where=inputs != 0)
    return {
        "unselected_influence": _rounded(unknown if influence is None else influence),
        "unselected_total_effect": _rounded(unknown if total is None else total[:, others]),
        "target_unselected_share": share.astype(np.float32),
    }


def _rounded(tensor: torch.Tensor) -> np.ndarray:
    """float32 to 10 significant bits: of the many small ones, half of the bytes would say no more."""
    bits = to_numpy(tensor, np.float32).view(np.uint32)
    return np.asarray(((bits + np.uint32(1 << 13)) & ~np.uint32((1 << 14) - 1)).view(np.float32))


def to_numpy(tensor: torch.Tensor, dtype: type) -> np.ndarray:
    """A copy on the CPU; bfloat16 has no numpy dtype, so floats pass through float32."""
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.is_floating_point() else tensor).numpy().astype(dtype)
