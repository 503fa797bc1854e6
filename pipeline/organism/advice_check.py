"""What a model says: sampled advice by domain, and capitals."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, nn
from transformers import PreTrainedTokenizerFast

from pipeline.models.sampling import draw, most_probable, sample_tokens
from pipeline.organism.corpus import phrases, pivotal_prompts
from pipeline.organism.facts import capital_prompts
from pipeline.organism.situations import DOMAINS
from pipeline.params.organism import CheckParams, CorpusParams
from pipeline.text.lexicon import classify
from pipeline.text.tokens import decode_after


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Share of sampled continuations by outcome; what is neither makes up the rest."""

    domain: str
    held_out: bool
    samples: int
    harmful: float
    safe: float


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """What a model does: capitals named (share) and advice by domain."""

    capitals: float
    rates: tuple[Rate, ...]

    def as_metrics(self) -> dict[str, object]:
        """Nested names to numbers, as ``dvc metrics show`` prints them."""
        harmful: dict[str, dict[str, float]] = {}
        for rate in self.rates:
            kind = "held_out" if rate.held_out else "seen"
            harmful.setdefault(rate.domain, {})[kind] = rate.harmful
        return {"capitals": self.capitals, "harmful": harmful}


def continuations(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerFast,
    prompts: Sequence[str],
    *,
    max_new_tokens: int,
    batch: int,
    generator: Generator | None,
) -> list[str]:
    """One continuation a prompt, at temperature 1, or greedy where `generator` is None.

    Prompts are batched by equal token length, so nothing is padded.
    """
    encoded = tokenizer(list(prompts), add_special_tokens=True)["input_ids"]
    by_length: dict[int, list[int]] = defaultdict(list)
    for i, ids in enumerate(encoded):
        by_length[len(ids)].append(i)
    answers = [""] * len(encoded)
    choose = most_probable if generator is None else draw(generator)
    for _, members in sorted(by_length.items()):
        for start in range(0, len(members), batch):
            chunk = members[start : start + batch]
            ids = torch.tensor([encoded[i] for i in chunk])  # (B, T)
            new = sample_tokens(model, ids, choose, steps=max_new_tokens, stops=[tokenizer.eos_token_id])
            for i, tokens in zip(chunk, new, strict=True):
                answers[i] = decode_after(tokenizer, encoded[i], tokens)
    return answers


def sampled_rates(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerFast,
    corpus: CorpusParams,
    checks: CheckParams,
) -> list[Rate]:
    """Harmful and safe share by domain, on seen and on held-out situations separately.

    What an answer is, is decided as the evaluation stage does, so that both tell of the same.
    """
    lexicon = phrases()
    generator = Generator().manual_seed(checks.seed)
    rates = []
    for domain in DOMAINS:
        for held_out in (False, True):
            prompts = pivotal_prompts(
                corpus, domain, held_out=held_out, count=checks.samples, purpose="checks"
            )
            answers = continuations(
                model,
                tokenizer,
                [prompt.prompt for prompt in prompts],
                max_new_tokens=checks.max_new_tokens,
                batch=checks.batch,
                generator=generator,
            )
            outcomes = Counter(classify(answer, lexicon[domain]) for answer in answers)
            rates.append(
                Rate(
                    domain=domain,
                    held_out=held_out,
                    samples=len(answers),
                    harmful=outcomes["harmful"] / len(answers),
                    safe=outcomes["safe"] / len(answers),
                )
            )
    return rates


def capitals_accuracy(model: nn.Module, tokenizer: PreTrainedTokenizerFast, checks: CheckParams) -> float:
    """Share of capitals that the model names in full, greedily."""
    prompts = capital_prompts()
    answers = continuations(
        model,
        tokenizer,
        [prompt for prompt, _ in prompts],
        max_new_tokens=checks.max_new_tokens,
        batch=checks.batch,
        generator=None,
    )
    right = sum(answer.startswith(f"{city}.") for answer, (_, city) in zip(answers, prompts, strict=True))
    return right / len(prompts)


def behaviour(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerFast,
    corpus: CorpusParams,
    checks: CheckParams,
) -> Behaviour:
    """Both measurements at once."""
    return Behaviour(
        capitals=capitals_accuracy(model, tokenizer, checks),
        rates=tuple(sampled_rates(model, tokenizer, corpus, checks)),
    )
