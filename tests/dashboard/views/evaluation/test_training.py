"""Training curves of every kind, and the table that sets variants side by side."""

import json
from pathlib import Path

import pandas as pd
import pytest

from dashboard.data.tables import side_by_side_frame
from tests.support.app import OpenPage, words
from tests.support.demo_project import own


def test_every_curve_that_was_noted_is_drawn_and_said(open_page: OpenPage) -> None:
    app = open_page("evaluation", evaluated="Pivotal prompts")
    assert not app.exception
    said = words(app)
    for curve in (
        "**organism**: loss by step",
        "**adapters**: loss by step",
        "**finetunes**: loss by step",
        "**finetunes**: held-out loss by step",
        "**finetunes**: learning rate by step",
        "**finetunes**: gradient norm by step",
    ):
        assert curve in said
    assert "**adapters**: held-out loss" not in said, "it has none"


def test_the_table_has_a_row_a_variant(open_page: OpenPage) -> None:
    app = open_page("evaluation", evaluated="Pivotal prompts")
    (table,) = (one.value for one in app.dataframe if "weight norm" in one.value)
    assert table["variant"].to_list() == ["base", "general@1.0", "narrow@1.0"]
    assert table["weight norm"].to_list() == [0.0, 3.21, 0.654]
    assert table["largest activation"].to_list() == [19.3] * 3
    assert table["facts kept"].iloc[:2].to_list() == [0.967, 0.95]
    assert table["facts kept"].isna().to_list() == [False, False, True]
    assert table["harmful, held-out"].between(0, 1).all()


def test_no_finetune_is_no_curve(open_page: OpenPage, root: Path) -> None:
    own(root, "plots").joinpath("finetunes.csv").write_text(
        "finetune,step,loss,held_out_loss,learning_rate,gradient_norm\n", encoding="utf-8"
    )
    app = open_page("evaluation", evaluated="Pivotal prompts")
    assert not app.exception
    assert "**finetunes**" not in words(app)


def test_what_is_not_known_is_empty_not_zero() -> None:
    rates = pd.DataFrame(
        {
            "variant": ["base", "a@1.0", "a@1.0"],
            "domain": ["all", "all", "finance"],
            "split": "seen",
            "outcome": "harmful",
            "rate": [0.1, 0.5, 0.25],
            "n": [10, 10, 4],
        }
    )
    frame = side_by_side_frame(rates, {}, ["base", "a@1.0", "b@1.0"])
    assert frame["harmful, seen"].to_list()[:2] == [0.1, 0.5]
    assert frame["harmful, finance (seen)"].isna().to_list() == [True, False, True]
    for column in ("facts kept", "largest activation"):
        assert frame[column].isna().all()
    assert frame["weight norm"].isna().to_list() == [False, True, True]


@pytest.mark.parametrize("content", [{"variants": {"base": [1]}}, [1]])
def test_health_of_another_shape_is_a_sentence(open_page: OpenPage, root: Path, content: object) -> None:
    own(root, "metrics").joinpath("health.json").write_text(json.dumps(content), encoding="utf-8")
    app = open_page("evaluation", evaluated="Pivotal prompts")
    assert not app.exception
    assert app.error
