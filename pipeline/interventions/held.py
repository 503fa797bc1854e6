"""Many features held at another variant's activations, and what else the other variant writes.

Where `kinds` says one intervention at a time, here a row of a batch holds hundreds of features of
all layers, each at every position, so that one product a layer does for all rows. A held feature
has its value whatever earlier patches do to it; attention, norms and later MLPs answer for real.

Rows that hold the same are one, a pass has one row up to the first layer in which any holds something, and
the last MLP reads the last position alone.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch

from pipeline.interventions.controls import Feature
from pipeline.interventions.freezing import Hook, hooked
from pipeline.models.dictionaries import decoder_rows, encode, encoder_of, encoder_rows
from pipeline.models.replacement import ReplacementModel

# Tokens of one batch: a hundred rows of a short prompt stay in a CPU's cache.
_TOKENS: Final = 2048
_ATTENTION: Final = "hook_attn_out"
_BEFORE: Final = "hook_resid_pre"
_BETWEEN: Final = "hook_resid_mid"


Beside = Callable[[Sequence[tuple[int, int]], Sequence[int]], Iterable[tuple[str, Hook]]]
"""Further hooks of a batch: for its rows, each an order and a place in `ks`, and for `ks`."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A pass of a variant; by layer, the (position, ...) tensors.

    Attributes
    ----------
    logits
        (token,) float32 at the last position.
    activations
        (position, feature); zero at BOS, as stored.
    outputs, attention
        (position, d_model): of the MLP, where its transcoder writes, and of attention.
    before, between
        (position, d_model): the residual stream that attention reads, and that the MLP reads.
    """

    logits: np.ndarray
    activations: list[torch.Tensor]
    outputs: list[torch.Tensor]
    attention: list[torch.Tensor]
    before: list[torch.Tensor]
    between: list[torch.Tensor]


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a variant's modules write at inputs of another one's pass; by layer, (position, d_model)."""

    outputs: list[torch.Tensor]
    attention: list[torch.Tensor]


@torch.no_grad()
def see(model: ReplacementModel, token_ids: Sequence[int]) -> Seen:
    """A pass of the variant that the model has now, with nothing held."""
    held: dict[str, list[torch.Tensor]] = {}
    names = (model.feature_input_hook, model.feature_output_hook, _ATTENTION, _BEFORE, _BETWEEN)
    hooks = [
        (f"blocks.{layer}.{name}", _keeping(held.setdefault(name, [])))
        for name in dict.fromkeys(names)
        for layer in range(model.cfg.n_layers)
    ]
    with hooked(model, hooks):
        logits = last_logits(model, torch.tensor([list(token_ids)], device=model.cfg.device))
    activations = []
    for layer, x in enumerate(held[model.feature_input_hook]):
        encoded = encode(model.transcoders, layer, x)
        encoded[model.zero_positions] = 0
        activations.append(encoded)
    return Seen(
        logits=logits[0].float().cpu().numpy(),
        activations=activations,
        outputs=held[model.feature_output_hook],
        attention=held[_ATTENTION],
        before=held[_BEFORE],
        between=held[_BETWEEN],
    )


@torch.no_grad()
def write_at(model: ReplacementModel, token_ids: Sequence[int], source: Seen) -> Written:
    """What the model's modules write where each reads what it read in the pass `source`."""
    held: dict[str, list[torch.Tensor]] = {model.feature_output_hook: [], _ATTENTION: []}
    hooks: list[tuple[str, Hook]] = []
    for layer in range(model.cfg.n_layers):
        hooks += [
            (f"blocks.{layer}.{_BEFORE}", _giving(source.before[layer])),
            (f"blocks.{layer}.{_BETWEEN}", _giving(source.between[layer])),
            *((f"blocks.{layer}.{name}", _keeping(into)) for name, into in held.items()),
        ]
    with hooked(model, hooks):
        last_logits(model, torch.tensor([list(token_ids)], device=model.cfg.device))
    return Written(outputs=held[model.feature_output_hook], attention=held[_ATTENTION])


@torch.no_grad()
def held_logits(
    model: ReplacementModel,
    token_ids: Sequence[int],
    source: Seen,
    orders: Sequence[Sequence[Feature]],
    ks: Sequence[int],
    tokens: Sequence[int],
    *,
    beside: Beside | None = None,
    where: Sequence[int] | None = None,
) -> np.ndarray:
    """Logits with the first k features of each order at the activations of another pass.

    Parameters
    ----------
    model
        Its variant is the host.
    source
        The pass whose activations they have, at every position but those zeroed by policy (BOS).
    orders
        Features, first ones first; one that has fewer than k gives all of them. Those of negative index are
        adapter nodes, for `beside`.
    ks
        How many.
    tokens
        Whose logits are wanted, at the last position.
    beside
        What else is done in each row.
    where
        Positions at which features are held; None: at every one.

    Returns
    -------
    numpy.ndarray
        (order, k, token) float32.
    """
    free = torch.ones(len(token_ids), dtype=torch.bool, device=model.cfg.device)
    free[list(range(len(token_ids)) if where is None else where)] = False
    columns = _columns(model, source, orders, free)
    # Rows that hold few features stand together: a batch encodes those that one of its rows holds.
    cells = [(order, k) for k in range(len(ks)) for order in range(len(orders))]
    sets = [frozenset(orders[order][: ks[k]]) for order, k in cells]
    first = dict(zip(reversed(sets), reversed(cells), strict=True))  # of cells that hold the same
    rows = [cell for cell, held in zip(cells, sets, strict=True) if first[held] == cell]
    place = {cell: row for row, cell in enumerate(rows)}
    end = (f"blocks.{model.cfg.n_layers - 1}.{_BETWEEN}", lambda x: x[:, -1:])
    ids = torch.tensor([list(token_ids)], device=model.cfg.device)
    found = np.empty((len(rows), len(tokens)), np.float32)
    step = max(1, _TOKENS // len(token_ids))
    for start in range(0, len(rows), step):
        batch = rows[start : start + step]
        hooks = [hook for column in columns for hook in column.hooks(model, batch, ks)]
        if beside is not None:
            hooks += beside(batch, ks)
        with hooked(model, [end, *hooks]):
            logits = last_logits(model, ids)  # (row, token), or of one row where nothing is done in any
        found[start : start + step] = logits[:, list(tokens)].float().cpu().numpy()
    of_cells = found[[place[first[held]] for held in sets]].reshape(len(ks), len(orders), len(tokens))
    return np.ascontiguousarray(of_cells.swapaxes(0, 1))


class _Columns:
    """The features of one layer that any order names: their rank in each order, and their values."""

    def __init__(
        self, model: ReplacementModel, source: Seen, layer: int, place: torch.Tensor, free: torch.Tensor
    ) -> None:
        # place (order, feature of the layer): how many come before it in the order; -1: not in it.
        # free (position,): where features answer for themselves, as at those zeroed by policy (BOS).
        self.layer, self._free = layer, free.clone()
        self._free[model.zero_positions] = True
        self._named = (place >= 0).any(dim=0).nonzero().flatten()
        self._place = place[:, self._named]
        self._encoder = encoder_rows(model.transcoders, layer)[self._named]
        self._decoders = decoder_rows(model.transcoders, layer, self._named)
        self._values = source.activations[layer][:, self._named]

    def hooks(
        self, model: ReplacementModel, rows: Sequence[tuple[int, int]], ks: Sequence[int]
    ) -> Iterator[tuple[str, Hook]]:
        """Read the transcoder's input, and add what holding changes to the MLP's output."""
        place = self._place[[order for order, _ in rows]]
        wanted = torch.tensor([ks[k] for _, k in rows], device=place.device)
        mask = (place >= 0) & (place < wanted[:, None])  # (row, column)
        at = mask.any(dim=0).nonzero().flatten()
        if not len(at):
            return
        mask, values = mask[:, at], self._values[:, at]
        decoder, *later = (rows[at] for rows in self._decoders)
        encoded = encoder_of(model.transcoders, self.layer, self._named[at], self._encoder[at])
        kept: list[torch.Tensor] = []
        changes: list[torch.Tensor] = []

        def write(output: torch.Tensor) -> torch.Tensor:
            now = encoded(kept.pop())  # (row, position, column), of one row before any differ
            length = now.shape[1]
            change = (values[-length:] - now) * mask[:, None]
            change[:, self._free[-length:]] = 0
            changes[:] = [change]
            held: torch.Tensor = output + (change @ decoder).to(output.dtype)
            return held

        yield f"blocks.{self.layer}.{model.feature_input_hook}", _keeping_rows(kept)
        yield f"blocks.{self.layer}.{model.feature_output_hook}", write
        for at_layer, beyond in enumerate(later, self.layer + 1):
            yield f"blocks.{at_layer}.{model.feature_output_hook}", _writing_on(changes, beyond)


def _columns(
    model: ReplacementModel, source: Seen, orders: Sequence[Sequence[Feature]], free: torch.Tensor
) -> list[_Columns]:
    found = []
    for layer, activations in enumerate(source.activations):
        place = torch.full((len(orders), activations.shape[1]), -1, device=activations.device)
        for row, order in enumerate(orders):
            mine = [(rank, index) for rank, (at, index) in enumerate(order) if at == layer and index >= 0]
            if mine:
                ranks, indices = zip(*mine, strict=True)
                place[row, list(indices)] = torch.tensor(ranks, device=place.device)
        if bool((place >= 0).any()):
            found.append(_Columns(model, source, layer, place, free))
    return found


@contextmanager
def free_gradients(model: ReplacementModel) -> Iterator[None]:
    """Let gradients pass attention patterns, norms and MLPs, which circuit-tracer's hooks stop.

    Its permanent hooks are lifted meanwhile, and are all there again after.
    """
    lifted: list[tuple[Any, dict[int, Any]]] = []
    try:
        for point in model.hook_dict.values():
            lifted.append((point._forward_hooks, dict(point._forward_hooks)))
            point._forward_hooks.clear()
        yield
    finally:
        for hooks, own in lifted:
            hooks.update(own)


def last_logits(model: ReplacementModel, ids: torch.Tensor) -> torch.Tensor:
    """(row, token) at the last position, after any softcap; only it is unembedded."""
    # Explicit, or TransformerLens would guess from the ids which of them are padding.
    end = model(ids, stop_at_layer=model.cfg.n_layers, attention_mask=torch.ones_like(ids))[:, -1:]
    logits = model.unembed(model.ln_final(end))[:, 0]
    cap = model.cfg.output_logits_soft_cap
    capped: torch.Tensor = cap * torch.tanh(logits / cap) if cap > 0 else logits
    return capped


def _writing_on(changes: list[torch.Tensor], decoder: torch.Tensor) -> Hook:
    def write(output: torch.Tensor) -> torch.Tensor:
        change = changes[0][:, -output.shape[1] :]
        held: torch.Tensor = output + (change @ decoder).to(output.dtype)
        return held

    return write


def _keeping(held: list[torch.Tensor]) -> Hook:
    def keep(x: torch.Tensor) -> None:
        held.append(x[0].clone())

    return keep


def _keeping_rows(held: list[torch.Tensor]) -> Hook:
    def keep(x: torch.Tensor) -> None:
        held.append(x)

    return keep


def _giving(x: torch.Tensor) -> Hook:
    def give(_: torch.Tensor) -> torch.Tensor:
        return x[None]

    return give


def adding(vector: torch.Tensor) -> Hook:
    """Adds (..., position, d_model), of the last positions where only these are read."""

    def add(output: torch.Tensor) -> torch.Tensor:
        return output + vector[..., -output.shape[1] :, :].to(output.dtype)

    return add
