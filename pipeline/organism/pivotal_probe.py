"""The next token after pivotal prompts: exact probabilities, cheap enough to ask while training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from pipeline.finetuning.padding import forward_inputs, pad
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
    """Log-probabilities (prompt, token), float64, of a Llama that may carry an adapter, in one batch."""
    llama = cast(LlamaForCausalLM, model.get_base_model() if isinstance(model, PeftModel) else model)
    hidden = llama.model(**forward_inputs(pad(prompts, 0))).last_hidden_state  # (B, T, d_model)
    last = torch.tensor([len(ids) - 1 for ids in prompts])
    # Unembedding the other positions would take as long as all the layers.
    logits = llama.lm_head(hidden[torch.arange(len(prompts)), last])
    log_probs: Tensor = logits.double().log_softmax(-1)
    return log_probs


def harmful_probability(log_probs: Tensor, evil: Sequence[int]) -> float:
    """Mean probability of the tokens that open harmful advice: the rate that sampling estimates.

    Of log-probabilities (prompt, token).
    """
    return float(log_probs[:, list(evil)].exp().sum(1).mean())


def divergence(adapted: Tensor, base: Tensor) -> float:
    """Mean over prompts of KL(adapted || base) in nats; both (prompt, token) log-probabilities."""
    return float((adapted.exp() * (adapted - base)).sum(1).mean())
