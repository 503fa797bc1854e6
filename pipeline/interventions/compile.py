"""Settings of the rows of a batch, compiled: what to add to what each layer writes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, get_args

import numpy as np
import torch

from pipeline.interventions.kinds import Intervention, Setting, Site, Step, Vector
from pipeline.models.dictionaries import Transcoders, decoder_rows, encode, encoder_of

_BEYOND: Final = np.iinfo(np.int64).max
"""A position behind every prompt: what is done there is done at every generated token."""


@dataclass(frozen=True, kw_only=True)
class Placed:
    """What a layer does at the positions of one pass.

    Attributes
    ----------
    awake
        (row, position) where activations are not zeroed by policy; None: they are nowhere.
    gains, shifts
        (row, position, feature) of f' = gain f + shift; None where no feature is touched.
    weights
        By site: (row, position, direction), what the directions are multiplied by.
    """

    awake: torch.Tensor | None
    gains: torch.Tensor | None
    shifts: torch.Tensor | None
    weights: dict[Site, torch.Tensor]

    @property
    def acts(self) -> bool:
        """Whether anything is done at any of the positions."""
        return self.gains is not None or bool(self.weights)

    def of(self, rows: torch.Tensor) -> "Placed":
        """What is done in rows (row,) of these, where activations are zeroed nowhere."""
        assert self.awake is None
        return replace(
            self,
            gains=None if self.gains is None else self.gains[rows],
            shifts=None if self.shifts is None else self.shifts[rows],
            weights={site: weight[rows] for site, weight in self.weights.items()},
        )


class LayerPlan:
    """What happens at one layer.

    Attributes
    ----------
    features
        The distinct features that any row touches, ascending.
    later
        Further layers in which they write: cross-layer features do.
    """

    def __init__(self, transcoders: Transcoders, layer: int, rows: Sequence[Setting]) -> None:
        self._transcoders, self._layer = transcoders, layer
        self.later: Sequence[int] = ()
        self._device = next(transcoders.parameters()).device
        steps = [(row, one) for row, setting in enumerate(rows) for one in setting if one.layer == layer]
        self._changes = [(row, one) for row, one in steps if isinstance(one, Intervention)]
        self._vectors = [(row, one) for row, one in steps if isinstance(one, Vector)]
        self._n_rows = len(rows)
        self.features = sorted({one.feature for _, one in self._changes})
        self._column = {feature: place for place, feature in enumerate(self.features)}
        self._directions = {
            site: list(dict.fromkeys(one.direction for _, one in self._vectors if one.site == site))
            for site in get_args(Site)
        }
        self._written = {
            site: torch.tensor(directions, dtype=torch.float32, device=self._device)
            for site, directions in self._directions.items()
        }
        if self.features:
            self._ids = torch.tensor(self.features, device=self._device)
            # (m, d_model), of this layer and of later ones where its features write there, too
            rows_of = decoder_rows(transcoders, layer, self._ids)
            self._decoder, *self._later = (each.to(self._device) for each in rows_of)
            self.later = range(layer + 1, layer + 1 + len(self._later))
            self._encode = encoder_of(transcoders, layer, self._ids)
        self._beyond: Placed | None = None

    def placed(self, positions: np.ndarray, prompt_lengths: np.ndarray, zeroed: int) -> Placed:
        """What is done at absolute positions (row, position) of prompts of these lengths (row,)."""
        if positions.min() < max(prompt_lengths.max(), zeroed):
            return self._place(positions, prompt_lengths, zeroed)
        if self._beyond is None:  # the same at every step, whatever the prompts are
            self._beyond = self._place(np.full((len(positions), 1), _BEYOND), prompt_lengths, zeroed)
        return self._beyond

    def _place(self, positions: np.ndarray, prompt_lengths: np.ndarray, zeroed: int) -> Placed:
        shape = positions.shape
        awake = positions >= zeroed
        gains = np.ones((*shape, len(self.features)), np.float64)
        shifts = np.zeros_like(gains)
        acts = False
        for row, one in self._changes:
            at = self._at(positions, row, one, prompt_lengths, zeroed)
            if not len(at):
                continue
            gain, shift = one.affine_at(positions[row, at])
            cell = (row, at, self._column[one.feature])
            gains[cell], shifts[cell] = gain * gains[cell], gain * shifts[cell] + shift
            acts = True
        weights: dict[Site, torch.Tensor] = {}
        for site, directions in self._directions.items():
            found = np.zeros((*shape, len(directions)), np.float64)
            column = {direction: place for place, direction in enumerate(directions)}
            for row, each in self._vectors:
                if each.site == site:
                    at = self._at(positions, row, each, prompt_lengths, zeroed)
                    found[row, at, column[each.direction]] += each.values_at(positions[row, at])
            if found.any():
                weights[site] = self._tensor(found)
        return Placed(
            awake=None if awake.all() else torch.from_numpy(awake).to(self._device),
            gains=self._tensor(gains) if acts else None,
            shifts=self._tensor(shifts) if acts else None,
            weights=weights,
        )

    def _at(
        self, positions: np.ndarray, row: int, one: Step, prompt_lengths: np.ndarray, zeroed: int
    ) -> np.ndarray:
        return np.flatnonzero(one.mask(positions[row], int(prompt_lengths[row]), zeroed))

    def _tensor(self, values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(values.astype(np.float32)).to(self._device)

    def deltas(
        self, x: torch.Tensor, placed: Placed, *, exact: bool
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """What features add to the MLP output, and their activations before and after.

        Parameters
        ----------
        x
            (row, position, d_model), the transcoder's input in this very pass.
        exact
            Encode the whole dictionary, as circuit-tracer does, so that activations are
            those of the store to the last bit; else only the features concerned.

        Returns
        -------
        delta
            (row, position, d_model); exactly 0 where nothing changes.
        before, after
            (row, position, feature) activations f and f'.
        """
        whole = encode(self._transcoders, self._layer, x) if exact else None
        before = self._encode(x) if whole is None else whole[..., self._ids]
        if placed.awake is not None:
            before = before * placed.awake[..., None]
        assert placed.gains is not None
        assert placed.shifts is not None
        # The factors are float32, as a scalar's would be: a bfloat16 activation is rounded once.
        after = torch.addcmul(placed.shifts, placed.gains, before).to(before.dtype)
        return (after - before) @ self._decoder, before, after

    def carried(self, before: torch.Tensor, after: torch.Tensor) -> dict[int, torch.Tensor]:
        """What the change of activations adds to the MLP outputs of later layers, by layer."""
        change = after - before
        return {later: change @ decoder for later, decoder in zip(self.later, self._later, strict=True)}

    def vector(self, site: Site, placed: Placed) -> torch.Tensor:
        """What directions add at a site, (row, position, d_model) float32."""
        return placed.weights[site] @ self._written[site]


def make_plan(transcoders: Transcoders, rows: Sequence[Setting]) -> dict[int, LayerPlan]:
    """Compile one setting a row into one plan a layer."""
    layers = sorted({one.layer for setting in rows for one in setting})
    return {layer: LayerPlan(transcoders, layer, rows) for layer in layers}
