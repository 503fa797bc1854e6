"""What is shown of a feature, and what its name is held against, have nothing in common."""

import numpy as np
import pytest

from pipeline.naming.cases import first_features
from tests.support.naming import CONTEXTS, WORDS, plant


def test_half_is_shown_and_the_other_half_asked_of_with_as_many_silent_ones() -> None:
    planted = plant(30, on_a_token=True)
    for row, case in enumerate(planted.cases()):
        word = WORDS[row + 1]
        assert case.feature == (0, row)
        assert case.promoted == WORDS[:2]
        assert len(case.shown) == CONTEXTS / 2
        strongest = [max(each.activations) for each in case.shown]
        assert strongest == sorted(strongest, reverse=True)
        assert {each.tokens[each.peak] for each in case.shown} == {word}
        fires = [each for each in case.held_out if each.fires]
        silent = [each for each in case.held_out if not each.fires]
        assert len(fires) == len(silent) == CONTEXTS / 2
        assert {each.token for each in fires} == {word}
        assert all(each.token != word for each in silent)
        # Some of its own texts, and some of prompts, which hold other features' words.
        assert any(word in each.before + each.after for each in silent)
        assert not {f"{each.before}{each.token}" for each in case.held_out} & {
            "".join(each.tokens[: each.peak + 1]) for each in case.shown
        }


def test_contexts_that_begin_alike_are_one() -> None:
    """Templates repeat: a name would be held against what it was made of."""
    planted = plant(3, on_a_token=True)
    token, peak = planted.contexts["token"].values, planted.contexts["peak"].values
    activation = planted.contexts["activation"].values
    peak[0, 0], activation[0, 0] = 3, 0
    activation[0, 0, :, 3] = 2.0
    token[0, 0, :, :4] = [5, 6, 7, 1]  # and go on differently
    assert len({each.tobytes() for each in token[0, 0]}) == CONTEXTS
    case = planted.cases()[0]
    assert (len(case.shown), case.held_out) == (1, ())


def test_both_variants_give_contexts_and_a_text_of_both_gives_one() -> None:
    planted = plant(2, on_a_token=True)
    both = planted.contexts.reindex(variant=["base", "base"])
    both["token"].values[1, 0, :3] = both["token"].values[1, 0, :3][..., ::-1]
    both["peak"].values[1, 0, :3] = 11 - both["peak"].values[1, 0, :3]
    both["activation"].values[1, 0, :3] = both["activation"].values[1, 0, :3][..., ::-1]
    for name in ("token", "peak", "text"):
        both[name] = both[name].astype(np.int32)
    cases = type(planted)(**{**vars(planted), "contexts": both}).cases()
    assert len(cases[0].shown) + sum(each.fires for each in cases[0].held_out) in (CONTEXTS + 3, CONTEXTS + 2)
    assert len(cases[1].shown) + sum(each.fires for each in cases[1].held_out) == CONTEXTS


def test_a_feature_with_few_contexts_is_shown_and_not_asked_of() -> None:
    planted = plant(2, on_a_token=True, contexts=4)
    assert [len(case.held_out) for case in planted.cases(least=3)] == [0, 0]
    assert [len(case.held_out) for case in planted.cases(least=2)] == [4, 4]
    planted.contexts["text"].values[:, 0] = -1
    assert planted.cases()[0].shown == ()


def test_the_draw_is_of_seed_and_feature() -> None:
    planted = plant(4, on_a_token=False)
    assert planted.cases(seed=1) == planted.cases(seed=1)
    one, other = planted.cases(seed=1)[2], planted.cases(seed=2)[2]
    assert one.shown == other.shown
    assert one.held_out != other.held_out


def test_without_held_out_text_nothing_is_shown() -> None:
    planted = plant(2, on_a_token=True)
    bare = type(planted)(**{**vars(planted), "contexts": planted.contexts.isel(variant=[])})
    assert [(case.shown, case.held_out) for case in bare.cases()] == [((), ()), ((), ())]


def test_without_prompts_fewer_are_asked_of() -> None:
    planted = plant(2, on_a_token=True)
    bare = type(planted)(**{**vars(planted), "prompts": (), "activations": ()})
    assert [len(case.held_out) for case in bare.cases(least=2)] == [4, 4]


@pytest.mark.parametrize(
    ("n", "rows"), [(None, [0, 1, 2, 3]), (9, [0, 1, 2, 3]), (2, [1, 3]), (3, [0, 1, 3])]
)
def test_the_first_features_are_those_with_the_largest_effects(n: int | None, rows: list[int]) -> None:
    effects = np.array([[0.1, np.nan, np.nan, 0.3], [0.0, -0.5, np.nan, 0.1]])
    assert first_features(effects, n) == rows
