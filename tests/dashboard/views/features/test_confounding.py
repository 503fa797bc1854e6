"""The column of acting: what it says where there is none, and where prompts have the tag."""

from pathlib import Path

import numpy as np
import pytest

from store.datasets.groups import open_dataset, read_provenance, write_dataset
from store.format import artifact
from store.schema.features import FEATURES
from tests.support.app import OpenPage, plain_words
from tests.support.demo_project import features_made_with, own

CONTRAST = "evil-safe|general@1.0"


@pytest.mark.parametrize(
    ("name", "n", "said"),
    [
        (None, 0, "params.yaml names no features.confound_tag"),
        ("neutral", 0, "no prompt with the tag neutral was traced with these variants"),
        (
            "neutral",
            7,
            "7 situations with the tag neutral have tokens of both labels, and features.min_situations is 8",
        ),
    ],
)
def test_where_it_is_not_known_it_says_why(
    open_page: OpenPage, root: Path, name: str | None, n: int, said: str
) -> None:
    features_made_with(root, confound_tag=name, situations=n)
    app = open_page("features", contrast=CONTRAST)
    assert not app.exception
    assert f"Acting is not told apart from harm: {said}." in plain_words(app)
    assert app.dataframe[0].value["acting"].isna().all()
    assert "acting" not in app.dataframe[0].proto.column_order


def test_rankings_of_an_older_version_say_so(
    open_page: OpenPage, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = own(root, "features")
    older = FEATURES.at(6)
    groups = {name: open_dataset(folder, name).load() for name in older.groups}
    origin = read_provenance(folder)
    with monkeypatch.context() as patch:
        patch.setattr(artifact, "FORMAT_VERSION", 6)
        write_dataset(folder, older, groups, provenance=origin)
    app = open_page("features", contrast=CONTRAST)
    assert not app.exception
    assert "the store's rankings are of an older version" in plain_words(app)
    assert app.dataframe[0].value["effect"].notna().all()


@pytest.mark.parametrize("score", ["direct", "influence"])
def test_it_stands_beside_the_effect(open_page: OpenPage, root: Path, score: str) -> None:
    features_made_with(root, confound_tag="neutral", situations=10)
    app = open_page("features", contrast=CONTRAST, score=score)
    assert not app.exception
    assert "Acting is of 10 situations with the tag neutral, in no ranking." in plain_words(app)
    table, order = app.dataframe[0].value, list(app.dataframe[0].proto.column_order)
    assert table["acting"].notna().all()
    assert {"acting", "acting_interval"} < set(order)
    assert ("acting_share" in order) is (score == "direct")
    if score == "direct":
        np.testing.assert_allclose(table["acting_share"] * table["effect"], table["acting"], rtol=1e-6)
        np.testing.assert_allclose(table["acting_share"], 0.5, rtol=1e-6)
