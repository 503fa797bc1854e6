"""What to do to which feature, or along which direction, and where; checked against the model before it runs.

Loads no torch: a page says with it what is to be done, before any model is there. A description carries
numbers; what it takes from another pass (a mean, another prompt's activations) is read by
`pipeline.interventions.borrowed` and stands in it by position.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, get_args

import numpy as np

from store.base.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What becomes of an activation: f' = gain f + shift.

    Attributes
    ----------
    words
        What it does, for people.
    affine
        Gain and shift, of the description's value.
    valued
        Whether the value counts; where it does not, it is 0.
    """

    words: str
    affine: Callable[[float], tuple[float, float]]
    valued: bool = True

    @property
    def scales(self) -> bool:
        """Whether it leaves an activation of 0 as it is, whatever the value (trap 16)."""
        return self.affine(1.0)[1] == 0


Mode = Literal["set", "add", "multiply", "ablate", "inhibit", "mean", "resample", "patch"]
KINDS: Final[Mapping[Mode, Kind]] = MappingProxyType(
    {
        "set": Kind(words="the activation becomes the value", affine=lambda value: (0.0, value)),
        "add": Kind(words="the value is added", affine=lambda value: (1.0, value)),
        "multiply": Kind(
            words="by a factor (does nothing where the feature is inactive)",
            affine=lambda value: (value, 0.0),
        ),
        "ablate": Kind(words="the activation becomes 0", affine=lambda _: (0.0, 0.0), valued=False),
        "inhibit": Kind(
            words="the activation becomes minus so many times itself", affine=lambda value: (-value, 0.0)
        ),
        "mean": Kind(words="it becomes its mean over other prompts", affine=lambda value: (0.0, value)),
        "resample": Kind(words="it becomes what it is at places drawn", affine=lambda value: (0.0, value)),
        "patch": Kind(words="it becomes what it is in another pass", affine=lambda value: (0.0, value)),
    }
)
"""Every kind there is of changing a feature, by its mode."""

Place = Literal["last", "prompt", "generated", "always"]
Where = Place | tuple[int, ...]
Site = Literal["mlp", "residual"]


@dataclass(frozen=True, kw_only=True)
class _Placed:
    """Something that is done with a value at places of one layer."""

    layer: int
    value: float | tuple[float, ...]
    where: Where = "last"

    @property
    def values(self) -> tuple[float, ...]:
        """The one value of all places, or one a position."""
        return self.value if isinstance(self.value, tuple) else (self.value,)

    def mask(self, positions: np.ndarray, prompt_length: int, zeroed: int) -> np.ndarray:
        """Which of some absolute positions it acts on, as booleans of their shape.

        Absolute, so that a cached generation step, whose only token has index 0, is not
        mistaken for the prompt's first token (trap 10). Padding has negative ones.
        """
        if self.where == "last":
            found = positions == prompt_length - 1
        elif self.where == "prompt":
            found = (positions >= zeroed) & (positions < prompt_length)
        elif self.where == "generated":
            found = positions >= max(prompt_length, zeroed)
        elif self.where == "always":
            found = positions >= zeroed
        else:
            found = np.isin(positions, self.where)
        return np.asarray(found)

    def values_at(self, positions: np.ndarray) -> np.ndarray:
        """Its float64 values at positions that it acts on, in their order; (1,) where it is one for all."""
        if not isinstance(self.value, tuple):
            return np.array([self.value], np.float64)
        at = dict(zip(self.where, self.value, strict=True))
        return np.array([at[position] for position in positions.tolist()], np.float64)


@dataclass(frozen=True, kw_only=True)
class Intervention(_Placed):
    """One feature's activation f becomes f' where it says; (f' - f) W_dec joins the MLP output.

    Attributes
    ----------
    layer, feature
        Which feature, both 0-based.
    mode
        One of `KINDS`. Several interventions on one feature are applied one after the other.
    value
        What the kind makes f' of; a tuple has one for each position of `where`.
    where
        ``last``: the prompt's last token; positions: these tokens of the prompt; ``prompt``:
        every token of the prompt but those zeroed by policy (BOS); ``generated``: every token
        after the prompt; ``always``: both.
    """

    feature: int
    mode: Mode

    @property
    def name(self) -> str:
        """The feature as it is written everywhere, ``L2/618``."""
        return f"L{self.layer}/{self.feature}"

    @property
    def does_nothing(self) -> bool:
        """Whether it changes no activation by its own meaning."""
        return all(KINDS[self.mode].affine(value) == (1.0, 0.0) for value in self.values)

    def affine_at(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Gains and shifts (position,) float64 at positions that it acts on; (1,) where all have one."""
        both = [KINDS[self.mode].affine(value) for value in self.values_at(positions).tolist()]
        gains, shifts = np.array(both, np.float64).reshape(-1, 2).T
        return gains, shifts

    def apply(self, activation: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """The new activations f' of activations f (position, ...), in their dtype, at these positions."""
        gains, shifts = (
            each.astype(activation.dtype).reshape(-1, *[1] * (activation.ndim - 1))
            for each in self.affine_at(positions)
        )
        changed: np.ndarray = gains * activation + shifts
        return changed


@dataclass(frozen=True, kw_only=True)
class Vector(_Placed):
    """A value times a direction joins what a layer writes, whatever the features are.

    Attributes
    ----------
    layer
        0-based.
    direction
        d_model numbers, of any length: the value multiplies them as they are.
    value, where
        As of an `Intervention`.
    site
        ``mlp``: it joins the MLP output, where features write; ``residual``: the residual stream
        behind the layer.
    """

    direction: tuple[float, ...]
    site: Site = "mlp"

    @property
    def name(self) -> str:
        """What errors call it."""
        return f"The vector at layer {self.layer}"

    @property
    def does_nothing(self) -> bool:
        """Whether nothing is added."""
        return not any(self.values) or not any(self.direction)


Step = Intervention | Vector
Setting = tuple[Step, ...]
"""What is done to one row of a batch; empty for a baseline row."""


@dataclass(frozen=True, kw_only=True)
class Frozen:
    """What stays as it is without a setting, while the setting acts; nothing by default.

    Attributes
    ----------
    attention
        Attention patterns of all layers; values go on to answer.
    norms
        Scales of all norms.
    mlps
        Layers whose MLP outputs stay, but for what a setting adds to them, which is then made of the
        unsteered activations there, and for a transcoder's skip connection, which is linear. All
        layers, with attention and norms: only direct effects are left.
    """

    attention: bool = False
    norms: bool = False
    mlps: tuple[int, ...] = ()


FREE: Final = Frozen()


def check(
    steps: Sequence[Step], *, n_layers: int, d_transcoder: int, d_model: int, prompt_length: int
) -> None:
    """Refuse what the model does not have.

    Raises
    ------
    UserError
        Unknown layer, feature, mode, site or position, a direction of another width, values that are not
        one a position, or a value that is no finite number.
    """
    for one in steps:
        if not 0 <= one.layer < n_layers:
            raise UserError(f"There is no layer {one.layer}; the model has layers 0 to {n_layers - 1}.")
        if isinstance(one, Vector):
            _check_vector(one, d_model)
        else:
            _check_feature(one, d_transcoder)
        if not all(map(math.isfinite, one.values)):
            raise UserError(f"{one.name}: the value must be a finite number, not {one.value}.")
        _check_where(one, prompt_length)


def _check_feature(one: Intervention, d_transcoder: int) -> None:
    if not 0 <= one.feature < d_transcoder:
        raise UserError(f"There is no feature {one.name}; a layer has features 0 to {d_transcoder - 1}.")
    if one.mode not in KINDS:
        raise UserError(f"{one.name}: mode '{one.mode}' is none of {', '.join(KINDS)}.")
    if not KINDS[one.mode].valued and any(one.values):
        raise UserError(f"{one.name}: {one.mode} takes no value, so give 0, not {one.value}; or set it.")


def _check_vector(one: Vector, d_model: int) -> None:
    if len(one.direction) != d_model:
        raise UserError(f"{one.name} has {len(one.direction)} numbers; the model is {d_model} wide.")
    if not all(map(math.isfinite, one.direction)):
        raise UserError(f"{one.name} has numbers that are not finite; leave none of them in it.")
    if one.site not in get_args(Site):
        raise UserError(f"{one.name}: site '{one.site}' is none of {', '.join(get_args(Site))}.")


def _check_where(one: Step, prompt_length: int) -> None:
    if isinstance(one.where, str):
        if one.where not in get_args(Place):
            raise UserError(
                f"{one.name}: where is '{one.where}'; choose {', '.join(get_args(Place))} or positions."
            )
        if isinstance(one.value, tuple):
            raise UserError(f"{one.name}: values by position need positions, not '{one.where}'.")
        return
    if not one.where or not all(0 <= position < prompt_length for position in one.where):
        raise UserError(
            f"{one.name}: positions {list(one.where)} are not all within 0 to {prompt_length - 1}."
        )
    if isinstance(one.value, tuple) and not len(one.value) == len(one.where) == len(set(one.where)):
        raise UserError(
            f"{one.name}: {len(one.value)} values for positions {list(one.where)}; give one for each."
        )
