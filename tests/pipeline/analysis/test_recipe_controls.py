"""A recipe beside others like it: planted truth, a null, and which prompts count."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.analysis.recipe_controls import controlled_splits
from store.base.errors import DamagedArtifactError, UnknownFormatError
from store.documents.prompts import Prompt
from store.documents.recipe_controls import RecipeControls, read_recipe_controls, write_recipe_controls
from tests.support.feature_builders import make_prompt

PER_SITUATION = 2


def prompts(n: int, held_out: bool = True) -> list[Prompt]:
    """Two prompts a situation."""
    return [replace(make_prompt(row, situation=row // PER_SITUATION), held_out=held_out) for row in range(n)]


def test_a_recipe_that_does_more_than_any_other_is_told_from_them() -> None:
    """Whatever its sign, and whatever single prompts say; situations count alike."""
    rng = np.random.default_rng(0)
    controls = rng.normal(0, 0.1, (20, 16))
    for sign in (-1, 1):
        seen, out = controlled_splits(sign * 0.5 + rng.normal(0, 0.1, 16), controls, prompts(16))
        assert (out.split, out.n_situations, len(out.controls)) == ("held-out", 8, 20)
        assert out.p == 1 / 21
        assert (seen.n_situations, seen.change, seen.controls, seen.p) == (0, None, (), None)


def test_of_recipes_that_are_none_no_more_than_their_share_is_told() -> None:
    """Exchangeable with its controls, its p-value is uniform on 1/21, 2/21, ..., 1."""
    rng = np.random.default_rng(1)
    places = prompts(12)
    found = []
    for _ in range(300):
        own = rng.normal(0, 1, (21, 1))  # a feature does alike on many prompts
        change = own + rng.normal(0, 0.3, (21, 12))
        found.append(controlled_splits(change[0], change[1:], places)[1].p)
    for level in (1 / 21, 5 / 21, 0.5):
        assert np.mean(np.array(found) <= level + 1e-9) == pytest.approx(level, abs=0.08)


def test_a_prompt_counts_where_all_is_known_and_situations_count_alike() -> None:
    change = np.array([0.1, 0.3, 0.6, np.nan])
    controls = np.array([[0.0, 0.4, 0.2, 0.9], [0.5, 0.5, np.nan, 0.5]])
    _, both = controlled_splits(change, controls, prompts(4))
    assert (both.n_situations, both.change) == (1, pytest.approx(0.2))
    assert both.controls == pytest.approx((0.2, 0.5))
    _, first = controlled_splits(change, controls[:1], prompts(4))
    assert (first.n_situations, first.change) == (2, pytest.approx(0.4)), "a situation of one prompt, too"
    assert first.p == 1 / 2
    _, alone = controlled_splits(change, controls[:0], prompts(4))
    assert (alone.n_situations, alone.controls, alone.p) == (2, (), None)
    of_all = [*prompts(2, held_out=False), *prompts(2)]
    assert [one.change for one in controlled_splits(change, controls[:1], of_all)] == pytest.approx(
        [0.2, 0.6]
    )


def test_what_does_nothing_is_reached_by_all() -> None:
    _, nothing = controlled_splits(np.zeros(4), np.zeros((3, 4)), prompts(4))
    assert nothing.p == 1.0


def test_the_document_is_read_back_and_another_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "recipe_controls.json"
    one = RecipeControls(
        name="more",
        variant="base",
        setting="a" * 64,
        features=(("L0/3", ""), ("L0/4", "")),
        splits=controlled_splits(np.ones(4), np.zeros((2, 4)), prompts(4)),
    )
    write_recipe_controls(path, [one])
    assert read_recipe_controls(path) == (one,)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"format_version": 1', '"format_version": 2'), encoding="utf-8")
    with pytest.raises(UnknownFormatError):
        read_recipe_controls(path)
    path.write_text(text.replace('"p":', '"q":'), encoding="utf-8")
    with pytest.raises(DamagedArtifactError):
        read_recipe_controls(path)
