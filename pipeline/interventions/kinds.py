"""What to do to which feature, and where; checked against the model before it runs.

Loads no torch: a page says with it what is to be done, before any model is there.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from store.base.errors import UserError

if TYPE_CHECKING:
    import torch

Mode = Literal["set", "add", "multiply"]
Where = Literal["last", "all", "always"] | tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Intervention:
    """One feature's activation f becomes f' where it says; (f' - f) W_dec joins the MLP output.

    Attributes
    ----------
    layer, feature
        Which feature, both 0-based.
    mode, value
        ``set``: f' = value; ``add``: f' = f + value; ``multiply``: f' = f * value. Several
        interventions on one feature are applied one after the other.
    where
        ``last``: the prompt's last token; positions: these tokens of the prompt; ``all``:
        every token of the prompt but those zeroed by policy (BOS); ``always``: all, and
        every generated token.
    """

    layer: int
    feature: int
    mode: Mode
    value: float
    where: Where = "last"

    @property
    def name(self) -> str:
        """The feature as it is written everywhere, ``L2/618``."""
        return f"L{self.layer}/{self.feature}"

    @property
    def does_nothing(self) -> bool:
        """Whether it changes no activation by its own meaning."""
        return (self.mode == "add" and self.value == 0) or (self.mode == "multiply" and self.value == 1)

    def mask(self, positions: "torch.Tensor", prompt_length: int, zeroed: int) -> "torch.Tensor":
        """Which of some absolute positions (position,) it acts on, as booleans.

        Absolute, so that a cached generation step, whose only token has index 0, is not
        mistaken for the prompt's first token (trap 10).
        """
        if self.where == "last":
            return positions == prompt_length - 1
        if self.where == "all":
            return (positions >= zeroed) & (positions < prompt_length)
        if self.where == "always":
            return positions >= zeroed
        return (positions[:, None] == positions.new_tensor(self.where)).any(dim=-1)

    def apply(self, activation: "torch.Tensor") -> "torch.Tensor":
        """The new activation f' of any number of activations f."""
        if self.mode == "set":
            return activation.new_full(activation.shape, self.value)
        return activation + self.value if self.mode == "add" else activation * self.value


Setting = tuple[Intervention, ...]
"""What is done to one row of a batch; empty for a baseline row."""


def check(
    interventions: Sequence[Intervention], *, n_layers: int, d_transcoder: int, prompt_length: int
) -> None:
    """Refuse what the model does not have.

    Raises
    ------
    UserError
        Unknown layer, feature, mode or position, or a value that is no finite number.
    """
    for one in interventions:
        if not 0 <= one.layer < n_layers:
            raise UserError(f"There is no layer {one.layer}; the model has layers 0 to {n_layers - 1}.")
        if not 0 <= one.feature < d_transcoder:
            raise UserError(f"There is no feature {one.name}; a layer has features 0 to {d_transcoder - 1}.")
        if one.mode not in get_args(Mode):
            raise UserError(f"{one.name}: mode '{one.mode}' is none of {', '.join(get_args(Mode))}.")
        if not math.isfinite(one.value):
            raise UserError(f"{one.name}: the value must be a finite number, not {one.value}.")
        if isinstance(one.where, str):
            if one.where not in {"last", "all", "always"}:
                raise UserError(f"{one.name}: where is '{one.where}'; choose last, all, always or positions.")
        elif not one.where or not all(0 <= position < prompt_length for position in one.where):
            raise UserError(
                f"{one.name}: positions {list(one.where)} are not all within 0 to {prompt_length - 1}."
            )
