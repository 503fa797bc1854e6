"""How probable right and wrong answers are: a variant reads each prompt with its answer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedModel

from pipeline.finetuning.padding import forward_inputs, pad
from pipeline.items.units import Unit
from pipeline.models.pool import ModelPool
from store.collections.item import Item
from store.schema.forced_answers import FORCED_ANSWERS


@dataclass(frozen=True, kw_only=True)
class Forced:
    """Answers that a model was made to read.

    Attributes
    ----------
    log_probs
        Of each token of each answer (nats), a pair a prompt: right and wrong.
    decisions
        Logit of the right answer's token minus that of the wrong one's, where they first differ; one a
        prompt.
    """

    log_probs: list[tuple[np.ndarray, np.ndarray]]
    decisions: np.ndarray


def compute_forced(models: ModelPool, unit: Unit) -> Iterator[tuple[str, Item]]:
    """Both answers of all of a unit's prompts, by its one variant; its arguments are those of `force`."""
    (variant,) = unit.variants
    found = force(models.causal_lm(variant), **unit.arguments)
    flat = [answer for pair in found.log_probs for answer in pair]
    arrays = {
        "answer_start": np.cumsum([0, *map(len, flat)])[:-1].astype(np.int32),
        "log_prob": np.concatenate(flat).astype(np.float32),
        "decision": found.decisions.astype(np.float32),
    }
    name = unit.item(variant)
    yield (
        FORCED_ANSWERS.kind,
        Item(key=name.key, prompt_hash=name.prompt_hash, variant=variant, arrays=arrays, scalars={}),
    )


@torch.inference_mode()
def force(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    answers: Sequence[Sequence[Sequence[int]]],
    shared: Sequence[int],
    batch: int,
) -> Forced:
    """Let the model read each prompt with each of its two answers.

    Rows are read by length, so that little is padded; padding stands on the right, where no token looks.
    Probabilities are taken in float32, whatever the model computes in.

    Parameters
    ----------
    model
        A variant.
    prompts
        Token ids, BOS included.
    answers
        Of each prompt the right answer's token ids and the wrong one's.
    shared
        How many first tokens both have in common.
    batch
        Rows at once.
    """
    rows = [(prompt, side) for prompt in range(len(prompts)) for side in (0, 1)]
    texts = [[*prompts[prompt], *answers[prompt][side]] for prompt, side in rows]
    order = sorted(range(len(rows)), key=lambda row: len(texts[row]))
    log_probs: list[list[np.ndarray]] = [[np.empty(0)] * 2 for _ in prompts]
    decisions = np.empty(len(prompts))
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        ids = pad([texts[row] for row in chosen], 0).to(model.device)
        logits = model(**forward_inputs(ids)).logits  # (B, T, V)
        for place, row in enumerate(chosen):
            prompt, side = rows[row]
            answer = answers[prompt][side]
            first = len(prompts[prompt]) - 1  # what is read here says the answer's first token
            said = logits[place, first : first + len(answer)].float()  # (n, V)
            given = torch.tensor(answer, device=said.device)[:, None]
            log_probs[prompt][side] = said.log_softmax(-1).gather(-1, given)[:, 0].cpu().numpy()
            if side == 0:
                right, wrong = (answers[prompt][each][shared[prompt]] for each in (0, 1))
                decisions[prompt] = float(said[shared[prompt], right] - said[shared[prompt], wrong])
    return Forced(log_probs=[(right, wrong) for right, wrong in log_probs], decisions=decisions)
