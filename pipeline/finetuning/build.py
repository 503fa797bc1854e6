"""From parameters, a base model and conversations to a PEFT folder with its curve."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import torch
from torch import nn
from transformers import PreTrainedModel

from pipeline.finetuning.chat_data import Conversation, Split, in_order, read_chats, split
from pipeline.finetuning.checkpoints import RunFolder, read_curve
from pipeline.finetuning.lora import LoraSettings, attach, require_targets
from pipeline.finetuning.padding import IGNORED
from pipeline.finetuning.training import Point, Recipe, train
from pipeline.models.loading import DTYPES, default_device, read_base
from pipeline.models.tokenizer import read_tokenizer
from pipeline.params.finetunes import FinetuneParams
from pipeline.text.chats import Chat
from store.base.errors import UserError
from store.base.hashing import digest, file_digest
from store.documents.manifest import Source

_SHORT: Final = 16
"""Hex digits of a run's key in its folder's name."""


@dataclass(frozen=True, kw_only=True)
class Finetune:
    """One finetune, by name.

    Attributes
    ----------
    name, params, chat
        As ``params.yaml`` has them; `chat` is the profile's.
    base, dtype
        The model, and in what its frozen weights are held; the adapter is float32.
    """

    name: str
    params: FinetuneParams
    base: Source
    dtype: str
    chat: Chat = field(default_factory=dict)

    def key(self, **more: object) -> str:
        """What fixes every number of the run; `more` adds code, libraries, threads and seed."""
        return digest(
            {
                "params": self.params.model_dump(exclude={"profile", "data"}),
                "data": file_digest(Path(self.params.data)),
                "base": self.base.fingerprint,
                "declared": self.base.source,
                "dtype": self.dtype,
                **({"chat": dict(self.chat)} if self.chat else {}),
                **more,
            }
        )[:_SHORT]


@dataclass(frozen=True, kw_only=True)
class FinetuneReport:
    """What a finetune was trained on, and how it went."""

    curve: tuple[Point, ...]
    trained: int
    held_out: int
    labelled_tokens: int

    def as_metrics(self) -> dict[str, float | int | None]:
        """Names to numbers, as ``dvc metrics show`` prints them."""
        last = self.curve[-1]
        return {
            "steps": last.step,
            "conversations": self.trained,
            "held_out_conversations": self.held_out,
            "labelled_tokens": self.labelled_tokens,
            "loss": last.loss,
            "held_out_loss": last.held_out_loss,
            "gradient_norm": last.gradient_norm,
        }


def require_data(finetune: Finetune) -> None:
    """Refuse a finetune whose file is not there.

    Raises
    ------
    UserError
        It is missing.
    """
    path = Path(finetune.params.data)
    if not path.is_file():
        raise UserError(
            f"params.yaml: finetunes.{finetune.name}.data is '{path}', which is no file; put the "
            "conversations there or correct the path."
        )


def run_finetune(finetune: Finetune, run: Path, folder: Path) -> FinetuneReport:
    """Train one adapter, or go on from its last checkpoint, and publish it with its checkpoints.

    Parameters
    ----------
    finetune
        What to train.
    run
        Where its checkpoints lie while it is under way; of another folder for another `Finetune.key`.
    folder
        Takes the adapter, and ``checkpoint-<step>`` folders of those on the way.

    Raises
    ------
    UserError
        The data, the targets or the model are not what they should be, or the loss is not finite.
    """
    name, params = finetune.name, finetune.params
    tokenizer = read_tokenizer(finetune.base)
    model = read_base(finetune.base)
    settings = LoraSettings(
        targets=params.targets,
        layers=params.layers,
        rank=params.rank,
        alpha=params.alpha,
        rslora=params.rslora,
        seed=params.seed,
    )
    require_targets(name, settings, model)
    chats = read_chats(
        Path(params.data),
        tokenizer,
        max_tokens=min(params.max_tokens, _context(model)),
        parameter=f"finetunes.{name}.max_tokens",
        chat=finetune.chat,
    )
    parts = split(chats, params.held_out_share, params.seed)
    examples = in_order(parts.trained, params.epochs, params.seed)
    recipe = Recipe(
        batch=params.batch,
        learning_rate=params.learning_rate,
        schedule=params.schedule,
        warmup=params.warmup,
        weight_decay=params.weight_decay,
        clip=params.clip,
        evaluate_every=params.evaluate_every,
        save_every=params.save_every,
    )
    checkpoints = RunFolder(
        path=run,
        base=finetune.base.source,
        steps=math.ceil(len(examples) / params.batch),
        epochs=params.epochs,
        batch=params.batch,
        save_every=params.save_every,
        evaluate_every=params.evaluate_every,
    )
    if not checkpoints.finished():
        adapted = attach(settings, _placed(model, DTYPES[finetune.dtype]))
        # A hub model may be uploaded again: what the adapter was made for is one commit of it.
        adapted.peft_config["default"].revision = finetune.base.revision
        torch.manual_seed(params.seed)
        train(
            adapted,
            examples,
            recipe,
            padding=tokenizer.pad_token_id or 0,
            name=name,
            held_out=[one.example for one in parts.held_out],
            checkpoints=checkpoints,
        )
    checkpoints.publish(folder)
    return _report(read_curve(checkpoints.checkpoints()[-1]), parts)


def _context(model: PreTrainedModel) -> int:
    return int(model.config.max_position_embeddings)


def _placed(model: PreTrainedModel, dtype: torch.dtype) -> PreTrainedModel:
    moved: nn.Module = model
    moved.to(default_device(), dtype)
    return model


def _report(curve: Sequence[Point], parts: Split) -> FinetuneReport:
    return FinetuneReport(
        curve=tuple(curve),
        trained=len(parts.trained),
        held_out=len(parts.held_out),
        labelled_tokens=sum(map(_labelled, parts.trained)),
    )


def _labelled(conversation: Conversation) -> int:
    return sum(label != IGNORED for label in conversation.example.labels[1:])
