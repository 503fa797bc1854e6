"""Files of words: those that are shipped are read, and what is wrong in one is told in a sentence."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.behaviours.material_files import read_material
from pipeline.behaviours.registry import BEHAVIOURS, require_known
from store.base.errors import UserError
from tests.support.behaviours import WORDS, write_words
from tests.support.places import ROOT


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_every_behaviour_has_words_for_models_of_the_hub(name: str) -> None:
    read_material(ROOT / "inputs" / "behaviours" / f"{name}.yaml", BEHAVIOURS[name])


WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "a noun without plural": (
        "agreement",
        {"nouns": {"cat": "cats", "sheep": None}},
        ":7: agreement: nouns.sheep: input should be a valid string, but it is None.",
    ),
    "a noun that is its own plural": (
        "agreement",
        {"nouns": {"cat": "cats", "sheep": "sheep"}},
        ":5: agreement: nouns: 'sheep' is its own plural; delete it, for no answer tells them apart.",
    ),
    "a verb of one form": ("agreement", {"verbs": {"is": "are", "put": "put"}}, "'put' is its own plural"),
    "a template without what decides": (
        "agreement",
        {"templates": ["The {adverb}"]},
        ":1: agreement: templates: the template 'The {adverb}' must hold {noun} once.",
    ),
    "an unknown slot": (
        "recall",
        {"templates": ["In {land} {subject}"]},
        "holds {land}; it may hold {subject}",
    ),
    "a brace without a name": ("recall", {"templates": ["{} {subject}"]}, "braces without a name"),
    "a space at its end": ("recall", {"templates": ["In {subject} "]}, "ends with a space"),
    "a slot twice": ("sentiment", {"templates": ["{thing} {thing} {reason}"]}, "holds a name twice"),
    "too few facts": ("recall", {"facts": {"Peru": "Lima", "Cuba": "Havana"}}, "needs 3 wrong answers"),
    "a verdict of both sides": (
        "sentiment",
        {"bad": ["good", "bad"]},
        "'good' is a good verdict and a bad one",
    ),
    "a reason against itself": ("sentiment", {"reasons": [["a", "a"], ["b", "c"]]}, "is its own opposite"),
    "a reason alone": (
        "sentiment",
        {"reasons": [["a"], ["b", "c"]]},
        "reasons.0: list should have at least 2",
    ),
    "a range upside down": ("addition", {"ranges": [[50, 10]]}, "the range 50 to 10 holds no two numbers"),
    "no number": (
        "addition",
        {"errors": ["ten"]},
        "errors.0: input should be a valid integer, but it is 'ten'.",
    ),
    "a missing key": (
        "addition",
        {"errors": None},
        "'errors' is missing; the keys are templates, ranges, errors.",
    ),
    "an unknown key": ("addition", {"of": [1]}, "unknown key 'of'; the keys are templates, ranges, errors."),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_is_one_sentence(tmp_path: Path, case: str) -> None:
    name, changes, said = WRONG[case]
    path = write_words(tmp_path, name, **changes)
    with pytest.raises(UserError) as caught:
        read_material(path, BEHAVIOURS[name])
    message = str(caught.value)
    assert message.startswith(str(path))
    assert said in message
    assert "\n" not in message


@pytest.mark.parametrize("text", ["", "- a\n", "a: [\n", "a: 1\na: 2\n"])
def test_what_is_no_file_of_words_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "words.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"words\.yaml"):
        read_material(path, BEHAVIOURS["recall"])
    with pytest.raises(UserError, match="no such file of recall; create it or change `behaviours`"):
        read_material(tmp_path / "none.yaml", BEHAVIOURS["recall"])


def test_an_unknown_behaviour_is_told_with_those_there_are() -> None:
    with pytest.raises(UserError, match=r"profiles\.x\.behaviours names the behaviour 'grammar', but the "):
        require_known(["agreement", "grammar"], "profiles.x.behaviours")
    require_known(WORDS, "profiles.x.behaviours")
