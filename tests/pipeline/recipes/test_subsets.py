"""Parts of recipes: whatever is chosen, steps stay in their order, and all members are the recipe."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.interventions.kinds import Intervention, Vector
from pipeline.recipes.subsets import NO_FEATURE, alone, firsts, members, part, without
from tests.support.settings import settings_of_steps

ONE = Intervention(layer=1, feature=7, mode="add", value=1.0, where="last")
TWICE = Intervention(layer=1, feature=7, mode="multiply", value=2.0, where="last")
OTHER = Intervention(layer=0, feature=7, mode="ablate", value=0.0)
ALONG = Vector(layer=1, direction=(1.0,), value=2.0)


def test_a_features_steps_stay_together_and_every_direction_stands_alone() -> None:
    setting = (ONE, OTHER, ALONG, TWICE, ALONG)
    assert members(setting) == [
        ((1, 7), (ONE, TWICE)),
        ((0, 7), (OTHER,)),
        ((1, NO_FEATURE), (ALONG,)),
        ((1, NO_FEATURE), (ALONG,)),
    ]
    assert alone((ONE, OTHER, TWICE)) == [(ONE, TWICE), (OTHER,)]
    assert without((ONE, OTHER, TWICE)) == [(OTHER,), (ONE, TWICE)]
    assert firsts((ONE, OTHER, TWICE), [1, 0]) == [(OTHER,), (ONE, OTHER, TWICE)]


@given(setting=settings_of_steps(), data=st.data())
def test_parts_are_made_of_whole_members(setting, data) -> None:
    n = len(members(setting))
    assert part(setting, range(n)) == setting
    order = data.draw(st.permutations(range(n)))
    grown = firsts(setting, order)
    assert grown[-1] == setting
    assert [len(members(each)) for each in grown] == list(range(1, n + 1))
    assert [members(each)[0] for each in alone(setting)] == members(setting)
    for place, each in enumerate(without(setting)):
        assert members(each) == [one for at, one in enumerate(members(setting)) if at != place]
