"""Which prompts are traced, up to which token, on which answers; what decides in them."""

from collections import Counter
from collections.abc import Sequence

import pytest

from pipeline.behaviours.circuit_units import traced_prompts, until_decision
from pipeline.behaviours.decisive import decisive_positions
from pipeline.behaviours.feature_units import read_layers, read_positions
from pipeline.params.circuits import BehaviourFeatureParams
from store.base.errors import UserError
from store.documents.behaviour_prompts import BehaviourPrompt
from tests.support.behaviours import make_prompt

PARAMS = BehaviourFeatureParams(
    positions="decision", top=3, layers=None, bands={"early": [0, 1]}, values=False, batch=2
)
# Digits are a token each; answers begin with the same two.
SUM = make_prompt(
    0,
    behaviour="addition",
    prompt="Add 93 to 84",
    correct_answer=" 177",
    incorrect_answer=" 178",
    span=(4, 12),
    token_span=(2, 7),
    token_ids=(1, 40, 9, 3, 50, 8, 4),
    correct_ids=(60, 61, 7, 7),
    incorrect_ids=(60, 61, 7, 8),
    shared=3,
)


def pairs(group: str, n: int) -> list[BehaviourPrompt]:
    """Singular and plural of a noun, partners two by two."""
    found = []
    for number in range(n):
        hashes = [f"{ord(group):02d}{number:03d}{side:07d}" for side in (0, 1)]
        found += [
            make_prompt(number, hash=hashes[side], partner=hashes[1 - side], group=group) for side in (0, 1)
        ]
    return found


def test_what_is_traced_ends_before_the_decision() -> None:
    assert until_decision(SUM) == (1, 40, 9, 3, 50, 8, 4, 60, 61, 7)
    assert (SUM.correct_ids[SUM.shared], SUM.incorrect_ids[SUM.shared]) == (7, 8)
    assert until_decision(make_prompt(0)) == make_prompt(0).token_ids


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("last", [6]), ("last_five", [2, 3, 4, 5, 6]), ("decision", [9]), ("all", list(range(1, 10)))],
)
def test_positions_are_of_the_prompt_or_of_the_decision(rule: str, expected: Sequence[int]) -> None:
    assert read_positions(SUM, rule) == expected


def test_the_first_token_is_never_read() -> None:
    short = make_prompt(0, token_ids=(1, 5, 6))
    assert read_positions(short, "last_five") == [1, 2]
    assert read_positions(short, "all") == [1, 2]


def test_groups_take_turns_and_partners_stay_together() -> None:
    train = pairs("a", 4) + pairs("b", 1) + pairs("c", 3)
    test = [make_prompt(99, split="test", group="z")]
    chosen = traced_prompts(train + test, 8)
    assert chosen[-1] == test[0], "all of test"
    assert Counter(each.group for each in chosen) == {"a": 4, "b": 2, "c": 2, "z": 1}
    hashes = {each.hash for each in chosen[:-1]}
    assert {each.partner for each in chosen[:-1]} == hashes
    assert [each for each in train + test if each in chosen] == chosen, "in the order of the file"
    assert traced_prompts(train + test, None) == train + test
    assert traced_prompts(train, 1000) == train


@pytest.mark.parametrize(
    ("wrong", "decisive", "others"),
    [
        (" 178", {"3", "4"}, {"9", "8"}),  # the units: nothing is carried into them
        (" 187", {"9", "3", "8", "4"}, set()),  # the tens, and the units that may carry
        (" 277", {"9", "8"}, {"3", "4"}),  # the hundreds have no digits but what the tens carry
        (" 77", {"9", "8"}, {"3", "4"}),
    ],
)
def test_digits_of_the_column_decide_a_sum(wrong: str, decisive: set[str], others: set[str]) -> None:
    prompt = make_prompt(
        0,
        behaviour="addition",
        prompt="Add 93 to 84",
        correct_answer=" 177",
        incorrect_answer=wrong,
        span=(4, 12),
    )
    text = prompt.prompt
    places = [(0, 0), *((n, n + 1) for n in range(len(text)))]
    found, misleading = decisive_positions(prompt, places)
    assert {text[places[at][0]] for at in found} == decisive
    assert {text[places[at][0]] for at in misleading} == others


@pytest.mark.parametrize(("number", "misleading"), [("singular", []), ("plural", [5, 6])])
def test_a_noun_of_another_number_could_mislead(number: str, misleading: list[int]) -> None:
    prompt = make_prompt(
        0,
        prompt="The cat by the cats",
        span=(4, 7),
        metadata={"number": "singular", "attractor": "cats", "attractor_number": number},
    )
    places = [(0, 0), (0, 3), (3, 7), (7, 10), (10, 14), (14, 17), (17, 19)]
    assert decisive_positions(prompt, places) == ([2], misleading)
    alone = make_prompt(0, prompt="The cat", span=(4, 7))
    assert decisive_positions(alone, places[:3]) == ([2], [])
    recall = make_prompt(0, behaviour="recall", prompt="In Peru is", span=(3, 7))
    assert decisive_positions(recall, [(0, 0), (0, 2), (2, 5), (5, 7), (7, 10)]) == ([2, 3], [])


def test_layers_that_the_model_lacks_are_one_sentence() -> None:
    assert read_layers(PARAMS, 3) == [0, 1, 2]
    assert read_layers(PARAMS.model_copy(update={"layers": [2, 0]}), 3) == [0, 2]
    with pytest.raises(UserError, match=r"behaviour_features\.layers names layer 3, but .* 0 to 2\.$"):
        read_layers(PARAMS.model_copy(update={"layers": [1, 3]}), 3)
    with pytest.raises(UserError, match=r"behaviour_features\.bands\.early names layer 1"):
        read_layers(PARAMS, 1)
    with pytest.raises(ValueError, match=r"bands\.late: the first layer, 5, is behind the last, 4"):
        BehaviourFeatureParams(**{**PARAMS.model_dump(), "bands": {"late": [5, 4]}})
    with pytest.raises(ValueError, match="layers must name each layer once"):
        BehaviourFeatureParams(**{**PARAMS.model_dump(), "layers": [1, 1]})
    with pytest.raises(ValueError, match="'last', 'last_five', 'decision' or 'all'"):
        BehaviourFeatureParams(**{**PARAMS.model_dump(), "positions": "first"})
