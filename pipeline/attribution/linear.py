"""The linear model that is left when everything but lines is frozen, pulled back by hand.

From a node's input back to every MLP output, attention output and embedding below it, for
all supported architectures alike: they differ in how patterns and scales came about, not in
what is left of them. Ameisen et al. 2025, "Circuit Tracing"; circuit-tracer 0.5.0 gets the
same from autograd with stopped gradients.

A *factor* is what a frozen norm does to a vector: its weight over its scale, by position.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True, kw_only=True)
class FrozenLayer:
    """One block, all but its lines frozen.

    Attributes
    ----------
    pattern
        Attention pattern by key head, its queries side by side: [k, (head of the group, q)];
        (n_key_heads, n_pos, group * n_pos). Over the scales of the norms before attention (at
        k) and, where there is one, behind it (at q).
    value, output
        W_V (n_key_heads * d_head, d_model) and W_O (n_heads * d_head, d_model), flattened,
        times the weights of those norms.
    read, write
        Factors from the residual stream to the transcoder's input, and from its output to
        the residual stream; (n_pos, d_model) or None.
    skip
        The transcoder's skip connection, as gradients pass it: output to input;
        (d_model, d_model) or None.
    """

    pattern: torch.Tensor
    value: torch.Tensor
    output: torch.Tensor
    read: torch.Tensor | None
    write: torch.Tensor | None
    skip: torch.Tensor | None

    def add_attended(self, flow: torch.Tensor) -> None:
        """Add to a gradient what the attention of this block passes on of it.

        Parameters
        ----------
        flow
            With respect to the residual stream behind attention, then, in its place, before
            it; (rows, positions, d_model), the first positions only, if so.
        """
        rows, positions, d_model = flow.shape
        values = self._at_values(flow).permute(2, 1, 0, 3)
        flow.view(-1, d_model).addmm_(values.reshape(rows * positions, -1), self.value)

    def add_attended_at(self, at: torch.Tensor, gradient: torch.Tensor, flow: torch.Tensor) -> None:
        """`add_attended`, of a gradient that is zero but at one position a row.

        What a head writes is one vector a row then, and the pattern spreads it: the values'
        weights are multiplied with once a head, not once a position.

        Parameters
        ----------
        at, gradient
            The position, (rows,) int64, and the gradient there, (rows, d_model).
        flow
            The whole gradient, changed in place.
        """
        rows, positions, d_model = flow.shape
        n_key_heads, n_pos, queries = self.pattern.shape
        group = queries // n_pos
        heads = (gradient @ self.output.T).view(rows, n_key_heads, group, -1).transpose(0, 1)
        value = self.value.view(n_key_heads, -1, d_model)
        written = torch.bmm(heads.reshape(n_key_heads, rows * group, -1), value)
        written = written.view(n_key_heads, rows, group, d_model).transpose(0, 1)
        pattern = self.pattern.view(n_key_heads, n_pos, group, n_pos)[:, :positions].index_select(3, at)
        # Contiguous ones are multiplied in one call, others row by row.
        flow.baddbmm_(pattern.permute(3, 1, 0, 2).flatten(2).contiguous(), written.flatten(1, 2).contiguous())

    def written(self, vectors: torch.Tensor) -> torch.Tensor:
        """What inputs of the block put into the residual stream behind attention, by position.

        Parameters
        ----------
        vectors
            One a position; (n_pos, d_model).

        Returns
        -------
        torch.Tensor
            (position, d_model, input): the input itself at its own position, and what the
            heads make of it there and later.
        """
        n_key_heads, n_pos, queries = self.pattern.shape
        values = (vectors @ self.value.T).view(n_pos, n_key_heads, -1)
        pattern = self.pattern.view(n_key_heads, n_pos, queries // n_pos, n_pos)
        responses = torch.einsum("kpgq,pkd->qpkgd", pattern, values).flatten(2) @ self.output
        responses.diagonal().add_(vectors.T)
        return responses.transpose(1, 2).contiguous()

    def effects_of(self, vectors: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        """What inputs of the block add to targets, by the targets' gradient behind its attention.

        `written`, contracted with the gradient, without the square of positions times d_model: the
        gradient goes back to the heads' values instead, and meets the inputs there.

        Parameters
        ----------
        vectors
            One a position; (n_pos, d_model).
        gradient
            (rows, positions, d_model), the first positions only, if so; no later input adds anything.

        Returns
        -------
        torch.Tensor
            (rows, positions).
        """
        seen = vectors[: gradient.shape[1]]
        own = (seen @ self.value.T).view(len(seen), len(self.pattern), -1)
        attended = torch.einsum("ktrd,tkd->rt", self._at_values(gradient), own)
        return attended + torch.einsum("rtd,td->rt", gradient, seen)

    def _at_values(self, flow: torch.Tensor) -> torch.Tensor:
        """A gradient behind attention (rows, positions, d_model), at the values of the key heads.

        (n_key_heads, positions, rows, d_head).
        """
        rows, positions, _ = flow.shape
        n_key_heads, n_pos, queries = self.pattern.shape
        group = queries // n_pos
        heads = (flow @ self.output.T).view(rows, positions, n_key_heads, group, -1).permute(2, 3, 1, 0, 4)
        pattern = self.pattern.view(n_key_heads, n_pos, group, n_pos)[:, :positions, :, :positions]
        values = torch.bmm(
            pattern.reshape(n_key_heads, positions, group * positions),
            heads.reshape(n_key_heads, group * positions, -1),
        )
        return values.view(n_key_heads, positions, rows, -1)


Visitor = Callable[[int, torch.Tensor], None]
"""Called with a layer and the gradient (rows, positions, d_model) at a site of it."""

Answer = Callable[[int, torch.Tensor], torch.Tensor | None]
"""A visitor that says what passes on: the gradient at the transcoder's input, or None."""


@dataclass(frozen=True, kw_only=True)
class FrozenModel:
    """All blocks, and the factor of the final norm."""

    layers: list[FrozenLayer]
    final: torch.Tensor

    def pull_back(
        self,
        layer: int,
        positions: torch.Tensor,
        vectors: torch.Tensor,
        *,
        at_mlp: Answer,
        at_attention: Visitor,
        at_embedding: Callable[[torch.Tensor], None],
    ) -> None:
        """Pull target nodes of one layer back to everything that they read from.

        Parameters
        ----------
        layer
            Of the targets: features of this layer, or logits, if the number of layers.
        positions
            Of the targets; (rows,) int64.
        vectors
            What each target reads its input with: encoder, or centred unembedding direction;
            (rows, d_model).
        at_mlp, at_attention
            Called, from the highest site to the lowest, with the gradient with respect to a
            layer's transcoder output, and to the residual stream behind its attention;
            (rows, positions, d_model), positions up to the last target's. It is changed after the
            call. `at_mlp` may give back what features that answer pass on, with respect to the
            transcoder's input; by default they are cut, and only a skip connection passes on.
        at_embedding
            Called last, with the gradient behind the lowest attention: of embeddings, all that
            there is below, it is cheaper to know what they write there (`FrozenLayer.written`).
        """
        is_logit = layer == len(self.layers)
        factor = self.final if is_logit else self.layers[layer].read
        seen = int(positions.max()) + 1  # attention is causal
        flow = vectors.new_zeros(len(vectors), seen, vectors.shape[1])
        read = vectors if factor is None else vectors * factor[positions]
        flow[torch.arange(len(vectors), device=flow.device), positions] = read
        if not is_logit:
            at_attention(layer, flow)
            if layer:
                self.layers[layer].add_attended_at(positions, read, flow)
        for below in range(layer - 1, -1, -1):
            block = self.layers[below]
            written = flow if block.write is None else flow * block.write[:seen]
            through = at_mlp(below, written)
            if block.skip is not None:
                skipped = written @ block.skip
                through = skipped if through is None else through + skipped
            if through is not None:
                flow = flow + (through if block.read is None else through * block.read[:seen])
            at_attention(below, flow)
            if below:
                block.add_attended(flow)
        at_embedding(flow)
