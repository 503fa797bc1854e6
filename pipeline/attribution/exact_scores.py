"""Exact scores of an attribution graph: every logit's, in one sweep down the layers.

An effect always leads to a higher layer, so the series A + A^2 + ... behind `influence` and
`total_effect` ends, and a sweep that starts at the logits and passes what has reached a layer
on to the layers below gives its sum: no iteration, no inverse. circuit-tracer's
``compute_influence`` multiplies by the whole matrix until float32 reaches zero.

Node order is circuit-tracer's: selected features by layer, errors by layer and position,
tokens, logits; ``A[target, source]``. Knows nothing of prompts, labels and files; unsigned
influence, pruning and the scores of a whole graph are in `pipeline.analysis.pruning`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from circuit_tracer.graph import Graph

from store.base.errors import PromptError

SMALLEST_ROW: Final = 1e-10
"""Rows whose absolute sum is smaller are not scaled up; circuit-tracer's ``clamp``."""

_BLOCK: Final = 2**18
"""Numbers cast to float64 at a time: the time goes into memory, so a block stays in the
processor's cache while it is summed and multiplied."""


@dataclass(frozen=True, kw_only=True)
class NodeOrder:
    """circuit-tracer's order of a graph's nodes: where each lies, and what errors call it.

    Attributes
    ----------
    layer, position, feature
        Of the selected features, (feature,), integer; `layer` ascending.
    n_layers
        Number of layers.
    tokens
        A name for each position's token, such as its text; (position,).
    targets
        A name for each logit's token; (logit,).
    """

    layer: np.ndarray
    position: np.ndarray
    feature: np.ndarray
    n_layers: int
    tokens: Sequence[object]
    targets: Sequence[object]

    def __post_init__(self) -> None:
        """Refuse an order in which a sweep by layer would give wrong numbers."""
        layer = np.asarray(self.layer)
        if (np.diff(layer) < 0).any():
            raise ValueError("features must be ordered by layer.")
        if len(layer) and not 0 <= layer[0] <= layer[-1] < self.n_layers:
            raise ValueError(f"layers must lie between 0 and {self.n_layers - 1}.")

    @classmethod
    def of(cls, graph: Graph, tokens: Sequence[object] | None = None) -> "NodeOrder":
        """That of circuit-tracer's graph; without names, tokens go by their ids."""
        layer, position, feature = graph.active_features[graph.selected_features].cpu().numpy().T
        return cls(
            layer=layer,
            position=position,
            feature=feature,
            n_layers=int(graph.cfg.n_layers),
            tokens=graph.input_tokens.tolist() if tokens is None else tokens,
            targets=[target.token_str or target.vocab_idx for target in graph.logit_targets],
        )

    @property
    def bounds(self) -> tuple[int, int, int, int]:
        """Where features, errors, tokens and logits end in the node order."""
        features = len(self.layer)
        errors = features + self.n_layers * len(self.tokens)
        tokens = errors + len(self.tokens)
        return features, errors, tokens, tokens + len(self.targets)

    def place(self, node: int) -> tuple[int, int]:
        """Layer and position of a node: tokens are in layer -1, logits in layer n_layers at the end."""
        features, errors, tokens, _ = self.bounds
        if node < features:
            return int(self.layer[node]), int(self.position[node])
        if node < errors:
            return divmod(node - features, len(self.tokens))
        return (-1, node - errors) if node < tokens else (self.n_layers, len(self.tokens) - 1)

    def describe(self, node: int) -> str:
        """Name a node for an error: what it is, its layer, position and token."""
        features, errors, tokens, _ = self.bounds
        layer, position = self.place(node)
        if node >= tokens:
            return f"target {self.targets[node - tokens]!r} at the last position"
        if node >= errors:
            return f"token {self.tokens[position]!r} at position {position}"
        what = "the error" if node >= features else f"feature {self.feature[node]}"
        return f"{what} at layer {layer}, position {position} (token {self.tokens[position]!r})"


@dataclass(frozen=True, kw_only=True)
class SourceScores:
    """Scores of some sources for every logit; arrays are (logit, source), float64, signed.

    Attributes
    ----------
    direct
        A[logit, source], logits.
    influence
        [(I - N)^-1 - I][logit, source] with N = A, each row divided by the sum of its
        absolute values; dimensionless.
    total_effect
        D (I - M)^-1 with D = A[logits, features] and M[t, s] = A[t, s] / activation(t): direct
        effects composed along all paths through selected features; logits. Of sources that
        are no features: their direct effect, plus that on features times these features' own.
        Adapter nodes have theirs from `pipeline.attribution.total_effects`.
    """

    direct: np.ndarray
    influence: np.ndarray
    total_effect: np.ndarray


@dataclass(frozen=True, kw_only=True)
class ExactScores:
    """What `exact_scores` gives.

    Attributes
    ----------
    features, errors, tokens
        Scores of the graph's nodes, in its order.
    error_share
        sum |A[logit, errors]| / sum |A[logit, :]|, (logit,), float64; its mean over logits
        and prompts is the mean error-node share. NaN where a logit has no inputs.
    """

    features: SourceScores
    errors: SourceScores
    tokens: SourceScores
    error_share: np.ndarray


def exact_scores(
    adjacency: torch.Tensor | np.ndarray,
    activations: torch.Tensor | np.ndarray,
    order: NodeOrder,
) -> ExactScores:
    """Direct effect, influence and total effect on every logit of every source.

    The predicted effect of ablating a source is minus its score.

    Parameters
    ----------
    adjacency
        A[target, source], (node, node), float32 or float64, logits or pre-activations.
    activations
        Of the selected features, (feature,), any float.
    order
        Where the nodes lie.

    Raises
    ------
    UserError
        A number is not finite; the message names the lowest layer with one, position and token.
    ValueError
        Shapes do not fit, an effect does not lead to a higher layer, or an activation is 0.
    """
    matrix = torch.as_tensor(adjacency).detach().cpu()
    gate = torch.as_tensor(activations).detach().cpu().double()
    n_features, n_errors, n_sources, n_nodes = order.bounds
    n_logits = n_nodes - n_sources
    _require_shapes(matrix, gate, order)

    direct = matrix[n_sources:, :n_sources].double()
    size = direct.abs().sum(1, keepdim=True)  # (logit, 1)
    # What has reached a node: of influence in the first n_logits rows, of effect in the others.
    reached = torch.cat([direct / size.clamp(min=SMALLEST_ROW), direct])  # (2 logit, source)
    finite = bool(torch.isfinite(size).all() and torch.isfinite(gate).all())
    upward = not (_any(matrix[n_features:n_sources]) or _any(matrix[:, n_sources:]))
    for first, begin, end in _blocks(order.layer, n_sources - n_features):
        upward &= not _any(matrix[begin:end, first:n_features])
        # Sources: features of lower layers, all errors and tokens.
        block = torch.empty(end - begin, first + n_sources - n_features, dtype=torch.float64)
        block[:, :first] = matrix[begin:end, :first]
        block[:, first:] = matrix[begin:end, n_features:n_sources]
        row = block.abs().sum(1)
        finite &= bool(torch.isfinite(row).all())
        # Layers above are done, so what has reached these targets is final.
        passed = reached[:, begin:end].clone()
        passed[:n_logits] /= row.clamp(min=SMALLEST_ROW)
        passed[n_logits:] /= gate[begin:end]
        reached[:, :first].addmm_(passed, block[:, :first])
        reached[:, n_features:].addmm_(passed, block[:, first:])
    if not (finite and upward):
        _refuse(matrix, gate, order)

    def scores(of: slice) -> SourceScores:
        influence, total_effect = reached[:, of].numpy().reshape(2, n_logits, -1)
        return SourceScores(direct=direct[:, of].numpy(), influence=influence, total_effect=total_effect)

    return ExactScores(
        features=scores(slice(0, n_features)),
        errors=scores(slice(n_features, n_errors)),
        tokens=scores(slice(n_errors, n_sources)),
        error_share=(direct[:, n_features:n_errors].abs().sum(1) / size[:, 0]).numpy(),
    )


def _blocks(layers: np.ndarray, n_others: int) -> Iterator[tuple[int, int, int]]:
    """First feature of a layer, and a range of its features: top layer first."""
    for layer in np.unique(layers)[::-1]:
        first, end = np.searchsorted(layers, [layer, layer + 1]).tolist()
        rows = max(1, _BLOCK // (first + n_others))
        for begin in range(first, end, rows):
            yield first, begin, min(end, begin + rows)


def _any(part: torch.Tensor) -> bool:
    """Whether a number is not zero; most often there is none, which all bits being zero tells first.

    A largest unsigned integer takes numpy a quarter of the time of torch's ``any``. Minus zero
    has a bit, so it is looked at once more.
    """
    numbers = part.numpy()
    bits = numbers.view(f"u{numbers.itemsize}")
    return bool(bits.max(initial=0)) and bool(numbers.any())


def _require_shapes(matrix: torch.Tensor, gate: torch.Tensor, order: NodeOrder) -> None:
    n_features, _, _, n_nodes = order.bounds
    for name, found, expected in (
        ("adjacency", tuple(matrix.shape), (n_nodes, n_nodes)),
        ("activations", tuple(gate.shape), (n_features,)),
    ):
        if found != expected:
            raise ValueError(f"{name} is of shape {found}; the node order takes {expected}.")
    if (gate == 0).any():
        node = int((gate == 0).nonzero()[0, 0])
        raise ValueError(f"the activation of {order.describe(node)} is 0; nodes must be active.")


def _refuse(matrix: torch.Tensor, gate: torch.Tensor, order: NodeOrder) -> None:
    """Say which number is not finite or does not lead upward: of several, in the lowest layer.

    Rows are ordered by layer (errors and tokens have none), so the first one is the lowest.
    """
    n_features, _, n_sources, n_nodes = order.bounds
    bad = torch.zeros(n_nodes, n_nodes + 1, dtype=torch.bool)
    bad[:, :-1] = ~torch.isfinite(matrix)
    bad[:n_features, -1] = ~torch.isfinite(gate)
    if bad.any():
        target = int(bad.any(1).nonzero()[0, 0])
        columns = bad[target].nonzero()[:, 0].tolist()
        if columns[0] < n_nodes:
            source = min(
                (column for column in columns if column < n_nodes), key=lambda node: order.place(node)[0]
            )
            what = f"effect of {order.describe(source)} on"
        else:
            what = "activation of"
        raise PromptError(
            f"The {what} {order.describe(target)} is NaN or infinite, and no layer below has such a "
            "number; use dtype float32 in this profile.",
            layer=order.place(target)[0],
            position=order.place(target)[1],
        )
    levels = np.array([order.place(node)[0] for node in range(n_nodes)])
    receives = (np.arange(n_nodes) < n_features) | (np.arange(n_nodes) >= n_sources)
    lower = (levels[:, None] > levels[None, :]) & receives[:, None]
    target, source = np.argwhere(matrix.numpy().astype(bool) & ~lower)[0].tolist()
    raise ValueError(
        f"the effect of {order.describe(source)} on {order.describe(target)} leads to no higher layer; "
        "the matrix must be A[target, source] in circuit-tracer's node order."
    )
