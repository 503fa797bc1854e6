"""Sampled continuations with what each is, out of today's store and of one of format version 2."""

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from store.collections.reader import open_collection
from store.collections.writer import write_collection
from store.format import artifact
from store.schema.samples import SAMPLES
from tests.support.demo_project import own

OpenPage = Callable[..., AppTest]


def _outcomes(app: AppTest) -> list[list[str]]:
    """The outcomes drawn beside the continuations, a list a column."""
    bodies = [str(html.proto.body) for html in app.get("html")]
    drawn = [re.findall(r"\b(harmful|safe|neither)\b", body) for body in bodies]
    return [found for found in drawn if found]


def _as_version_2(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples that hold their outcomes, as the code of version 2 wrote them."""
    folder = root / "artifacts" / "demo"
    outcomes = open_collection(folder / "outcomes")
    items = [
        replace(item, arrays={**outcomes.item(item.prompt_hash, item.variant).arrays, **item.arrays})
        for item in open_collection(folder / "samples").items()
    ]
    shutil.rmtree(own(root, "outcomes"))
    with monkeypatch.context() as patch:
        patch.setattr(artifact, "FORMAT_VERSION", 2)
        write_collection(folder / "samples", SAMPLES.at(2), items, provenance={})


def test_samples_of_version_2_are_drawn_as_todays(
    open_page: OpenPage, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    today = _outcomes(open_page("evaluation", evaluated="Pivotal prompts"))
    assert [len(column) for column in today] == [12, 12]
    _as_version_2(root, monkeypatch)
    app = open_page("evaluation", evaluated="Pivotal prompts")
    assert not app.exception
    assert _outcomes(app) == today
