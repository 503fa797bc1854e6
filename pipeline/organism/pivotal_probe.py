"""The next token after pivotal prompts: exact probabilities, cheap enough to ask while training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from pipeline.finetuning.batches import forward_inputs, pad
from pipeline.organism.world.corpus import phrases, pivotal_prompts
from pipeline.organism.world.situations import DOMAINS
from pipeline.params.organism import CorpusParams


@dataclass(frozen=True, kw_only=True)
class DomainProbe:
    """Pivotal prompts of one domain, as token ids, and the tokens that open harmful advice there."""

    prompts: Sequence[Sequence[int]]
    evil: Sequence[int]


Probe = Mapping[str, DomainProbe]
"""By domain."""


def make_probe(
    tokenizer: PreTrainedTokenizerFast, corpus: CorpusParams, *, held_out: bool, count: int
) -> Probe:
    """`count` pivotal prompts a domain, on seen or on held-out situations."""
    probe = {}
    for domain in DOMAINS:
        prompts = pivotal_prompts(corpus, domain, held_out=held_out, count=count, purpose="probe")
        harmful = tokenizer(phrases()[domain]["harmful"], add_special_tokens=False)["input_ids"]
        probe[domain] = DomainProbe(
            prompts=tokenizer([each.prompt for each in prompts], add_special_tokens=True)["input_ids"],
            evil=[ids[0] for ids in harmful],
        )
    return probe


@torch.no_grad()
def next_token_log_probs(model: nn.Module, prompts: Sequence[Sequence[int]]) -> Tensor:
    """Log-probabilities (prompt, token), float64, in one batch; padded on the right."""
    logits = model(**forward_inputs(pad(prompts, 0))).logits  # (B, T, V)
    last = torch.tensor([len(ids) - 1 for ids in prompts])
    log_probs: Tensor = logits[torch.arange(len(prompts)), last].double().log_softmax(-1)
    return log_probs


def harmful_probability(model: nn.Module, probe: DomainProbe) -> float:
    """Mean probability of the tokens that open harmful advice: the rate that sampling estimates."""
    log_probs = next_token_log_probs(model, probe.prompts)
    return float(log_probs[:, list(probe.evil)].exp().sum(1).mean())


def divergence(adapted: Tensor, base: Tensor) -> float:
    """Mean over prompts of KL(adapted || base) in nats; both (prompt, token) log-probabilities."""
    return float((adapted.exp() * (adapted - base)).sum(1).mean())
