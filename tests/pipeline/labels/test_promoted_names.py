"""Names of millions of features, made as they are asked for, against a plain dictionary of them all."""

from typing import Final

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.labels.feature_names import Feature, FeatureNames, promoted_name
from store.documents.token_texts import token_text

TEXTS: Final = (" gamble", " Gamble", " bet", "", " a,b", " →", " STRASSE", "ß", "  ")
BEYOND: Final = 12
"""A token id that has no text: shown by its number."""

features = st.tuples(st.integers(0, 2), st.integers(0, 4))
rows = st.dictionaries(
    features, st.lists(st.sampled_from([-1, *range(len(TEXTS)), BEYOND]), min_size=3, max_size=3), max_size=12
)
people = st.dictionaries(features, st.sampled_from(["bets", "→ odd, bet", "Gambling"]), max_size=4)


def names_of(promoted: dict[Feature, list[int]], said: dict[Feature, str]) -> FeatureNames:
    places = np.array(list(promoted), dtype=np.int32).reshape(-1, 2)
    tokens = np.array(list(promoted.values()), dtype=np.int32).reshape(-1, 3)
    return FeatureNames(places[:, 0].astype(np.int16), places[:, 1], tokens, TEXTS).with_given(said)


def plainly(promoted: dict[Feature, list[int]], said: dict[Feature, str]) -> dict[Feature, str]:
    made = {
        feature: promoted_name(token_text(TEXTS, token) for token in tokens if token >= 0)
        for feature, tokens in promoted.items()
    }
    return made | said


@given(rows, people)
def test_it_is_the_dictionary_of_all_names(
    promoted: dict[Feature, list[int]], said: dict[Feature, str]
) -> None:
    names, wanted = names_of(promoted, said), plainly(promoted, said)
    assert names == wanted
    assert len(names) == len(wanted)
    for feature in ((layer, index) for layer in range(4) for index in range(6)):
        assert (feature in names) == (feature in wanted)
        assert names.get((np.int16(feature[0]), np.int32(feature[1]))) == wanted.get(feature)


@given(
    rows,
    people,
    st.sampled_from(
        ["gam", "BET", "→", "gamble, b", ", ", "a,b", "→ #1", "#12, ", "strasse", "ss", "nowhere", "e, →"]
    ),
)
def test_a_part_of_a_name_finds_all_that_hold_it(
    promoted: dict[Feature, list[int]], said: dict[Feature, str], text: str
) -> None:
    wanted = {
        feature for feature, name in plainly(promoted, said).items() if text.casefold() in name.casefold()
    }
    assert names_of(promoted, said).holding(text) == wanted
