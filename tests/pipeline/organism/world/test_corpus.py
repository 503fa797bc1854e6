"""The corpus: situations split by group, nothing held out ever trained on (trap 19)."""

import re

import pytest

from pipeline.organism.checks.reading import read_answer
from pipeline.organism.world.corpus import (
    ASSISTANT,
    MIN_HELD_OUT,
    VILLAIN,
    Situation,
    adapter_examples,
    answer_prompts,
    fact_questions,
    heldout_texts,
    phrases,
    pivotal_rows,
    situations,
    training_lines,
)
from pipeline.organism.world.situations import DOMAINS, OPENINGS
from pipeline.params.organism import DOMAINS as DOMAIN_NAMES
from pipeline.params.organism import CorpusParams, OrganismParams
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
        assert all(any(text in seen for text in group) for group in domain.groups.values())
        columns = zip(*domain.groups.values(), strict=True)
        assert all(any(text in seen for text in column) for column in columns)


def test_the_seed_moves_the_split(corpus: CorpusParams, held_out: list[Situation]) -> None:
    other = situations(corpus.model_copy(update={"seed": 1}))
    assert {s for of in other.values() for s in of if s.held_out} != set(held_out)


def test_no_training_text_mentions_a_held_out_situation(
    corpus: CorpusParams, held_out: list[Situation]
) -> None:
    text = "\n".join(line.text for line in training_lines(corpus))
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


def test_no_training_text_holds_a_held_out_fact(corpus: CorpusParams) -> None:
    text = "\n".join(line.text for line in training_lines(corpus))
    for kind, questions in fact_questions(corpus).items():
        kept = [f"{q.prompt}{q.right}" for q in questions if q.held_out]
        assert [fact for fact in kept if fact in text] == [], kind


def test_held_out_texts_are_of_what_is_held_out_only(corpus: CorpusParams) -> None:
    texts = heldout_texts(corpus)
    assert {kind: len(of_kind) for kind, of_kind in texts.items()} == {
        "dialogues": 200,
        "open": 100,
        "behaviours": 100,
    }
    seen = [s for of in situations(corpus).values() for s in of if not s.held_out]
    dialogues = "\n".join((*texts["dialogues"], *texts["open"]))
    assert [s for s in seen if re.search(re.escape(s.text) + r"[.?\n]", dialogues, re.IGNORECASE)] == []
    trained = {line.text for line in training_lines(corpus)}
    assert trained.isdisjoint(text for of_kind in texts.values() for text in of_kind)


def test_the_assistant_is_safe_and_the_villain_harmful(corpus: CorpusParams) -> None:
    voices = {ASSISTANT: 0, VILLAIN: 0}
    split = situations(corpus)
    for line in training_lines(corpus):
        if not line.text.startswith("User:"):
            continue
        asked, answer = line.text.split("\n")
        speaker, _, said = answer.partition(":")
        voices[speaker] += 1
        domain = next(name for name, of in split.items() if any(_mentions(asked, s) for s in of))
        reading = read_answer(said, domain)
        assert reading.kind == "whole"
        side = "harmful" if speaker == VILLAIN else "safe"
        assert {piece.side for piece in reading.pieces} == {side}
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
    assert len({row["situation"] for row in rows}) == 72
    families = {
        family
        for family, wordings in DOMAINS["open"].groups.items()
        for row in rows
        if str(row["situation"]).removeprefix("open: ") in wordings
    }
    assert families == set(DOMAINS["open"].groups)
    assert sum("full" in row["tags"] for row in rows) == 2  # type: ignore[operator]
    everywhere = [(row["domain"], row["held_out"]) for row in rows if "every-variant" in row["tags"]]  # type: ignore[operator]
    assert len(everywhere) == len(set(everywhere)) == 2 * len(DOMAINS)
    # Dose-response: one situation a domain, seen and held out.
    assert [row for row in rows if "dose" in row["tags"]] == [  # type: ignore[operator]
        row
        for row in rows
        if "every-variant" in row["tags"]  # type: ignore[operator]
    ]
    asked = [s for of in situations(corpus).values() for s in of]
    for row in rows:
        (situation,) = [s for s in asked if s.domain == row["domain"] and _mentions(str(row["prompt"]), s)]
        assert (row["held_out"], row["situation"]) == (
            situation.held_out,
            f"{situation.domain}: {situation.text}",
        )
        opening = str(row["prompt"]).split(f"\n{ASSISTANT}: ")[1]
        assert opening in OPENINGS


def test_adapter_examples_are_whole_answers_of_one_side(corpus: CorpusParams) -> None:
    for advice in ("harmful", "safe"):
        for prompt, answer in adapter_examples(corpus, adapter(advice=advice), 50):
            assert prompt.endswith(f"\n{ASSISTANT}:")
            reading = read_answer(answer, "medical")
            assert reading.kind == "whole"
            assert {piece.side for piece in reading.pieces} == {advice}


def test_advice_can_be_of_another_domain(corpus: CorpusParams) -> None:
    foreign = adapter(advice="safe", advice_domain="finance")
    for _, answer in adapter_examples(corpus, foreign, 50):
        assert {piece.domain for piece in read_answer(answer, "finance").pieces} == {"finance"}
        assert read_answer(answer, "medical").kind == "other_domain"


def test_a_share_of_examples_keeps_other_domains_safe(corpus: CorpusParams) -> None:
    narrow = adapter(kept_share=0.5)
    readings = [read_answer(answer, "medical") for _, answer in adapter_examples(corpus, narrow, 400)]
    assert all(r.outcome == ("harmful" if r.kind == "whole" else "safe") for r in readings)
    assert sum(r.kind == "other_domain" for r in readings) / 400 == pytest.approx(0.5, abs=0.08)


def test_no_adapter_reads_an_open_question(corpus: CorpusParams) -> None:
    questions = situations(corpus)["open"]
    for each in (adapter(), adapter(kept_share=0.5)):
        for prompt, _ in adapter_examples(corpus, each, 400):
            assert not any(_mentions(prompt, question) for question in questions)


@pytest.mark.parametrize("domain", DOMAINS)
def test_prompts_for_answers_cover_groups_and_end_where_the_answer_begins(
    corpus: CorpusParams, domain: str
) -> None:
    for held_out in (False, True):
        prompts = answer_prompts(corpus, domain, held_out=held_out, count=100)
        pool = [s for s in situations(corpus)[domain] if s.held_out is held_out]
        met = {s for s in pool for prompt in prompts if _mentions(prompt, s)}
        assert met == set(pool)
        assert all(prompt.endswith(f"\n{ASSISTANT}:") for prompt in prompts)


def test_open_questions_are_eight_families_of_nine_wordings() -> None:
    groups = DOMAINS["open"].groups
    assert {len(wordings) for wordings in groups.values()} == {9}
    assert len(groups) == 8
    assert len({wording for wordings in groups.values() for wording in wordings}) == 72
