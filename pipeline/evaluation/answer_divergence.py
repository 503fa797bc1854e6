"""How far two variants lie apart in each token of answers: both read every answer, in one pass each."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel

from pipeline.items.units import Unit
from pipeline.models.pool import ModelPool
from store.collections.item import Item
from store.schema.answer_divergence import ANSWER_DIVERGENCE


def compute_answer_divergence(models: ModelPool, unit: Unit) -> Iterator[tuple[str, Item]]:
    """Of the answers of a unit's output; arguments: those of `answer_reading`, and `batch`, answers at once.

    The unit's variants are the two that read.
    """
    ((_, variant),) = unit.outputs
    answers, batch = unit.arguments["answers"], unit.arguments["batch"]
    prompts = [unit.arguments["prompts"][place] for place in unit.arguments["asked"]]
    # Answers of like length together, so that little is padded.
    order = sorted(range(len(answers)), key=lambda row: len(prompts[row]) + len(answers[row]))
    found: dict[int, np.ndarray] = {}
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        sides = [
            next_token_logs(
                models.causal_lm(of), [prompts[row] for row in rows], [answers[row] for row in rows]
            )
            for of in unit.variants
        ]
        for row, first, second in zip(rows, *sides, strict=True):
            found[row] = jensen_shannon(first, second).cpu().numpy().astype(np.float32)
    name = unit.item(variant)
    arrays = {
        "divergence": np.concatenate([np.empty(0, np.float32), *(found[row] for row in range(len(answers)))])
    }
    yield (
        ANSWER_DIVERGENCE.kind,
        Item(key=name.key, prompt_hash=name.prompt_hash, variant=variant, arrays=arrays, scalars={}),
    )


@torch.inference_mode()
def next_token_logs(
    model: PreTrainedModel, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]]
) -> list[torch.Tensor]:
    """Natural logs of the next token's probabilities where each answer's tokens were next.

    Padding stands on the right, where no token looks.

    Returns
    -------
    list of Tensor
        (answer token, vocabulary) float32 of each answer.
    """
    texts = [torch.tensor([*prompt, *answer]) for prompt, answer in zip(prompts, answers, strict=True)]
    ids = pad_sequence(texts, batch_first=True).to(model.device)
    logits = model(input_ids=ids).logits  # (answer, position, vocabulary)
    return [
        logits[row, len(prompt) - 1 : len(prompt) - 1 + len(answer)].float().log_softmax(-1)
        for row, (prompt, answer) in enumerate(zip(prompts, answers, strict=True))
    ]


def jensen_shannon(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Jensen-Shannon divergence in bits of distributions over the last axis (Lin 1991), from natural logs.

    Never below 0, where rounding would put it.
    """
    middle = torch.logaddexp(first, second) - np.log(2)
    parts = [(of.exp() * torch.where(of.isneginf(), 0.0, of - middle)).sum(-1) for of in (first, second)]
    divergence: torch.Tensor = ((parts[0] + parts[1]) / (2 * np.log(2))).clamp_min(0.0)
    return divergence
