"""Facts: is the right answer more probable than the wrong one, and is it what the model says?"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedTokenizerFast

from pipeline.finetuning.padding import IGNORED, forward_inputs, pad
from pipeline.organism.world.facts.question import Question


@dataclass(frozen=True, kw_only=True)
class FactScore:
    """How a model does on questions of one kind.

    Attributes
    ----------
    questions
        How many were asked.
    above
        Share in which the right answer is more probable a token than the wrong one.
    exact
        Share in which greedy decoding gives the right answer in full, its end included.
    """

    questions: int
    above: float
    exact: float


@dataclass(frozen=True, kw_only=True)
class Forced:
    """Answers that a model was made to read.

    Attributes
    ----------
    log_prob
        Mean log-probability a token (nats), one an answer.
    greedy
        Whether each token of the answer is the most probable one; then greedy decoding gives it.
    """

    log_prob: torch.Tensor
    greedy: torch.Tensor


def fact_score(
    model: nn.Module, tokenizer: PreTrainedTokenizerFast, questions: Sequence[Question], *, batch: int
) -> FactScore:
    """Ask every question; answers are read with what ends them, so that none is another's beginning."""
    prompts = [each.prompt for each in questions]
    right = force(model, tokenizer, prompts, [f"{each.right}{each.end}" for each in questions], batch=batch)
    wrong = force(model, tokenizer, prompts, [f"{each.wrong}{each.end}" for each in questions], batch=batch)
    return FactScore(
        questions=len(questions),
        above=float((right.log_prob > wrong.log_prob).double().mean()),
        exact=float(right.greedy.double().mean()),
    )


def exact_share(
    model: nn.Module, tokenizer: PreTrainedTokenizerFast, questions: Sequence[Question], *, batch: int
) -> float:
    """`FactScore.exact` alone, in half the time."""
    right = [f"{each.right}{each.end}" for each in questions]
    forced = force(model, tokenizer, [each.prompt for each in questions], right, batch=batch)
    return float(forced.greedy.double().mean())


@torch.no_grad()
def force(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerFast,
    prompts: Sequence[str],
    answers: Sequence[str],
    *,
    batch: int,
) -> Forced:
    """Let the model read each prompt with its answer, as one text."""
    asked = tokenizer(list(prompts), add_special_tokens=True)["input_ids"]
    whole = tokenizer([p + a for p, a in zip(prompts, answers, strict=True)], add_special_tokens=True)
    log_prob, greedy = [], []
    for start in range(0, len(asked), batch):
        rows = whole["input_ids"][start : start + batch]
        ids = pad(rows, tokenizer.pad_token_id)
        targets = ids[:, 1:].clone()
        for row, prompt, text in zip(targets, asked[start : start + batch], rows, strict=True):
            row[: len(prompt) - 1] = IGNORED
            row[len(text) - 1 :] = IGNORED
        logits = model(**forward_inputs(ids)).logits[:, :-1].float()  # (B, T - 1, V)
        counted = targets != IGNORED
        found = logits.log_softmax(-1).gather(-1, targets.clamp_min(0)[..., None])[..., 0]
        log_prob.append((found * counted).sum(1) / counted.sum(1))
        greedy.append(((logits.argmax(-1) == targets) | ~counted).all(1))
    return Forced(log_prob=torch.cat(log_prob), greedy=torch.cat(greedy))
