"""Small graphs of behaviours' prompts, of made-up numbers."""

from typing import Final

import numpy as np

from pipeline.analysis.circuits import EFFECTS
from pipeline.params.circuits import CircuitParams

Arrays = dict[str, np.ndarray]
PARAMS: Final = CircuitParams(
    graphs=None,
    max_feature_nodes=10,
    batch_size=1,
    node_edges=2,
    least_edge=0.05,
    least_activation=0.1,
    least_share=0.3,
    min_groups=6,
    permutations=2000,
    fdr=0.05,
    supernodes=4,
)


def random_arrays(rng: np.random.Generator, n: int = 30, features: int = 8) -> Arrays:
    """Nodes of few features at few positions, some weak, with edges upward."""
    arrays = {
        "active_layer": np.sort(rng.integers(0, 3, n)).astype(np.int16),
        "active_feature": rng.integers(0, features, n).astype(np.int32),
        "active_value": rng.uniform(0.0, 1.0, n).astype(np.float32),
        **{name: rng.normal(size=n).astype(np.float32) for name in EFFECTS},
    }
    ends = rng.integers(0, n, (80, 2))
    ends = np.unique(ends[arrays["active_layer"][ends[:, 0]] < arrays["active_layer"][ends[:, 1]]], axis=0)
    return arrays | {
        "edge_source": ends[:, 0].astype(np.int32),
        "edge_target": ends[:, 1].astype(np.int32),
        "edge_weight": rng.normal(size=len(ends)).astype(np.float32),
    }
