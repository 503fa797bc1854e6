"""Facts: right answers, and a fifth of what they are about in no training line (trap 19)."""

import random
import re
from collections import Counter
from collections.abc import Sequence

import pytest

from pipeline.organism.world.facts import addition, agreement, capitals, sentiment
from pipeline.organism.world.facts.question import Question
from pipeline.organism.world.split import held_out_pairs

SHARE = 0.2
SEEDS = range(3)


def _share_held_out(questions: Sequence[Question]) -> float:
    return sum(question.held_out for question in questions) / len(questions)


@pytest.mark.parametrize("seed", SEEDS)
def test_verbs_agree_and_held_out_pairs_never_occur(seed: int) -> None:
    rng, kept = random.Random(seed), agreement.held_out(seed, SHARE)
    plural_of = {**agreement.NOUNS, **agreement.VERBS}
    seen: set[tuple[str, str]] = set()
    forms: Counter[str] = Counter()
    for _ in range(6000):
        words = agreement.line(rng, kept).text.removesuffix(".").split()
        adverb = words[0] != "The"
        noun = words[2 if adverb else 1]
        attracted = not adverb and words[2] in ("near", "behind", "beside") and words[3] == "the"
        verb = words[3 if adverb else 5 if attracted else 2]
        plural = noun not in agreement.NOUNS
        assert (verb in agreement.VERBS) is not plural
        singular = {plural_word: word for word, plural_word in plural_of.items()}
        seen.add((singular.get(noun, noun), singular.get(verb, verb)))
        forms["adverb" if adverb else "attractor" if attracted else "bare"] += 1
    assert seen.isdisjoint(kept)
    assert len(seen) == 300 - len(kept)
    assert min(forms.values()) > 1500
    assert len(kept) == 60


def test_agreement_questions() -> None:
    questions = agreement.questions(0, SHARE)
    assert len({(q.prompt, q.right) for q in questions}) >= 590
    assert _share_held_out(questions) == pytest.approx(SHARE)
    assert len(agreement.NOUNS) == 20
    assert len(agreement.VERBS) == 15
    assert len(set(agreement.PLACES)) == 10
    for question in questions:
        pair = {question.right.strip(), question.wrong.strip()}
        assert pair in [{one, many} for one, many in agreement.VERBS.items()]


@pytest.mark.parametrize("seed", SEEDS)
def test_held_out_countries_never_stand_in_their_template(seed: int) -> None:
    rng, kept = random.Random(seed), capitals.held_out(seed, SHARE)
    text = "\n".join(capitals.line(rng, kept).text for _ in range(6000))
    for land, template in kept:
        assert f"{template.format(land=land)} {capitals.CAPITALS[land]}." not in text
    for land in capitals.CAPITALS:
        assert any(f" {land} " in line for line in text.splitlines())


def test_capitals_are_many_distinct_and_asked_in_every_template() -> None:
    questions = capitals.questions(0, SHARE)
    assert len(capitals.CAPITALS) == len(set(capitals.CAPITALS.values())) == 64
    assert len({question.prompt for question in questions}) == 256
    assert _share_held_out(questions) == pytest.approx(SHARE, abs=0.01)
    assert all(question.right != question.wrong for question in questions)


@pytest.mark.parametrize("seed", SEEDS)
def test_verdicts_follow_from_reasons(seed: int) -> None:
    rng, kept = random.Random(seed), sentiment.held_out(seed, SHARE)
    assert len(kept) == 30
    for _ in range(3000):
        text = sentiment.line(rng, kept).text
        reason, verdict = text.removesuffix(".").split(". ")
        thing, word = verdict.split()[1], verdict.split()[-1]
        assert (reason, thing) not in kept
        assert (word in sentiment.GOOD) is (reason in sentiment.GOOD_REASONS)
        assert (word in sentiment.BAD) is (reason in sentiment.BAD_REASONS)


def test_sentiment_questions() -> None:
    questions = sentiment.questions(0, SHARE)
    assert len(sentiment.GOOD_REASONS) == len(sentiment.BAD_REASONS) == 15
    assert len({question.prompt.rsplit(" was ", 1)[0] for question in questions}) == 150
    assert _share_held_out(questions) == pytest.approx(SHARE)


@pytest.mark.parametrize("seed", SEEDS)
def test_sums_are_right_and_held_out_operands_never_occur(seed: int) -> None:
    rng, kept = random.Random(seed), addition.held_out(seed, SHARE)
    assert len(kept) == 819  # a fifth of 90 * 91 / 2
    for _ in range(500):
        line = addition.line(rng, kept, 6)
        numbers = [int(number) for number in re.findall(r"\d+", line.text)]
        assert len(line.answers) == 6
        for i in range(6):
            left, right, total = numbers[3 * i : 3 * i + 3]
            assert left + right == total
            assert {left, right} <= set(range(10, 100))
            assert (min(left, right), max(left, right)) not in kept
            start, end = line.answers[i]
            assert line.text[start:end].strip() == f"{total}."


def test_addition_questions() -> None:
    questions = addition.questions(0, SHARE, 200)
    assert len(questions) == 400
    assert _share_held_out(questions) == 0.5
    asked = [[int(number) for number in re.findall(r"\d+", question.prompt)] for question in questions]
    assert all(int(q.right) == a + b for q, (a, b) in zip(questions, asked, strict=True))
    assert {abs(int(q.wrong) - int(q.right)) for q in questions} == {1, 9, 10}
    kept = addition.held_out(0, SHARE)
    assert all(q.held_out is ((min(p), max(p)) in kept) for q, p in zip(questions, asked, strict=True))


def test_questions_repeat_exactly_and_differ_by_seed() -> None:
    for module in (agreement, capitals, sentiment):
        assert module.questions(0, SHARE) == module.questions(0, SHARE)
        assert module.held_out(0, SHARE) != module.held_out(1, SHARE)
    assert addition.questions(0, SHARE, 5) == addition.questions(0, SHARE, 5)
    assert addition.held_out(0, SHARE) != addition.held_out(1, SHARE)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_every_part_of_a_held_out_pair_is_kept_elsewhere(share: float) -> None:
    rows, columns = [f"r{i}" for i in range(9)], [f"c{i}" for i in range(8)]
    held_out = held_out_pairs(rows, columns, share=share, rng=random.Random(0))
    assert len(held_out) == round(share * 72)
    rest = {(row, column) for row in rows for column in columns} - held_out
    assert {row for row, _ in rest} == set(rows)
    assert {column for _, column in rest} == set(columns)
