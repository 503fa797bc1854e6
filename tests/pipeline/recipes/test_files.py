"""Recipes as files: what is written is read back, and whatever is no recipe is refused in a sentence."""

from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.interventions.kinds import Intervention, Vector
from pipeline.recipes.document import (
    MAX_NAME,
    MAX_WATCHED,
    Recipe,
    Still,
    is_of,
    make_recipe,
    require_positions,
)
from pipeline.recipes.files import RecipeFile, read_recipe, read_recipes, to_yaml, write_recipe
from store.base.errors import UserError
from store.schema.vocabulary import FROZEN
from tests.support.items import MANIFEST
from tests.support.settings import settings_of_steps

HERE = MANIFEST.transcoders.fingerprint
SIZE = MANIFEST.model.vocab_size
ADD = Intervention(layer=0, feature=3, mode="add", value=2.5, where="last")
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=MAX_NAME).filter(
    lambda name: name.isprintable() and name == name.strip()
)


def recipe(**changes: Any) -> Recipe:
    said = {"name": "more", "variant": "base", "setting": (ADD,), "transcoders": HERE, "author": "Ada"}
    return make_recipe(**{**said, **changes})


@settings(max_examples=40)  # each is written to the disk
@given(
    name=NAMES,
    variant=st.sampled_from(["base", "general@1.0", "ä:10@-0.5"]),
    note=st.text(st.characters(codec="utf-8"), max_size=60),
    setting=settings_of_steps(),
    frozen=st.sampled_from(FROZEN),
    watch=st.lists(st.integers(0, 5), max_size=MAX_WATCHED),
    continue_from=st.none() | st.integers(0, 5),
)
def test_what_is_written_is_read_back(tmp_path_factory, name, variant, setting, **beside: Any) -> None:
    kept = recipe(name=name, variant=variant, setting=setting, **beside)
    folder = tmp_path_factory.mktemp("recipes")
    path = write_recipe(folder, kept)
    back = read_recipe(path).recipe
    assert back == kept
    assert (back.setting, back.digest) == (setting, kept.digest)
    assert path.name.isascii()
    assert write_recipe(folder, kept) == path, "the same again"
    assert [one.recipe for one in read_recipes(folder)] == [kept]


def test_the_digest_is_of_what_is_done_alone() -> None:
    same = recipe(name="other", note="What I saw.", author="Grace", variant="general")
    assert same.digest == recipe().digest
    assert same.variant == "general@1.0", "one name for one set of weights"
    assert recipe(variant="general@0").variant == "base"
    assert recipe(transcoders="e" * 64).digest != recipe().digest
    assert recipe(setting=(ADD, ADD)).digest != recipe().digest
    # What stays frozen is a part of what is done; what is looked at is none.
    assert recipe(frozen="nothing").digest == recipe(watch=[1, 2], continue_from=3).digest == recipe().digest
    stills = {recipe(frozen=frozen).digest for frozen in FROZEN}
    assert len(stills) == len(FROZEN)


def test_names_that_make_one_file_are_refused(tmp_path: Path) -> None:
    path = write_recipe(tmp_path, recipe(name="More harm!"))
    assert path.name == "more-harm.yaml"
    before = path.read_bytes()
    with pytest.raises(UserError, match=r"more-harm\.yaml is there already; give the recipe another name"):
        write_recipe(tmp_path, recipe(name="more harm", note="another"))
    assert path.read_bytes() == before
    path.rename(tmp_path / "other.yaml")
    write_recipe(tmp_path, recipe(name="More harm"))
    (tmp_path / "more-harm.yaml").write_text(to_yaml(recipe(name="More harm!")), encoding="utf-8")
    with pytest.raises(UserError, match=r"other\.yaml: 'name': .*more-harm\.yaml has the name 'More harm!'"):
        read_recipes(tmp_path)


def test_a_folder_that_is_none_holds_none_and_one_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    assert read_recipes(tmp_path / "nothing") == []
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"more\.yaml cannot be written \(.*\); mend that"):
        write_recipe(tmp_path / "file", recipe())


STEP = "steps:\n- {feature: L0/3, mode: add, value: 2.5, where: last}\n"
HEAD = f"name: more\nvariant: base\ntranscoders: {HERE}\nauthor: Ada\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a NoneType, not a recipe"),
        ("- 1", "a list, not a recipe"),
        ("a: [", "1: not YAML"),
        (STEP, "'name' is missing; every recipe needs it"),
        (HEAD, "'steps' is missing"),
        (HEAD + "steps: []", "5: 'steps': list should have at least 1 item"),
        (HEAD + STEP + "strength: 1", "7: unknown key 'strength'"),
        (HEAD + STEP.replace("mode", "kind"), "6: unknown key 'steps.0.kind'"),
        (
            HEAD + STEP.replace("add", "double"),
            "6: 'steps.0.mode': input should be 'set', .*but it is 'double'",
        ),
        (
            HEAD + STEP.replace("2.5", "much"),
            "6: 'steps.0.value': input should be a valid number, but it is 'much'",
        ),
        (
            HEAD + STEP.replace("last", "first"),
            "6: 'steps.0.where': input should be 'last'.*but it is 'first'",
        ),
        (
            HEAD + STEP.replace("L0/3", "3"),
            "6: 'steps.0.feature': input should be a valid string, but it is 3",
        ),
        (HEAD + STEP.replace("L0/3", "x"), "6: 'steps.0': a feature is layer and index"),
        (HEAD + STEP.replace(", where: last", ""), "'steps.0.where' is missing; every step needs it"),
        (HEAD.replace(HERE, "abc") + STEP, "3: 'transcoders': string should match pattern.*but it is 'abc'"),
        (HEAD + STEP + "frozen: all", "7: 'frozen': input should be 'nothing', .*but it is 'all'"),
        (HEAD + STEP + "watch: [-1]", "7: 'watch.0': input should be greater than or equal to 0"),
        (HEAD + STEP + f"watch: {[0] * 13}", "7: 'watch': list should have at most 12 items"),
        (HEAD + STEP + "continue_from: open", "7: 'continue_from': input should be a valid integer"),
        (HEAD.replace("base", "base@2") + STEP, "2: 'variant': variant 'base@2' has a scale"),
        (HEAD.replace("base", "x@y") + STEP, "2: 'variant': the scale 'y' of variant"),
        (HEAD.replace("more", "' more'") + STEP, "1: 'name': a name is printable"),
    ],
)
def test_what_is_no_recipe_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=message) as refused:
        read_recipe(path)
    said = str(refused.value)
    assert said.startswith(str(path))
    assert said.endswith(".")
    assert "\n" not in said


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"more\.yaml does not exist"):
        read_recipe(tmp_path / "more.yaml")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"transcoders": "e" * 64},
            "'transcoders': it is of another dictionary .eeeeeeeeeeee. than the profile p",
        ),
        ({"variant": "stranger"}, "There is no variant 'stranger@1.0'; there is base, general@1.0"),
        ({"setting": (Intervention(layer=1, feature=3, mode="add", value=1.0),)}, "There is no layer 1"),
        ({"setting": (Intervention(layer=0, feature=5, mode="add", value=1.0),)}, "There is no feature L0/5"),
        ({"watch": [3, SIZE]}, f"'watch': there is no token {SIZE}; the model has tokens 0 to {SIZE - 1}"),
        ({"continue_from": SIZE}, f"'continue_from': there is no token {SIZE}"),
        ({"setting": (Vector(layer=0, direction=(1.0,), value=1.0),)}, "1 numbers; the model is 2 wide"),
        (
            {"setting": (Intervention(layer=0, feature=3, mode="add", value=1.0, where=(4,)),)},
            r"positions \[4\] are not all within 0 to 3",
        ),
    ],
)
def test_what_the_profile_cannot_follow_is_refused(changes, message) -> None:
    kept = recipe(**changes)
    with pytest.raises(UserError, match=rf"here\.yaml: .*{message}"):
        RecipeFile(path=Path("here.yaml"), recipe=kept).require_possible(MANIFEST)
    assert is_of(kept, MANIFEST) == ("transcoders" not in changes)
    RecipeFile(path=Path("here.yaml"), recipe=recipe()).require_possible(MANIFEST)


def test_what_may_be_frozen_is_what_the_engine_freezes() -> None:
    assert get_args(Still) == FROZEN


def test_positions_are_a_prompts() -> None:
    at = (Intervention(layer=0, feature=3, mode="add", value=1.0, where=(1, 3)),)
    require_positions(at, MANIFEST, [7, 8, 9, 10])
    with pytest.raises(UserError, match=r"L0/3: positions \[1, 3\] are not all within 0 to 2"):
        require_positions(at, MANIFEST, [7, 8, 9])


def test_the_readme_shows_a_recipe() -> None:
    text = Path("inputs/recipes/README.md").read_text(encoding="utf-8")
    said = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0].replace("3f0c...", HERE))
    shown = Recipe.model_validate(said)
    assert [type(step).__name__ for step in shown.setting] == ["Intervention", "Intervention", "Vector"]
    for key in (*Recipe.model_fields, *said["steps"][0], *said["steps"][2]):
        assert f"`{key}`" in text
