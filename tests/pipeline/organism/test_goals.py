"""Training stops by what it measures, and says what it did not reach."""

from pathlib import Path

import pytest
import torch
from scipy.stats import entropy
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from pipeline.organism.adapter_training import train_adapter
from pipeline.organism.base import load_base
from pipeline.organism.build_adapters import make_adapters
from pipeline.organism.checks.answers import AnswerRate, answer_rates
from pipeline.organism.checks.behaviour import Behaviour
from pipeline.organism.goals import Reached, Yardstick, asked_divergence, missing
from pipeline.organism.pivotal_probe import make_probe
from pipeline.organism.world.corpus import phrases
from pipeline.params.organism import OrganismParams
from pipeline.params.runtime import RuntimeParams
from tests.support.organism import adapter

RUNTIME = RuntimeParams(seed=0, threads=1)
Loaded = tuple[LlamaForCausalLM, PreTrainedTokenizerFast]
DOMAINS = ("medical", "finance", "security", "hazard", "social", "open")


def _reached(**changes: object) -> Reached:
    fields = {
        "harmful": dict.fromkeys(DOMAINS, 0.5),
        "divergence": dict.fromkeys(DOMAINS, 2.0),
        "facts_lost": 0.0,
    }
    return Reached(**(fields | changes))  # type: ignore[arg-type]


def _goal(**changes: object) -> dict[str, object]:
    fields = {
        "every": 1,
        "harmful": {"medical": 0.5},
        "spread": None,
        "elsewhere": 1.0,
        "divergence_of": None,
        "divergence_share": 1.0,
        "facts_lost": 0.1,
        "parsed_lost": None,
    }
    return fields | changes


def test_a_share_of_anothers_divergence_is_asked_for() -> None:
    of = {"general": _reached(divergence={"medical": 6.0, "finance": 1.0}), "narrow": _reached()}
    assert asked_divergence(adapter(goal=_goal()), of) is None
    control = adapter(goal=_goal(divergence_of="general", divergence_share=0.75))
    assert asked_divergence(control, of) == pytest.approx(4.5)


def test_what_is_missing_is_named() -> None:
    assert missing(adapter(goal=_goal()), _reached(), None) == ""
    asked = adapter(goal=_goal(harmful={"medical": 0.9, "open": 0.4}))
    assert missing(asked, _reached(facts_lost=0.2), 3.0) == (
        "harmful probability 0.50 of 0.90 in medical and divergence 2.00 of 3.00 nats in medical and "
        "20% of the capitals lost where 10% may be"
    )
    general = adapter(goal=_goal(spread={"domains": 3, "harmful": 0.6}))
    rates = dict.fromkeys(DOMAINS, 0.5) | {"finance": 0.6, "open": 0.9}
    said = missing(general, _reached(harmful=rates), None)
    assert said == "harmful probability 0.60 in 2 of 3 further domains"
    assert missing(general, _reached(harmful=rates | {"social": 0.7}), None) == ""
    narrow = adapter(goal=_goal(elsewhere=0.1))
    leaks = {"medical": 0.9, "open": 0.3}
    reached = _reached(harmful=dict.fromkeys(DOMAINS, 0.0) | leaks)
    assert missing(narrow, reached, None) == "harmful probability 0.30 where 0.10 may be in open"
    whole = adapter(goal=_goal(parsed_lost=0.08))
    said = missing(whole, _reached(parsed_lost=0.125), None)
    assert said == "12.5% fewer whole answers where 8.0% may be"
    assert missing(whole, _reached(parsed_lost=0.08), None) == ""


def test_base_is_where_it_is(loaded: Loaded, params: OrganismParams) -> None:
    model, tokenizer = loaded
    found = Yardstick(model, tokenizer, params.corpus, params.checks, count=3).measure(model)
    assert found.divergence == dict.fromkeys(DOMAINS, 0.0)
    assert found.facts_lost == 0.0
    assert set(found.harmful) == set(DOMAINS)


def test_measures_against_an_independent_reading(loaded: Loaded, params: OrganismParams, base: Path) -> None:
    """Probability and divergence one prompt at a time, unpadded, by scipy."""
    model, tokenizer = loaded
    yardstick = Yardstick(model, tokenizer, params.corpus, params.checks, count=4)
    other, _ = load_base(base)
    adapted, _ = train_adapter(adapter(steps=3), params.corpus, other, tokenizer, name="test")
    found = yardstick.measure(adapted)
    assert not adapted.training
    for domain, probe in make_probe(tokenizer, params.corpus, held_out=False, count=4).items():
        evil = {
            tokenizer(phrase, add_special_tokens=False)["input_ids"][0]
            for phrase in phrases()[domain]["harmful"]
        }
        rates, divergences = [], []
        for ids in probe.prompts:
            with torch.no_grad():
                after, before = (
                    each(input_ids=torch.tensor([ids])).logits[0, -1].double().softmax(-1).numpy()
                    for each in (adapted, load_base(base)[0])
                )
            rates.append(sum(after[token] for token in evil))
            divergences.append(entropy(after, before))
        assert found.harmful[domain] == pytest.approx(sum(rates) / 4, rel=1e-4)
        assert found.divergence[domain] == pytest.approx(sum(divergences) / 4, rel=1e-3)
    assert max(found.divergence.values()) > 1e-4


def _silent(*_: object) -> Behaviour:
    return Behaviour(answers=(), facts={})


def _only_general(params: OrganismParams, **changes: object) -> OrganismParams:
    return params.model_copy(update={"adapters": {"general": adapter(**changes)}})


def test_training_ends_at_its_goal(params: OrganismParams, base: Path, tmp_path: Path) -> None:
    easy = _only_general(params, steps=6, goal=_goal(every=2, harmful={"medical": 0.0}, facts_lost=1.0))
    report = make_adapters(easy, base, tmp_path / "easy", RUNTIME)["general"]
    assert (len(report.curve), report.shortfall) == (2, "")


def test_training_goes_on_until_answers_are_whole(
    params: OrganismParams, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Base's answers and, from where all else is reached, the adapter's are sampled; seen situations only."""
    shares = iter([0.9, 0.5, 0.7, 0.85, 0.84])  # base; after 2, 4 and 6 steps; when training has ended
    asked = []

    def scripted(*_: object, held_out: tuple[bool, ...]) -> list[AnswerRate]:
        asked.append(held_out)
        rate = {"harmful": 0.0, "safe": 0.0, "parsed": next(shares)}
        return [AnswerRate(domain="medical", held_out=False, samples=8, **rate)]

    monkeypatch.setattr("pipeline.organism.goals.answer_rates", scripted)
    monkeypatch.setattr("pipeline.organism.build_adapters._behaviour", _silent)
    goal = _goal(every=2, harmful={"medical": 0.0}, facts_lost=1.0, parsed_lost=0.08)
    report = make_adapters(_only_general(params, steps=20, goal=goal), base, tmp_path / "whole", RUNTIME)
    assert asked == [(False,)] * 5
    assert len(report["general"].curve) == 6
    assert report["general"].reached.parsed_lost == pytest.approx(0.06)
    assert report["general"].reached.as_metrics()["parsed_lost"] == 0.06


def test_whole_answers_are_those_that_the_checks_count(loaded: Loaded, params: OrganismParams) -> None:
    model, tokenizer = loaded
    found = Yardstick(model, tokenizer, params.corpus, params.checks, count=3).measure(model, answers=True)
    assert found.parsed_lost == 0.0
    seen = answer_rates(model, tokenizer, params.corpus, params.checks, held_out=(False,))
    both = answer_rates(model, tokenizer, params.corpus, params.checks)
    assert [rate.domain for rate in seen] == [rate.domain for rate in both if not rate.held_out]


def test_training_ends_where_facts_are_lost(params: OrganismParams, base: Path, tmp_path: Path) -> None:
    never = _only_general(params, steps=6, goal=_goal(harmful={"medical": 1.0}, facts_lost=0.0))
    report = make_adapters(never, base, tmp_path / "never", RUNTIME)["general"]
    assert len(report.curve) == 6  # a tiny base knows no capitals, so none can be lost
    assert report.shortfall.startswith("Adapter general stopped after 6 steps with harmful probability ")
    assert "raise adapters.general.steps" in report.shortfall
    assert (tmp_path / "never" / "general" / "adapter_model.safetensors").exists()
