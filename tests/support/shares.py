"""Logits of prompts on which first features carry known shares of the difference."""

import numpy as np

from pipeline.analysis.faithfulness import Measured
from pipeline.analysis.faithfulness_sets import NodeSets
from pipeline.analysis.faithfulness_tables import Sets
from pipeline.params.project import load_params
from store.schema.vocabulary import PART_SETS

PARAMS = load_params().faithfulness.model_copy(
    update={"orders": ["direct", "change"], "ks": [1, 2, 4], "bootstrap": 200, "labellings": 200}
)
N_SITUATIONS, N_RANDOM, N_MATCHED, N_TOKENS = 10, 3, 2, 6


def measured(number: int, situation: int, *, change: float = 2.0, seed: int = 0) -> Measured:
    """A prompt on which k of 4 features carry k / 4 of the difference, and random ones nothing."""
    rng = np.random.default_rng([seed, number])
    evil = np.arange(N_TOKENS) < N_TOKENS // 2
    base = rng.normal(size=N_TOKENS)
    size = change * rng.uniform(0.5, 1.5)

    def moved(shares: np.ndarray) -> np.ndarray:
        return base + shares[..., None] * size * evil

    of_k = np.array(PARAMS.ks) / 4
    orders = np.tile(of_k, (2, 1))
    of_nodes = np.concatenate(
        [[np.ones(3), [0.25, 0.6, 1.0]], np.zeros((N_RANDOM, 3)), np.full((N_RANDOM, 3), 0.9)]
    )
    of_nulls = np.array([0.01 * rng.choice([-1, 1]), 0.2])  # one is told from nothing, the other is not
    others, like = np.zeros((N_RANDOM, 3)), np.full((2 * N_MATCHED, 3), 0.1)
    return Measured(
        situation=("medical", f"situation {situation}"),
        domain="medical",
        tokens=np.arange(N_TOKENS),
        evil=evil,
        base=base,
        adapted=moved(np.ones(1))[0],
        given=moved(np.concatenate([orders, others, like])),
        taken=moved(1 - np.concatenate([orders, others])),
        given_with_adapter=moved(np.concatenate([np.full((2, 1), 0.5), np.ones((2, 3))], axis=1)),
        singles=moved(np.array([0.25, 0.0])),
        parts=moved(np.stack([np.linspace(0, 1, len(PART_SETS)), 1 - np.linspace(0, 1, len(PART_SETS))])),
        node_given=moved(of_nodes),
        node_taken=moved(1 - of_nodes),
        nulls=moved(of_nulls),
        null_given=moved(of_nulls[:, None, None] * orders),
    )


SETS = Sets(
    orders={"direct": np.array([3, 1, 0, 2]), "change": np.array([1, 3, 2, 0])},
    random=[np.arange(4)] * N_RANDOM,
    matched={"direct": [np.arange(4)] * N_MATCHED, "change": [np.arange(4)] * N_MATCHED},
    singles=np.array([1, 3]),
    n_candidates=2,
    nodes=NodeSets(
        orders=[[(1, -2), (0, -1)], [(1, -2), (0, 7), (0, -1)]],
        random=[[[(0, -1), (1, -2)]] * N_RANDOM, [[(0, 7), (1, -2)]] * N_RANDOM],
        n_layers=2,
    ),
    nulls=("null-1@1.0", "null-2@1.0"),
)
