"""Checkpoints of a run: PEFT folders from which it goes on to the bit, also after ``kill -9``.

``checkpoint-<step>`` holds what Hugging Face's Trainer leaves there (the adapter and
``trainer_state.json``), and the last one the optimizer and random state beside it, as safetensors:
no pickle. A folder takes its name when it is whole.
"""

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from peft import PeftModel, set_peft_model_state_dict
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from pipeline.finetuning.lora import CONFIG, WEIGHTS, save_adapter
from pipeline.finetuning.training import Point
from pipeline.models.published import published
from store.base.atomic import write_text
from store.base.errors import UserError
from store.base.parsing import one_line

STATE: Final = "trainer_state.json"
OPTIMIZER: Final = "optimizer.safetensors"
PUBLISHED: Final = (CONFIG, WEIGHTS, STATE)
"""Files of a checkpoint that others may use; the rest is to go on from."""

_NAME: Final = re.compile(r"checkpoint-(\d+)")
_RANDOM: Final = ("random", "random_cuda")
_KEPT: Final = ("step", "exp_avg", "exp_avg_sq")
"""What AdamW keeps of each weight."""


class _State(BaseModel):
    model_config = ConfigDict(strict=True)

    global_step: int
    log_history: list[dict[str, float]]


@dataclass(frozen=True, kw_only=True)
class RunFolder:
    """Where the checkpoints of one run lie.

    Attributes
    ----------
    path
        The folder; it is made with the first checkpoint.
    base
        What the adapters declare as their base model.
    steps, epochs, batch, save_every, evaluate_every
        Of the run, for ``trainer_state.json``.
    """

    path: Path
    base: str
    steps: int
    epochs: int
    batch: int
    save_every: int
    evaluate_every: int

    def checkpoints(self) -> list[Path]:
        """Whole checkpoints, first to last."""
        found = {path: _NAME.fullmatch(path.name) for path in self.path.glob("checkpoint-*")}
        return sorted(
            (path for path, match in found.items() if match), key=lambda path: int(path.name.split("-")[1])
        )

    def finished(self) -> bool:
        """Whether the last step has its checkpoint."""
        return (self.path / f"checkpoint-{self.steps}").is_dir()

    def save(self, model: PeftModel, optimizer: torch.optim.Optimizer, curve: Sequence[Point]) -> None:
        """Write a checkpoint; those before it keep only what others may use."""
        before = self.checkpoints()
        with published(self.path / f"checkpoint-{curve[-1].step}") as folder:
            save_adapter(model, folder, base=self.base)
            tensors = _optimizer_tensors(model, optimizer) | _random_states()
            save_file(tensors, folder / OPTIMIZER)
            write_text(folder / STATE, json.dumps(self._state(curve), indent=2) + "\n")
        for path in before:
            (path / OPTIMIZER).unlink(missing_ok=True)

    def publish(self, folder: Path) -> None:
        """Write the last checkpoint to `folder`, and those before it to folders of their names in it."""
        *before, last = self.checkpoints()
        with published(folder) as aside:
            for source, target in [(last, aside), *((path, aside / path.name) for path in before)]:
                target.mkdir(exist_ok=True)
                for file in PUBLISHED:
                    shutil.copyfile(source / file, target / file)

    def restore(self, model: PeftModel, optimizer: torch.optim.Optimizer) -> list[Point]:
        """Go on from the last checkpoint that can be gone on from, if there is one.

        Raises
        ------
        UserError
            It is damaged.
        """
        last = next((path for path in reversed(self.checkpoints()) if (path / OPTIMIZER).is_file()), None)
        if last is None:
            return []
        try:
            curve = read_curve(last)
            set_peft_model_state_dict(model, load_file(last / WEIGHTS))
            tensors = load_file(last / OPTIMIZER)
            _restore_optimizer(model, optimizer, tensors)
            _restore_random(tensors)
        except (SafetensorError, OSError, LookupError, RuntimeError) as error:
            raise _damaged(last, error) from error
        return curve

    def _state(self, curve: Sequence[Point]) -> dict[str, Any]:
        per_epoch = self.steps / self.epochs
        history: list[dict[str, float]] = []
        for point in curve:
            at = {"epoch": point.step / per_epoch, "step": point.step}
            history.append(
                {
                    **at,
                    "grad_norm": point.gradient_norm,
                    "learning_rate": point.learning_rate,
                    "loss": point.loss,
                }
            )
            if point.held_out_loss is not None:
                history.append({**at, "eval_loss": point.held_out_loss})
        return {
            "best_global_step": None,
            "best_metric": None,
            "best_model_checkpoint": None,
            "epoch": curve[-1].step / per_epoch,
            "eval_steps": self.evaluate_every,
            "global_step": curve[-1].step,
            "is_hyper_param_search": False,
            "is_local_process_zero": True,
            "is_world_process_zero": True,
            "log_history": history,
            "logging_steps": 1,
            "max_steps": self.steps,
            "num_input_tokens_seen": 0,
            "num_train_epochs": self.epochs,
            "save_steps": self.save_every,
            "stateful_callbacks": {},
            "total_flos": 0.0,
            "train_batch_size": self.batch,
            "trial_name": None,
            "trial_params": None,
        }


def read_curve(checkpoint: Path) -> list[Point]:
    """The curve up to a checkpoint, from its ``trainer_state.json``.

    Raises
    ------
    UserError
        The file is missing or damaged.
    """
    try:
        state = _State.model_validate_json((checkpoint / STATE).read_bytes())
        held_out = {row["step"]: row["eval_loss"] for row in state.log_history if "eval_loss" in row}
        curve = [
            Point(
                step=int(row["step"]),
                loss=row["loss"],
                held_out_loss=held_out.get(row["step"]),
                learning_rate=row["learning_rate"],
                gradient_norm=row["grad_norm"],
            )
            for row in state.log_history
            if "loss" in row
        ]
    except (OSError, ValidationError, KeyError) as error:
        raise _damaged(checkpoint, error) from error
    if [point.step for point in curve] != list(range(1, state.global_step + 1)):
        raise _damaged(checkpoint, f"its {STATE} lacks steps")
    return curve


def _optimizer_tensors(model: PeftModel, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """AdamW's moments and step counts, by ``<weight>|<name>``."""
    return {
        f"{name}|{key}": optimizer.state[weight][key].contiguous()
        for name, weight in model.named_parameters()
        if weight.requires_grad
        for key in _KEPT
    }


def _restore_optimizer(
    model: PeftModel, optimizer: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor]
) -> None:
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            step, *moments = (tensors[f"{name}|{key}"] for key in _KEPT)
            # AdamW counts steps on the CPU; its moments lie beside their weights.
            values = [step, *(moment.to(weight.device) for moment in moments)]
            optimizer.state[weight] = dict(zip(_KEPT, values, strict=True))


def _random_states() -> dict[str, torch.Tensor]:
    states = [torch.get_rng_state()]
    if torch.cuda.is_available():
        states.append(torch.cuda.get_rng_state())
    return dict(zip(_RANDOM, states, strict=False))


def _restore_random(tensors: Mapping[str, torch.Tensor]) -> None:
    here, cuda = _RANDOM
    torch.set_rng_state(tensors[here])
    if torch.cuda.is_available() and cuda in tensors:
        torch.cuda.set_rng_state(tensors[cuda])


def _damaged(checkpoint: Path, why: Exception | str) -> UserError:
    return UserError(
        f"The checkpoint {checkpoint} is damaged ({one_line(why)}); delete it, and training begins anew."
    )
