"""What steering gives back: plain NumPy, nothing that holds a model."""

from dataclasses import dataclass

import numpy as np

from pipeline.analysis.next_token import log_softmax
from pipeline.interventions.kinds import Intervention, Setting


@dataclass(frozen=True, kw_only=True)
class Request:
    """One prompt under one setting: a row of a batch.

    Attributes
    ----------
    token_ids
        The prompt's stored ids, BOS included.
    setting
        What is done; nothing by default.
    forced
        Ids that follow the prompt, whatever the model would say. They count as generated.
    seed
        Of its samples alone; None: of the whole batch's seed and the prompt, so that samples of two
        prompts are independent.
    """

    token_ids: tuple[int, ...]
    setting: Setting = ()
    forced: tuple[int, ...] = ()
    seed: int | None = None


@dataclass(frozen=True, kw_only=True)
class Generated:
    """Texts sampled so far, of every request.

    Attributes
    ----------
    texts
        By request, by sample: token ids after the prompt and what was forced, end-of-text left out.
        Sample i of all requests with one prompt is drawn with the same random numbers.
    step, done
        Tokens drawn so far; whether this is the end.
    """

    texts: tuple[tuple[tuple[int, ...], ...], ...]
    step: int
    done: bool


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A steered feature's activation where it was steered.

    Attributes
    ----------
    positions
        Prompt positions at which the intervention acts.
    baseline
        Its activation there without any steering.
    before, after
        In the steered pass, before and after this feature's interventions; `before` differs
        from `baseline` where an earlier layer is steered, too.
    """

    intervention: Intervention
    positions: tuple[int, ...]
    baseline: tuple[float, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class NextToken:
    """The next-token distribution before and after steering, beside random controls.

    Unless the engine was told to freeze something, everything downstream may react: attention, norms
    and later MLPs answer for real. Arrays are float32 over the vocabulary; effects are intervened - baseline.

    Attributes
    ----------
    baseline_logits, steered_logits
        (token,) at the prompt's last position, after any softcap.
    control_logits
        (control, token): the same done to matched random features; each row one control.
    controls
        What each control does instead.
    unmoved
        How many features are no controls because the same does nothing to them.
    readings
        One an intervention on a feature, in order.
    inactive
        Interventions that scale a feature (multiply, ablate, inhibit) which is not active there, which
        does nothing: offer ``set`` or ``add`` instead (trap 16).
    """

    baseline_logits: np.ndarray
    steered_logits: np.ndarray
    control_logits: np.ndarray
    controls: tuple[Setting, ...]
    unmoved: int
    readings: tuple[Reading, ...]
    inactive: tuple[Intervention, ...]

    @property
    def baseline_probability(self) -> np.ndarray:
        """(token,) probabilities before."""
        return np.exp(log_softmax(self.baseline_logits))

    @property
    def steered_probability(self) -> np.ndarray:
        """(token,) probabilities after."""
        return np.exp(log_softmax(self.steered_logits))

    @property
    def control_probability(self) -> np.ndarray:
        """(control, token) probabilities after the same is done to random features."""
        return np.exp(log_softmax(self.control_logits))

    @property
    def effect_logits(self) -> np.ndarray:
        """(token,) change of the logit."""
        return self.steered_logits - self.baseline_logits

    @property
    def effect_log_probability(self) -> np.ndarray:
        """(token,) change of the log-probability, in nats."""
        return log_softmax(self.steered_logits) - log_softmax(self.baseline_logits)

    @property
    def control_effect_logits(self) -> np.ndarray:
        """(control, token) change of the logit."""
        return self.control_logits - self.baseline_logits

    @property
    def control_effect_log_probability(self) -> np.ndarray:
        """(control, token) change of the log-probability, in nats."""
        return log_softmax(self.control_logits) - log_softmax(self.baseline_logits)


@dataclass(frozen=True, kw_only=True)
class Continuations:
    """Continuations sampled so far, before and after steering.

    Attributes
    ----------
    before, after
        Token ids of each sample, end-of-text left out. Sample i of both is drawn with the
        same random numbers: where they differ, steering made the difference.
    step, done
        Tokens drawn so far; whether this is the end.
    """

    before: tuple[tuple[int, ...], ...]
    after: tuple[tuple[int, ...], ...]
    step: int
    done: bool
