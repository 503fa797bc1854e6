"""Where prompts are decided, and which of them can take their partner's values, position by position."""

import pytest

from pipeline.analysis.partners import NO_PARTNER, OTHER_TOKENS, UNEQUAL, decisions, told_few, told_unpaired
from tests.support.behaviours import make_prompt

MINE = {"token_ids": (1, 5, 6, 9), "token_span": (2, 3)}


def pair(**changes: object) -> list:
    """Two prompts that are each other's partner; `changes` are to the second."""
    first, second = make_prompt(1, **MINE), make_prompt(2, **{**MINE, "token_ids": (1, 5, 7, 9), **changes})
    return [
        make_prompt(1, **MINE, partner=second.hash),
        make_prompt(2, **{**MINE, "token_ids": (1, 5, 7, 9), **changes, "partner": first.hash}),
    ]


def test_what_is_read_goes_on_to_where_the_answers_part() -> None:
    answers = {"correct_ids": (40, 41, 42), "incorrect_ids": (40, 41, 50, 51), "shared": 2}
    first = make_prompt(1, **MINE, **answers)
    other = make_prompt(2, **{**MINE, "token_ids": (1, 5, 7, 9)}, correct_ids=(60,), incorrect_ids=(61,))
    linked = make_prompt(1, **MINE, **answers, partner=other.hash)
    (one, alone) = decisions([linked, other])
    assert one.token_ids == (*first.token_ids, 40, 41)
    assert one.tokens == (42, 50)
    # The partner says the prompt; what both answers begin with is this prompt's own.
    assert one.source == (1, 5, 7, 9, 40, 41)
    assert (alone.source, alone.unpaired, alone.tokens) == ((), NO_PARTNER, (60, 61))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"token_ids": (1, 5, 7, 8, 9), "token_span": (2, 4)}, UNEQUAL),
        # As many tokens in all, of which another number decides.
        ({"token_ids": (1, 5, 7, 9), "token_span": (2, 4)}, UNEQUAL),
        ({"token_ids": (1, 4, 7, 9)}, OTHER_TOKENS),
        ({"token_ids": (1, 5, 7, 8)}, OTHER_TOKENS),
        ({}, ""),
    ],
)
def test_partners_must_be_of_equal_length_and_differ_in_what_decides_alone(changes, reason) -> None:
    found = decisions(pair(**changes))
    assert [one.unpaired for one in found] == [reason] * 2
    assert [bool(one.source) for one in found] == [not reason] * 2


def test_those_left_out_are_told_in_a_sentence() -> None:
    prompts = [*pair(token_ids=(1, 5, 7, 8, 9), token_span=(2, 4)), make_prompt(3), *pair()[:0]]
    said = told_unpaired(decisions(prompts))
    assert said == ["agreement: nothing is patched on 3 of 3 prompts (2 unequal length, 1 no partner)"]
    assert told_unpaired(decisions(pair())) == []


def test_too_few_groups_for_any_p_are_told() -> None:
    many = [make_prompt(number, group=f"noun {number // 2}") for number in range(12)]
    assert told_few(decisions(many), 0.05) == [], "six groups: 2 of 64 signs"
    (said,) = told_few(decisions(many[:10]), 0.05)
    assert said.startswith("agreement: 5 groups of test prompts give no p below 0.0625,")


def test_a_partner_of_another_behaviour_is_none() -> None:
    first, second = pair()
    other = make_prompt(2, **{**MINE, "token_ids": (1, 5, 7, 9)}, behaviour="recall")
    assert other.hash == second.hash
    assert [one.unpaired for one in decisions([first, other])] == [NO_PARTNER] * 2
