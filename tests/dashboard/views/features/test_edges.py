"""The card's table of edges that the adapter changes: what it lists, and for which contrast."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.data import readers
from dashboard.data.tables import edges_frame
from dashboard.shell import downloads
from store.base.errors import NotInStoreError
from store.datasets.groups import open_dataset
from tests.support.app import OpenPage


def table(demo_root: Path) -> Any:
    return open_dataset(demo_root / "artifacts/demo/features", "ranking_edges")


def captions(app: AppTest) -> str:
    return " ".join(str(caption.value) for caption in app.caption).replace("\\", "")


def edges_shown(app: AppTest) -> Any:
    found = [frame.value for frame in app.dataframe if "direction" in frame.value.columns]
    return found[0] if found else None


def test_a_pair_is_listed_at_both_of_its_ends(demo_root: Path) -> None:
    edges = table(demo_root)
    ends = [
        (int(edges[f"{e}_layer"].values[5]), int(edges[f"{e}_index"].values[5])) for e in ("source", "target")
    ]
    for mine, other, direction in ((ends[0], ends[1], "out of"), (ends[1], ends[0], "into")):
        frame = edges_frame(edges, "general@1.0-base", "medical", *mine)
        found = frame[(frame["layer"] == other[0]) & (frame["index"] == other[1])]
        assert found["direction"].tolist() == [direction]
        assert found["feature"].tolist() == [f"L{other[0]}/{other[1]}"]
        chosen = edges.sel(contrast="general@1.0-base", domain="medical")
        assert found["effect"].tolist() == [chosen["effect"].values[5]]
        change = found["adapted"].item() - found["base"].item()
        assert change == pytest.approx(found["effect"].item(), abs=1e-6)


def test_tested_ones_come_first_and_the_largest_change_of_them(demo_root: Path) -> None:
    edges = table(demo_root).load()
    frame = edges_frame(edges, "general@1.0-base", "all", 2, 14)
    assert len(frame) >= 3
    assert frame["effect"].abs().is_monotonic_decreasing
    largest = frame["effect"].iloc[0]
    edges["q"][0, 0, np.flatnonzero(edges["effect"].values[0, 0] == largest)] = np.nan
    again = edges_frame(edges, "general@1.0-base", "all", 2, 14)
    assert again["effect"].iloc[-1] == largest
    assert again["q"].isna().tolist() == [False] * (len(again) - 1) + [True]


@pytest.mark.parametrize(
    ("query", "contrast"),
    [
        ({"b": "general@1.0"}, "general@1.0-base"),
        ({"b": "general@1.0", "contrast": "evil-safe|base"}, "general@1.0-base"),
        ({"b": "general@1.0", "score": "activation"}, "general@1.0-base"),
        ({"b": "narrow@1.0", "contrast": "evil-safe|base"}, "narrow@1.0-base"),
    ],
)
def test_the_card_compares_with_base_whatever_the_contrast(
    open_page: OpenPage,
    demo_root: Path,
    query: dict[str, str],
    contrast: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: dict[str, Any] = {}
    monkeypatch.setattr(downloads, "downloads", lambda frame, name, *, key: taken.update({key: frame}))
    app = open_page("features", feature="L2/14", **query)
    assert not app.exception
    assert not app.error
    expected = edges_frame(table(demo_root), contrast, "all", 2, 14)
    assert edges_shown(app)["effect"].tolist() == expected["effect"].tolist()
    assert set(taken["edges"]["contrast"]) == {contrast}
    assert "12,345 pairs" in captions(app)
    assert ("98% of each graph" in captions(app)) == (contrast == "narrow@1.0-base")


def test_a_feature_without_such_edges_is_told_so(open_page: OpenPage) -> None:
    app = open_page("features", feature="L0/7")
    assert not app.exception
    assert edges_shown(app) is None
    assert "No edge of this feature is among those compared" in captions(app)


def test_an_older_artifact_says_so_in_its_place(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    read = readers.dataset

    def older(profile: str, name: str, group: str) -> Any:
        if group == "ranking_edges":
            raise NotInStoreError("features has no group ranking_edges: it is of an older version")
        return read(profile, name, group)

    monkeypatch.setattr(readers, "dataset", older)
    app = open_page("features", feature="L2/14")
    assert not app.exception
    assert any("older version" in str(info.value) for info in app.info)
    assert app.metric
