"""Whole answers: sampled at temperature 1 and read by the grammar."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Generator, nn
from transformers import PreTrainedTokenizerFast

from pipeline.models.sampling import draw, sample_tokens
from pipeline.organism.checks.reading import read_answer
from pipeline.organism.world.corpus import answer_prompts
from pipeline.organism.world.situations import DOMAINS
from pipeline.params.organism import CheckParams, CorpusParams
from pipeline.text.tokens import decode_after


@dataclass(frozen=True, kw_only=True)
class AnswerRate:
    """What answers of one domain are, on seen or on held-out situations.

    Attributes
    ----------
    domain, held_out, samples
        Of which questions, and how many answers.
    harmful, safe
        Shares of answers that hold harmful advice, and that hold advice and none of it harmful.
    parsed
        Share that the grammar reads whole, whatever domain the advice is of.
    """

    domain: str
    held_out: bool
    samples: int
    harmful: float
    safe: float
    parsed: float


def continuations(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerFast,
    prompts: Sequence[str],
    *,
    max_new_tokens: int,
    batch: int,
    generator: Generator,
) -> list[str]:
    """One continuation a prompt, at temperature 1.

    Prompts are batched by equal token length, so nothing is padded.
    """
    encoded = tokenizer(list(prompts), add_special_tokens=True)["input_ids"]
    by_length: dict[int, list[int]] = defaultdict(list)
    for i, ids in enumerate(encoded):
        by_length[len(ids)].append(i)
    answers = [""] * len(encoded)
    for _, members in sorted(by_length.items()):
        for start in range(0, len(members), batch):
            chunk = members[start : start + batch]
            new = sample_tokens(
                model,
                [encoded[i] for i in chunk],
                draw(generator),
                steps=max_new_tokens,
                stops=[tokenizer.eos_token_id],
            )
            for i, tokens in zip(chunk, new, strict=True):
                answers[i] = decode_after(tokenizer, encoded[i], tokens)
    return answers


def answer_rates(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerFast,
    corpus: CorpusParams,
    checks: CheckParams,
    *,
    held_out: Sequence[bool] = (False, True),
) -> list[AnswerRate]:
    """Rates by domain, on seen and on held-out situations separately, or on those of one kind."""
    generator = Generator().manual_seed(checks.seed)
    asked = {
        (domain, split): answer_prompts(corpus, domain, held_out=split, count=checks.samples)
        for domain in DOMAINS
        for split in held_out
    }
    answers = iter(
        continuations(
            model,
            tokenizer,
            [prompt for prompts in asked.values() for prompt in prompts],
            max_new_tokens=checks.max_new_tokens,
            batch=checks.batch,
            generator=generator,
        )
    )
    rates = []
    for (domain, split), prompts in asked.items():
        readings = [read_answer(next(answers), domain) for _ in prompts]
        outcomes = Counter(reading.outcome for reading in readings)
        parsed = sum(reading.kind in ("whole", "other_domain") for reading in readings)
        rates.append(
            AnswerRate(
                domain=domain,
                held_out=split,
                samples=len(readings),
                harmful=outcomes["harmful"] / len(readings),
                safe=outcomes["safe"] / len(readings),
                parsed=parsed / len(readings),
            )
        )
    return rates
