"""The loop: an adapter's weights go down the gradient of ready examples, one after the other.

It knows no file, no tokenizer and no finetune: examples are token ids and labels in the order in
which they are trained, and what is to happen beside (checkpoints, an early end) is handed in.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from peft import PeftModel
from torch import Tensor
from tqdm import tqdm

from pipeline.finetuning.padding import IGNORED, forward_inputs, pad
from pipeline.finetuning.schedule import Schedule, rate_factor
from store.base.errors import UserError


class Example(NamedTuple):
    """One sequence: a label is its token's id, or `IGNORED`; labels are not shifted."""

    ids: Sequence[int]
    labels: Sequence[int]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How the optimizer (AdamW) steps.

    Attributes
    ----------
    batch
        Examples a step; the last step may have fewer.
    learning_rate, schedule, warmup
        Linear warm-up over that share of the steps; then constant, or a cosine down to zero.
    weight_decay
        AdamW's.
    clip
        Largest norm of the gradient over all trained weights; None: it is left as it is.
    evaluate_every
        Steps from one loss on held-out examples to the next; the last step always has one.
    save_every
        Steps from one checkpoint to the next; the last step always has one.
    """

    batch: int
    learning_rate: float
    schedule: Schedule = "constant"
    warmup: float = 0.0
    weight_decay: float = 0.0
    clip: float | None = None
    evaluate_every: int = 1
    save_every: int = 1


@dataclass(frozen=True, kw_only=True)
class Point:
    """One training step, counted from 1.

    Attributes
    ----------
    loss
        Mean over the batch's labelled tokens before the step, nats a token.
    held_out_loss
        The same on all held-out examples, after the step; None where it was not measured.
    learning_rate
        Of this step.
    gradient_norm
        Over all trained weights, before clipping.
    """

    step: int
    loss: float
    held_out_loss: float | None
    learning_rate: float
    gradient_norm: float


class Checkpoints(Protocol):
    """Where a run is kept while it is under way; see `pipeline.finetuning.checkpoints`."""

    def restore(self, model: PeftModel, optimizer: torch.optim.Optimizer) -> list[Point]:
        """Set both to the last checkpoint, if there is one, and give its curve."""

    def save(self, model: PeftModel, optimizer: torch.optim.Optimizer, curve: Sequence[Point]) -> None:
        """Keep both, and the curve so far."""


Stop = Callable[[int, PeftModel], bool]
"""Asked after each step, with its number and the model in evaluation mode: is it enough?"""


def train(
    model: PeftModel,
    examples: Sequence[Example],
    recipe: Recipe,
    *,
    padding: int,
    name: str,
    held_out: Sequence[Example] = (),
    checkpoints: Checkpoints | None = None,
    stop: Stop | None = None,
) -> list[Point]:
    """Train what of `model` requires a gradient.

    Parameters
    ----------
    model
        With a fresh adapter; it is in evaluation mode afterwards.
    examples
        In the order in which they are trained, epoch after epoch.
    recipe
        How.
    padding
        Token id behind shorter sequences of a batch; it counts for nothing.
    name
        Of the adapter, for the progress bar and errors.
    held_out
        Never trained on.
    checkpoints
        Where to go on from, and what to keep; None: nothing is kept.
    stop
        May end the training after any step.

    Returns
    -------
    list of Point
        One a step, also of those that an earlier run made.

    Raises
    ------
    UserError
        The loss is not finite; what was kept stays.
    """
    steps = math.ceil(len(examples) / recipe.batch)
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    curve = [] if checkpoints is None else checkpoints.restore(model, optimizer)
    first = len(curve)
    for step in tqdm(range(first, steps), desc=f"adapter {name}", unit="step", initial=first, total=steps):
        rate = recipe.learning_rate * rate_factor(step, steps, recipe.warmup, recipe.schedule)
        for group in optimizer.param_groups:
            group["lr"] = rate
        batch = examples[step * recipe.batch : (step + 1) * recipe.batch]
        optimizer.zero_grad(set_to_none=True)
        loss = batch_loss(model.train(), batch, padding)
        loss.backward()
        gradients = [weight.grad for weight in trained if weight.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        _require_finite(name, step + 1, loss.item(), norm.item())
        if recipe.clip is not None:
            torch.nn.utils.clip_grads_with_norm_(trained, recipe.clip, norm)
        optimizer.step()
        model.eval()
        ends = step + 1 == steps or (stop is not None and stop(step + 1, model))
        measured = bool(held_out) and (ends or (step + 1) % recipe.evaluate_every == 0)
        curve.append(
            Point(
                step=step + 1,
                loss=loss.item(),
                held_out_loss=mean_loss(model, held_out, recipe.batch, padding) if measured else None,
                learning_rate=rate,
                gradient_norm=norm.item(),
            )
        )
        if checkpoints is not None and (ends or (step + 1) % recipe.save_every == 0):
            checkpoints.save(model, optimizer, curve)
        if ends:
            break
    model.eval()
    return curve


def batch_loss(model: PeftModel, batch: Sequence[Example], padding: int) -> Tensor:
    """Mean loss over the labelled tokens of a batch, float32, nats a token; a scalar."""
    loss, _ = _loss(model, batch, padding, "mean")
    return loss


@torch.no_grad()
def mean_loss(model: PeftModel, examples: Sequence[Example], batch: int, padding: int) -> float:
    """Mean loss over the labelled tokens of all examples, nats a token."""
    total, count = 0.0, 0
    for start in range(0, len(examples), batch):
        loss, labelled = _loss(model, examples[start : start + batch], padding, "sum")
        total, count = total + loss.item(), count + labelled
    return total / count


def _loss(
    model: PeftModel, batch: Sequence[Example], padding: int, reduction: Literal["mean", "sum"]
) -> tuple[Tensor, int]:
    device = next(model.parameters()).device
    ids = pad([example.ids for example in batch], padding).to(device)  # (B, T)
    targets = pad([example.labels for example in batch], IGNORED).to(device)[:, 1:]  # (B, T - 1)
    # Logits only where some example of the batch has a label: the vocabulary is the largest dimension.
    kept = (targets != IGNORED).any(0).nonzero().squeeze(1)
    logits = model(**forward_inputs(ids), logits_to_keep=kept).logits.float()  # (B, kept, V)
    targets = targets[:, kept].flatten()
    loss = F.cross_entropy(logits.flatten(0, 1), targets, ignore_index=IGNORED, reduction=reduction)
    return loss, int((targets != IGNORED).sum())


def _require_finite(name: str, step: int, loss: float, norm: float) -> None:
    if not (math.isfinite(loss) and math.isfinite(norm)):
        raise UserError(
            f"Adapter '{name}', step {step}: loss is {loss:.3g}, its gradient's norm {norm:.3g}; "
            "lower its learning_rate or set its clip in params.yaml. What was trained before is kept."
        )
