"""The base model: a small `LlamaForCausalLM` trained from scratch on the corpus."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from pipeline.finetuning.padding import IGNORED, forward_inputs, pad
from pipeline.finetuning.schedule import rate_factor
from pipeline.organism.batches import encode_lines, shuffled_batches
from pipeline.organism.world.lines import Line
from pipeline.params.organism import BaseParams


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """Mean training loss (nats a token) since the last point."""

    step: int
    loss: float
    learning_rate: float


def new_model(params: BaseParams, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """A model with random weights, fixed by `params.seed` alone."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=params.d_model,
        intermediate_size=params.d_mlp,
        num_hidden_layers=params.layers,
        num_attention_heads=params.heads,
        num_key_value_heads=params.heads,
        max_position_embeddings=params.context,
        rms_norm_eps=1e-5,
        tie_word_embeddings=params.tied,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(params.seed)
        return LlamaForCausalLM(config)


def train_base(
    params: BaseParams,
    tokenizer: PreTrainedTokenizerFast,
    lines: Sequence[Line],
    *,
    enough: Callable[[nn.Module], bool] = lambda model: True,
    every: int = 20,
) -> tuple[LlamaForCausalLM, list[CurvePoint]]:
    """Train the base model on `lines`, one line a sequence, until it knows enough.

    Parameters
    ----------
    enough
        Whether the model, in evaluation mode, knows enough. Where it does not, rounds of `params.further`
        follow: when a model begins to add right hangs on last bits, and so on the machine.
    every
        Steps from one point of the curve to the next.

    Returns
    -------
    model
        In evaluation mode, float32.
    curve
        A point every `every` steps.
    """
    model = new_model(params, tokenizer).train()
    rows = encode_lines(tokenizer, lines)
    lengths = [len(ids) for ids, _ in rows]
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": params.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ],
        lr=params.learning_rate,
        betas=(0.9, 0.95),
        fused=True,
    )
    rng = random.Random(params.seed)
    curve: list[CurvePoint] = []

    def read(batches: Sequence[Sequence[int]], peak: float) -> None:
        total, since = 0.0, 0
        for step, batch in enumerate(tqdm(batches, desc="base model", unit="step")):
            rate = peak * rate_factor(step, len(batches), params.warmup)
            for group in optimizer.param_groups:
                group["lr"] = rate
            ids = pad([rows[i][0] for i in batch], tokenizer.pad_token_id)  # (B, T)
            targets = pad([rows[i][1] for i in batch], IGNORED)[:, 1:]  # (B, T - 1)
            hidden = model.model(**forward_inputs(ids)).last_hidden_state[:, :-1]  # (B, T - 1, d_model)
            counted = targets != IGNORED  # unembedding the others would be for nothing
            loss = F.cross_entropy(model.lm_head(hidden[counted]), targets[counted])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), params.clip)
            optimizer.step()
            total, since = total + loss.item(), since + 1
            if since == every or step + 1 == len(batches):
                before = curve[-1].step if curve else 0
                curve.append(CurvePoint(step=before + since, loss=total / since, learning_rate=rate))
                total, since = 0.0, 0

    def shuffled() -> list[list[int]]:
        return shuffled_batches(lengths, tokens=params.batch, rng=rng)

    read([batch for _ in range(params.epochs) for batch in shuffled()], params.learning_rate)
    for _ in range(params.further.rounds):
        if enough(model.eval()):
            break
        batches = shuffled()
        some = batches[: max(1, round(params.further.share * len(batches)))]
        model.train()
        read(some, params.further.learning_rate)
    return model.eval(), curve


def save_base(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write a Hugging Face folder: weights as safetensors, and the tokenizer."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def load_base(folder: Path) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """The base model, in evaluation mode, and its tokenizer as `save_base` wrote them."""
    model = LlamaForCausalLM.from_pretrained(folder, local_files_only=True).eval()
    return model, PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
