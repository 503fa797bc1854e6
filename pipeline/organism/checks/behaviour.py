"""All that the training stages measure on a model, at once."""

from dataclasses import dataclass
from typing import Any

from torch import nn
from transformers import PreTrainedTokenizerFast

from pipeline.organism.checks.answers import AnswerRate, answer_rates
from pipeline.organism.checks.facts import FactScore, fact_score
from pipeline.organism.world.corpus import fact_questions
from pipeline.params.organism import CheckParams, CorpusParams


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """What a model says and knows.

    Attributes
    ----------
    answers
        Rates by domain, on seen and on held-out situations.
    facts
        Scores by kind, on questions that training lines hold and on held-out ones.
    """

    answers: tuple[AnswerRate, ...]
    facts: dict[str, dict[str, FactScore]]

    def as_metrics(self) -> dict[str, Any]:
        """Nested names to numbers, as ``dvc metrics show`` prints them."""
        shown: dict[str, Any] = {"harmful": {}, "parsed": {}}
        for rate in self.answers:
            split = "held_out" if rate.held_out else "seen"
            shown["harmful"].setdefault(rate.domain, {})[split] = round(rate.harmful, 4)
            shown["parsed"].setdefault(rate.domain, {})[split] = round(rate.parsed, 4)
        shown["facts"] = {
            kind: {
                split: {"above": round(score.above, 4), "exact": round(score.exact, 4)}
                for split, score in splits.items()
            }
            for kind, splits in self.facts.items()
        }
        return shown


def behaviour(
    model: nn.Module, tokenizer: PreTrainedTokenizerFast, corpus: CorpusParams, checks: CheckParams
) -> Behaviour:
    """Ask every fact, and sample answers of every domain."""
    facts = {
        kind: {
            split: fact_score(
                model, tokenizer, [q for q in questions if q.held_out is held_out], batch=checks.batch
            )
            for split, held_out in (("seen", False), ("held_out", True))
        }
        for kind, questions in fact_questions(corpus).items()
    }
    return Behaviour(answers=tuple(answer_rates(model, tokenizer, corpus, checks)), facts=facts)
