"""Random subjects with adapters of every kind, on any transcoders, and what rows add up to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from pipeline.attribution.exact_scores import ExactScores, NodeOrder, exact_scores
from pipeline.attribution.paired import Together, trace_together
from pipeline.attribution.trace import Trace
from pipeline.models.pool import ModelPool
from store.schema.vocabulary import ADAPTER_PARTS
from tests.support.builders import PROJECTIONS, Checkpoint, add_adapter, make_checkpoint
from tests.support.replacements import make_transcoders, random_ids

TARGETS: Final = [5, 9, 17, 30]
ARCHITECTURES: Final = ("llama", "qwen2", "gemma2", "gemma3")
"""Gemma 3 has what Qwen 3 has (norms of queries and keys), and Gemma 2's norms."""
COMPONENT_CASES: Final = (
    ("llama", "per layer"),
    ("qwen2", "per layer"),
    ("qwen3", "per layer"),
    ("gemma3", "per layer"),
    ("gemma2", "behind the norm"),
)
"""Architectures, and where transcoders write: a norm lies between in Gemma alone."""
KINDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "per layer": {},
    "skip": {"skip": True},
    "cross-layer": {"cross_layer": True},
    "cross-layer, skip": {"cross_layer": True, "skip": True},
    "behind the norm": {"hooks": ("hook_resid_mid", "hook_mlp_out")},
}
ADAPTERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "down": {"r": 3, "lora_alpha": 6, "target_modules": ["down_proj"]},
    "gates": {"r": 2, "lora_alpha": 4, "target_modules": ["gate_proj", "up_proj"]},
    "stabilised": {
        "r": 4,
        "lora_alpha": 3,
        "target_modules": list(PROJECTIONS),
        "use_rslora": True,
        "rank_pattern": {"down_proj": 9},
        "alpha_pattern": {"up_proj": 5},
    },
    "patterns": {"r": 2, "lora_alpha": 4, "target_modules": ["q_proj", "k_proj"]},
    "values": {"r": 2, "lora_alpha": 4, "target_modules": ["v_proj"]},
    "outputs": {"r": 2, "lora_alpha": 4, "target_modules": ["o_proj"]},
    "last value": {"r": 2, "lora_alpha": 4, "target_modules": r"model\.layers\.2\.self_attn\.v_proj"},
}


def make_adapted(folder: Path, architecture: str) -> Checkpoint:
    """`make_checkpoint`, with `ADAPTERS` beside its own ``general`` and ``narrow``."""
    checkpoint = make_checkpoint(folder, architecture=architecture)
    for number, (name, settings) in enumerate(ADAPTERS.items()):
        add_adapter(checkpoint, name, seed=number + 2, **settings)
    return checkpoint


def make_pool(checkpoint: Checkpoint, kind: str, *, dtype: str = "float32", **changes: Any) -> ModelPool:
    """Its models with random transcoders of one of `KINDS`, about a third of them active.

    `changes` are to the arguments of `make_transcoders`.
    """
    pool = ModelPool(checkpoint.manifest(dtype=dtype))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        pool.transcoders = make_transcoders(**{**KINDS[kind], **changes})
    return pool


@dataclass(frozen=True, kw_only=True)
class Case:
    """One subject, one prompt."""

    checkpoint: Checkpoint
    pool: ModelPool
    ids: list[int]

    @classmethod
    def of(cls, checkpoint: Checkpoint, kind: str = "per layer", length: int = 10, **changes: Any) -> "Case":
        """A prompt of random tokens; `changes` as of `make_pool`."""
        pool = make_pool(checkpoint, kind, **changes)
        return cls(checkpoint=checkpoint, pool=pool, ids=random_ids(pool.tokenizer, length).tolist())

    def together(
        self, *variants: str, nodes: int = 10**6, components: int = 16, targets: Sequence[int] = TARGETS
    ) -> Together:
        """Every active feature is a node unless `nodes` says otherwise."""
        return trace_together(
            self.pool,
            self.ids,
            variants,
            targets,
            max_feature_nodes=nodes,
            batch_size=128,
            max_components=components,
        )


def graph_rows(trace: Trace) -> torch.Tensor:
    """Rows of the adjacency that have inputs, selected features, then logits; (row, node) float64."""
    graph, n_targets = trace.graph, len(trace.direct)
    adjacency = graph.adjacency_matrix.double()
    return torch.cat([adjacency[: len(graph.selected_features)], adjacency[-n_targets:]])


def row_sums(trace: Trace, *, attention: bool = False) -> torch.Tensor:
    """All that a row holds; with attention nodes, in the attention mode. (row,) float64."""
    total = graph_rows(trace).sum(1) + trace.unselected.double() + trace.constant.double()
    if attention:
        assert trace.adapters is not None
        code = ADAPTER_PARTS.index("attention")
        at = torch.from_numpy(trace.adapters.nodes.part == code)
        total = total + trace.adapters.edges[:, at].double().sum(1)
    return total


def scores_of(trace: Trace) -> ExactScores:
    """Exact scores of a trace's nodes."""
    graph = trace.graph
    return exact_scores(
        graph.adjacency_matrix,
        graph.activation_values[graph.selected_features],
        NodeOrder.of(graph),
    )


def centred(logits: torch.Tensor, targets: Sequence[int] = TARGETS) -> torch.Tensor:
    """Logits of the targets minus the mean over the vocabulary, float64."""
    logits = logits.double()
    return (logits - logits.mean(-1, keepdim=True))[..., list(targets)]
