"""Names of features: people's first, and of these transcoders only."""

from pipeline.labels.events import FeatureEvent
from pipeline.labels.feature_names import given_names, naming, promoted_name
from tests.support.label_events import feature_name, token_event


def test_a_name_is_of_a_feature_of_these_transcoders() -> None:
    said = [token_event(), feature_name("gambling")]
    assert given_names(said, "these") == {(1, 7): "gambling"}
    assert given_names(said, "others") == {}


def test_a_new_name_stands_for_the_one_before_and_an_empty_one_takes_it_back() -> None:
    first = feature_name("gambling")
    second = naming([first], "Ada", (1, 7), "these", " bets ")
    assert second.replaces == (first.id,)
    assert given_names([first, second], "these") == {(1, 7): "bets"}
    third = naming([first, second], "Ada", (1, 7), "these", "  ")
    assert third.replaces == (second.id,)
    assert given_names([first, second, third], "these") == {}


def test_names_of_several_people_stand_beside_each_other() -> None:
    said: list[FeatureEvent] = [feature_name("gambling"), feature_name("bets", author="Bob")]
    assert given_names(said, "these") == {(1, 7): "bets / gambling"}
    same = [feature_name("bets"), feature_name("bets", author="Bob")]
    assert given_names(same, "these") == {(1, 7): "bets"}
    assert naming(said, "Ada", (1, 7), "these", "odds").replaces == (said[0].id,)


def test_what_it_promotes_is_a_name_of_its_own_words() -> None:
    assert promoted_name([" gamble", " Gamble", "", "\n", " bet", " risk"]) == "→ gamble, bet"
    assert promoted_name([" ", ""]) == ""
