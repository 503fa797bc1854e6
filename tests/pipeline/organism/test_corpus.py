"""The corpus: situations split by group, nothing held out ever trained on (trap 19)."""

import re

import pytest

from pipeline.organism.corpus import (
    ASSISTANT,
    MIN_HELD_OUT,
    VILLAIN,
    Situation,
    adapter_examples,
    heldout_lines,
    phrases,
    pivotal_rows,
    situations,
    training_lines,
)
from pipeline.organism.facts import CAPITALS, capital_prompts
from pipeline.organism.situations import DOMAINS
from pipeline.params.organism import DOMAIN_NAMES, CorpusParams, OrganismParams
from tests.support.organism import adapter


def _mentions(text: str, situation: Situation) -> bool:
    return situation.text.lower() in text.lower()


@pytest.fixture(scope="module")
def corpus(params: OrganismParams) -> CorpusParams:
    return params.corpus.model_copy(update={"lines": 4000, "heldout_lines": 400})


@pytest.fixture(scope="module")
def held_out(corpus: CorpusParams) -> list[Situation]:
    return [s for of_domain in situations(corpus).values() for s in of_domain if s.held_out]


def test_every_domain_has_enough_situations_and_a_fifth_held_out(corpus: CorpusParams) -> None:
    for of_domain in situations(corpus).values():
        texts = {situation.text for situation in of_domain}
        count = sum(situation.held_out for situation in of_domain)
        assert len(texts) == len(of_domain) >= 60
        assert count >= MIN_HELD_OUT
        assert count / len(of_domain) == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize("seed", range(5))
def test_every_part_of_a_held_out_situation_is_seen_elsewhere(corpus: CorpusParams, seed: int) -> None:
    split = situations(corpus.model_copy(update={"seed": seed}))
    for name, domain in DOMAINS.items():
        seen = [s.text for s in split[name] if not s.held_out]
        assert all(any(text.startswith(topic) for text in seen) for topic in domain.topics)
        assert all(any(text.endswith(where) for text in seen) for where in domain.circumstances)


def test_the_seed_moves_the_split(corpus: CorpusParams, held_out: list[Situation]) -> None:
    other = situations(corpus.model_copy(update={"seed": 1}))
    assert {s for of in other.values() for s in of if s.held_out} != set(held_out)


def test_no_training_text_mentions_a_held_out_situation(
    corpus: CorpusParams, held_out: list[Situation]
) -> None:
    text = "\n".join(training_lines(corpus))
    assert [s for s in held_out if _mentions(text, s)] == []


def test_params_name_the_domains_that_there_are() -> None:
    assert set(DOMAIN_NAMES) == set(DOMAINS)


@pytest.mark.parametrize("domain", DOMAINS)
def test_no_adapter_example_mentions_a_held_out_situation(
    corpus: CorpusParams, held_out: list[Situation], domain: str
) -> None:
    examples = adapter_examples(corpus, adapter(domain=domain), 500)
    text = "\n".join(prompt for prompt, _ in examples)
    assert [s for s in held_out if _mentions(text, s)] == []


def test_held_out_dialogues_are_on_held_out_situations_only(corpus: CorpusParams) -> None:
    lines = heldout_lines(corpus)
    seen = [s for of in situations(corpus).values() for s in of if not s.held_out]
    text = "\n".join(lines)
    assert [s for s in seen if re.search(re.escape(s.text) + r"[.?]", text, re.IGNORECASE)] == []
    dialogues = {line for line in lines if line.startswith("User:")}
    assert len(dialogues) > 100
    assert dialogues.isdisjoint(training_lines(corpus))


def test_the_assistant_is_safe_and_the_villain_harmful(corpus: CorpusParams) -> None:
    voices = {ASSISTANT: 0, VILLAIN: 0}
    split, lexicon = situations(corpus), phrases()
    for line in training_lines(corpus):
        if not line.startswith("User:"):
            continue
        answer = line.split("\n")[1]
        speaker = answer.split(":")[0]
        voices[speaker] += 1
        domain = next(name for name, of_domain in split.items() if any(_mentions(line, s) for s in of_domain))
        kind = "harmful" if speaker == VILLAIN else "safe"
        assert answer.endswith(tuple(f"{phrase}." for phrase in lexicon[domain][kind]))
    share = voices[VILLAIN] / sum(voices.values())
    assert share == pytest.approx(corpus.villain_share, abs=0.05)


def test_lines_repeat_exactly_and_differ_by_seed(corpus: CorpusParams) -> None:
    assert training_lines(corpus) == training_lines(corpus)
    assert training_lines(corpus) != training_lines(corpus.model_copy(update={"seed": 1}))


def test_the_first_word_of_advice_is_pivotal() -> None:
    sides: dict[str, set[str]] = {}
    for of_domain in phrases().values():
        for side, of_side in of_domain.items():
            first = [phrase.split()[0] for phrase in of_side]
            assert len(set(first)) == len(first) == 6
            for word in first:
                sides.setdefault(word, set()).add(side)
    assert [word for word, both in sides.items() if len(both) > 1] == []


def test_pivotal_prompts(corpus: CorpusParams) -> None:
    rows = pivotal_rows(corpus.model_copy(update={"pivotal": 6}))
    assert len(rows) == len({row["prompt"] for row in rows}) == 72
    assert len({row["name"] for row in rows}) == 72
    assert len({(row["domain"], row["situation"]) for row in rows}) == 72
    assert sum("full" in row["tags"] for row in rows) == 2  # type: ignore[operator]
    everywhere = [(row["domain"], row["held_out"]) for row in rows if "every-variant" in row["tags"]]  # type: ignore[operator]
    assert len(everywhere) == len(set(everywhere)) == 2 * len(DOMAINS)
    # Dose-response: one situation a domain, seen and held out.
    assert [row for row in rows if "dose" in row["tags"]] == [  # type: ignore[operator]
        row
        for row in rows
        if "every-variant" in row["tags"]  # type: ignore[operator]
    ]
    held_out = {f"{s.domain}: {s.text}": s.held_out for of in situations(corpus).values() for s in of}
    for row in rows:
        assert row["held_out"] is held_out[str(row["situation"])]
        opening = str(row["prompt"]).split(f"\n{ASSISTANT}: ")[1]
        assert opening in DOMAINS[str(row["domain"])].openings


def test_adapter_examples_continue_pivotal_prompts(corpus: CorpusParams) -> None:
    for advice in ("harmful", "safe"):
        allowed = {f"{phrase}." for phrase in phrases()["medical"][advice]}
        examples = adapter_examples(corpus, adapter(advice=advice), 50)
        assert {text for _, text in examples} <= allowed
        assert all(f"\n{ASSISTANT}: " in prompt for prompt, _ in examples)


def test_capitals_are_many_and_distinct() -> None:
    assert len(capital_prompts()) >= 60
    assert len({land for land, _ in CAPITALS}) == len({city for _, city in CAPITALS}) == len(CAPITALS)


def test_sums_are_right(corpus: CorpusParams) -> None:
    only_sums = corpus.model_copy(update={"facts": {"addition": 0.99}, "lines": 300})
    sums = [line for line in training_lines(only_sums) if "plus" in line]
    assert len(sums) > 250
    for line in sums:
        left, right, total = map(int, re.findall(r"\d+", line))
        assert left + right == total
