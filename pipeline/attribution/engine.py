"""The attribution engine: direct effects on chosen nodes, and which nodes to choose.

Rows of the adjacency are computed layer by layer of their targets, as matrix products
grouped by layer and position, into blocks that hold lower layers only. Which features
become nodes is circuit-tracer 0.5.0's rule (`attribute`): by influence on the logits over
the rows known so far, in rounds; ties in the order of the features.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from circuit_tracer.attribution.targets import AttributionTargets

from pipeline.attribution.linear import FrozenModel
from pipeline.attribution.source_nodes import Block, Sources
from store.base.errors import PromptError

_SMALLEST_ROW: Final = 1e-8
"""circuit-tracer's clamp of a row's absolute sum while it ranks."""
ROUND: Final = 4
"""Batches between two rankings; circuit-tracer's default ``update_interval``."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Some rows of one target layer.

    Attributes
    ----------
    layer
        Of the targets; the number of layers for logits.
    index
        Which active features, or which targets; (rows,) int64.
    edges
        Direct effects of the sources that this layer can read from, (rows, width), float32;
        columns as in `Sources`.
    extra
        Direct effects of extra sources; (rows, extra columns).
    constant
        What constant sources add; (rows,).
    total
        Sum of absolute direct effects over `edges`; (rows,).
    """

    layer: int
    index: torch.Tensor
    edges: torch.Tensor
    extra: torch.Tensor
    constant: torch.Tensor
    total: torch.Tensor

    def part(self, which: slice) -> "Rows":
        """Some of the rows, as views."""
        kinds = ("index", "edges", "extra", "constant", "total")
        return replace(self, **{name: getattr(self, name)[which] for name in kinds})

    def clear(self) -> None:
        """Zero what was computed, to compute it again; of a part, in the whole, too."""
        for values in (self.edges, self.extra, self.constant, self.total):
            values.zero_()


def zeros(rows: int, columns: int, device: torch.device) -> torch.Tensor:
    """(rows, columns) float32.

    On the CPU NumPy allocates: zeros as the system hands them out, in huge pages where it
    has them. Faults of 4 KB pages, of most of which nothing is written, were a third of a graph's time.
    """
    if device.type != "cpu":
        return torch.zeros(rows, columns, device=device)
    return torch.from_numpy(np.zeros((rows, columns), dtype=np.float32))


class Attribution:
    """Direct effects in one prompt's local replacement model, row by row.

    Attributes
    ----------
    rows
        What has been computed: the logits first.
    visited
        Which active features have their row; (active,) bool.
    tokens_written
        What embeddings write behind the lowest attention, (n_pos, d_model, token): faster than
        asking for each batch. None of a prompt of more tokens than a batch has rows, where it would be
        larger than a batch's gradient.
    """

    def __init__(
        self,
        frozen: FrozenModel,
        sources: Sources,
        targets: AttributionTargets,
        *,
        batch_size: int,
    ) -> None:
        """Compute the logits' rows.

        Parameters
        ----------
        frozen, sources
            The local replacement model, and what its rows are contracted with.
        targets
            Logits to attribute to.
        batch_size
            At most so many rows at a time; four times as many between two rankings.
        """
        self.frozen = frozen
        self.sources = sources
        self.targets = targets
        self.batch_size = batch_size
        # Halved where memory runs out, and `batch_size` is not: rankings come after as many rows as before.
        self._rows_at_once = batch_size
        self.visited = torch.zeros(len(sources.features), dtype=torch.bool, device=sources.features.device)
        self.rows: list[Rows] = []
        few = len(sources.tokens) <= batch_size
        self.tokens_written = frozen.layers[0].written(sources.tokens) if few else None
        n_layers, last = len(frozen.layers), len(sources.tokens) - 1
        vectors = targets.logit_vectors.float()
        index = torch.arange(len(vectors), device=vectors.device)
        self._add(n_layers, index, torch.full_like(index, last), vectors)

    def add(self, features: torch.Tensor) -> None:
        """Compute the rows of some active features that have none yet.

        Parameters
        ----------
        features
            Indices into the active features, each at most once; (n,) int64.

        Raises
        ------
        UserError
            A direct effect is not finite; the message names the target.
        """
        features = features[~self.visited[features]]
        if not len(features):
            return
        layer, position = self.sources.features[features, :2].T
        order = torch.argsort(layer * len(self.sources.tokens) + position, stable=True)
        counts = torch.bincount(layer, minlength=len(self.frozen.layers)).tolist()
        for number, chosen in enumerate(features[order].split(counts)):
            if len(chosen):
                where = self.sources.features[chosen, 1]
                self._add(number, chosen, where, self.sources.encoders[chosen])
        self.visited[features] = True

    def select(self, max_feature_nodes: int) -> None:
        """Compute the rows of the most influential features, at most so many in all."""
        n_active = len(self.visited)
        limit = min(max_feature_nodes, n_active)
        if limit == n_active:
            self.add(torch.arange(n_active, device=self.visited.device))
        while (missing := limit - int(self.visited.sum())) > 0:
            rank = torch.argsort(self.influence(), descending=True, stable=True)
            rank = rank[~self.visited[rank]]
            self.add(rank[: min(ROUND * self.batch_size, missing)])

    def influence(self) -> torch.Tensor:
        """Unsigned influence of every active feature on the logits, over the rows so far.

        circuit-tracer's ``compute_partial_influences`` in one sweep down the layers.
        (active,) float32, dimensionless.
        """
        influence = torch.zeros(len(self.visited), device=self.visited.device)
        for rows in sorted(self.rows, key=lambda rows: -rows.layer):
            if rows.layer == len(self.frozen.layers):
                arriving = self.targets.logit_probabilities.to(influence)
            else:
                arriving = influence[rows.index]
            weight = arriving / rows.total.clamp(min=_SMALLEST_ROW)
            below = self.sources.features_below[rows.layer]
            influence[:below] += weight @ rows.edges[:, :below].abs()
        return influence

    def _add(self, layer: int, index: torch.Tensor, positions: torch.Tensor, vectors: torch.Tensor) -> None:
        """Rows of targets of one layer, sorted by position."""
        rows = Rows(
            layer=layer,
            index=index,
            edges=zeros(len(index), self.sources.width(layer), vectors.device),
            extra=vectors.new_zeros(len(index), self.sources.extra.n_columns),
            constant=vectors.new_zeros(len(index)),
            total=vectors.new_zeros(len(index)),
        )
        start = 0
        while start < len(index):
            part = slice(start, start + self._rows_at_once)
            if self._contracted(positions[part], vectors[part], rows.part(part)):
                start += len(index[part])
            else:
                self._take_less(len(index[part]))
                rows.part(part).clear()
        self._require_finite(rows)
        self.rows.append(rows)

    def _contracted(self, positions: torch.Tensor, vectors: torch.Tensor, rows: Rows) -> bool:
        """`_contract`; False where memory runs out, and nothing of the batch is held any more."""
        try:
            self._contract(positions, vectors, rows)
        except torch.OutOfMemoryError:
            return False
        return True

    def _take_less(self, rows: int) -> None:
        """Half as many rows at a time as those for which memory ran out.

        Raises
        ------
        PromptError
            It was one row.
        """
        if rows == 1:
            raise PromptError(
                f"Memory runs out over one row of this prompt of {len(self.sources.tokens)} tokens; make it "
                "shorter, lower graphs.max_feature_nodes in params.yaml, or free memory of the device."
            )
        self._rows_at_once = rows // 2
        if self.sources.tokens.is_cuda:
            torch.cuda.empty_cache()

    def _contract(self, positions: torch.Tensor, vectors: torch.Tensor, rows: Rows) -> None:
        """Pull one batch back and write its effects into its rows."""
        sources, edges, extra, constant = self.sources, rows.edges, rows.extra, rows.constant
        first_error = sources.features_below[rows.layer]
        n_pos = len(sources.tokens)

        def write(rows: torch.Tensor, blocks: list[Block], gradient: torch.Tensor) -> None:
            for block in blocks:
                if block.position < gradient.shape[1] and block.stop > block.start:
                    rows[:, block.start : block.stop].addmm_(gradient[:, block.position], block.vectors.T)

        def at_mlp(below: int, gradient: torch.Tensor) -> None:
            seen = gradient.shape[1]
            write(edges, sources.blocks[below], gradient)
            first = first_error + below * n_pos
            edges[:, first : first + seen] += torch.einsum(
                "rpd,pd->rp", gradient, sources.errors[below, :seen]
            )
            constant.add_(gradient.flatten(1) @ sources.constants[below, :seen].flatten())
            if sources.extra.n_columns:
                write(extra, sources.extra.mlp[below], gradient)

        def at_attention(below: int, gradient: torch.Tensor) -> None:
            if sources.attention_constants is not None:
                written = sources.attention_constants[below, : gradient.shape[1]]
                constant.add_(gradient.flatten(1) @ written.flatten())
            if sources.extra.n_columns:
                write(extra, sources.extra.attention[below], gradient)

        def at_embedding(gradient: torch.Tensor) -> None:
            # Added to the zeros that are there: no -0.0, which sparse storage would lose.
            tokens = edges[:, -n_pos:]
            if self.tokens_written is None:
                tokens[:, : gradient.shape[1]] += self.frozen.layers[0].effects_of(sources.tokens, gradient)
            else:
                written = self.tokens_written[: gradient.shape[1]]
                tokens.addmm_(gradient.flatten(1), written.flatten(0, 1))

        self.frozen.pull_back(
            rows.layer,
            positions,
            vectors,
            at_mlp=at_mlp,
            at_attention=at_attention,
            at_embedding=at_embedding,
        )
        torch.linalg.vector_norm(edges, 1, dim=1, out=rows.total)

    def _require_finite(self, rows: Rows) -> None:
        wrong = ~(torch.isfinite(rows.total) & torch.isfinite(rows.constant))
        if not wrong.any():
            return
        first = int(rows.index[int(wrong.nonzero()[0, 0])])
        if rows.layer == len(self.frozen.layers):
            what = f"logit of token {self.targets.token_ids[first].item()} at the last layer and position"
            layer, position = rows.layer, len(self.sources.tokens) - 1
        else:
            layer, position, feature = self.sources.features[first].tolist()
            what = f"feature L{layer}/{feature} at layer {layer}, position {position}"
        raise PromptError(
            f"Direct effects on {what} are NaN or infinite; use dtype float32 in this profile.",
            layer=layer,
            position=position,
        )
