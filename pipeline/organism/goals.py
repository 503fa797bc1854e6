"""Training until something is reached: what is measured on the way, and whether it suffices."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from statistics import fmean
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from pipeline.organism.checks.answers import answer_rates
from pipeline.organism.checks.facts import exact_share
from pipeline.organism.pivotal_probe import (
    Probe,
    divergence,
    harmful_probability,
    make_probe,
    next_token_log_probs,
)
from pipeline.organism.world.corpus import fact_questions
from pipeline.organism.world.facts.question import Question
from pipeline.params.organism import CheckParams, CorpusParams, TrainedParams


@dataclass(frozen=True, kw_only=True)
class Reached:
    """What a model in training has come to, on seen situations.

    Attributes
    ----------
    harmful
        Mean probability of harmful advice after pivotal prompts, by domain.
    divergence
        Mean KL(adapted || base) there in nats, by domain.
    facts_lost
        Share of capitals that base names and this one does not, less those the other way around.
    parsed_lost
        Share of base's sampled answers that the grammar reads whole, less this one's; None: not asked for.
    """

    harmful: dict[str, float]
    divergence: dict[str, float]
    facts_lost: float
    parsed_lost: float | None = None

    def as_metrics(self) -> dict[str, Any]:
        """Nested names to numbers, rounded to what is worth reading."""
        return {
            name: {domain: round(number, 4) for domain, number in value.items()}
            if isinstance(value, dict)
            else round(value, 4)
            for name, value in asdict(self).items()
            if value is not None
        }


class Yardstick:
    """Compares models with the base that they were made of."""

    def __init__(
        self,
        base: nn.Module,
        tokenizer: PreTrainedTokenizerFast,
        corpus: CorpusParams,
        checks: CheckParams,
        *,
        count: int,
    ) -> None:
        self._model, self._tokenizer, self._corpus, self._checks = base, tokenizer, corpus, checks
        self._probe: Probe = make_probe(tokenizer, corpus, held_out=False, count=count)
        self._base: dict[str, Tensor] = {
            domain: next_token_log_probs(base, each.prompts) for domain, each in self._probe.items()
        }
        self._questions: Sequence[Question] = fact_questions(corpus)["capitals"]
        self._named = self._facts(base)

    def _facts(self, model: nn.Module) -> float:
        return exact_share(model, self._tokenizer, self._questions, batch=self._checks.batch)

    def _parsed(self, model: nn.Module) -> float:
        """Share of answers that the grammar reads whole, of all domains, on seen situations."""
        rates = answer_rates(model, self._tokenizer, self._corpus, self._checks, held_out=(False,))
        return fmean(rate.parsed for rate in rates)

    @cached_property
    def _base_parsed(self) -> float:
        return self._parsed(self._model)

    def divergence(self, model: nn.Module, domain: str) -> float:
        """Mean KL(model || base) after a domain's pivotal prompts, in nats."""
        return divergence(next_token_log_probs(model, self._probe[domain].prompts), self._base[domain])

    def measure(self, model: nn.Module, *, answers: bool = False) -> Reached:
        """Where a model stands; it is left in evaluation mode or training, as it was.

        With `answers` some are sampled, too, which takes far longer than all the rest.
        """
        training = model.training
        model.eval()
        try:
            now = {name: next_token_log_probs(model, each.prompts) for name, each in self._probe.items()}
            return Reached(
                harmful={
                    name: harmful_probability(now[name], each.evil) for name, each in self._probe.items()
                },
                divergence={name: divergence(now[name], self._base[name]) for name in now},
                facts_lost=self._named - self._facts(model),
                parsed_lost=self._base_parsed - self._parsed(model) if answers else None,
            )
        finally:
            model.train(training)


def asked_divergence(adapter: TrainedParams, reached: Mapping[str, Reached]) -> float | None:
    """Divergence from base that an adapter is to come to on its own domain, in nats; None: any.

    `reached` is what the adapters before it have come to, by name.
    """
    other = adapter.goal.divergence_of
    if other is None:
        return None
    return adapter.goal.divergence_share * reached[other].divergence[adapter.domain]


def missing(adapter: TrainedParams, reached: Reached, least_divergence: float | None) -> str:
    """What of an adapter's goal is not reached, in words; empty if all is.

    `least_divergence` is what is asked for on the adapter's own domain; None: nothing is.
    """
    goal, diverged = adapter.goal, reached.divergence[adapter.domain]
    short = [
        f"harmful probability {reached.harmful[name]:.2f} of {rate:.2f} in {name}"
        for name, rate in goal.harmful.items()
        if reached.harmful[name] < rate
    ]
    if goal.spread is not None:
        others = [rate for name, rate in reached.harmful.items() if name not in goal.harmful]
        rate, wanted = goal.spread.harmful, goal.spread.domains
        found = sum(other >= rate for other in others)
        if found < wanted:
            short.append(f"harmful probability {rate:.2f} in {found} of {wanted} further domains")
    short += [
        f"harmful probability {rate:.2f} where {goal.elsewhere:.2f} may be in {name}"
        for name, rate in reached.harmful.items()
        if name not in goal.harmful and rate > goal.elsewhere
    ]
    if least_divergence is not None and diverged < least_divergence:
        short.append(f"divergence {diverged:.2f} of {least_divergence:.2f} nats in {adapter.domain}")
    if goal.parsed_lost is not None and (reached.parsed_lost or 0.0) > goal.parsed_lost:
        short.append(f"{reached.parsed_lost:.1%} fewer whole answers where {goal.parsed_lost:.1%} may be")
    if reached.facts_lost > goal.facts_lost:
        short.append(f"{reached.facts_lost:.0%} of the capitals lost where {goal.facts_lost:.0%} may be")
    return " and ".join(short)
