"""The prompt browser on Overview and in the sidebar: filters in the link, a row to its prompt."""

import pytest

from dashboard.data.prompt_table import prompt_table
from tests.support import demo
from tests.support.app import OpenPage, words

PAIR = ("base", "general@1.0")


def test_the_link_filters_and_sorts(open_page: OpenPage) -> None:
    domain = next(prompt.domain for prompt in demo.make_prompts() if prompt.domain)
    app = open_page("overview", **{"prompts-of": domain, "prompts-by": "divergence"})
    assert not app.exception
    whole = prompt_table("demo", PAIR)
    mine = whole[whole["domain"] == domain]
    assert f"{len(mine)} of {len(whole)} prompts" in words(app)
    (table,) = [each for each in app.dataframe if {"divergence", "domain"} <= {*each.value.columns}]
    assert set(table.value["domain"]) == {domain}
    app.text_input(key="find").set_value("no such words anywhere").run()
    assert not app.exception
    assert f"0 of {len(whole)} prompts" in words(app)


def test_a_wrong_filter_in_the_link_is_said_and_left_out(open_page: OpenPage) -> None:
    app = open_page("overview", **{"prompts": "nothing", "prompts-by": "size"})
    assert not app.exception
    assert f"{len(demo.make_prompts())} of {len(demo.make_prompts())} prompts" in words(app)


def test_the_sidebar_opens_it_on_any_page(open_page: OpenPage) -> None:
    app = open_page("compare")
    app.button(key="browse-prompts").click().run()
    assert not app.exception
    assert app.text_input(key="dialog-find")
    # On Overview both stand at once.
    app = open_page("overview")
    app.button(key="browse-prompts").click().run()
    assert not app.exception
    assert app.text_input(key="dialog-find")
    assert app.text_input(key="find")


def test_of_many_prompts_a_page_lists_some(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.navigation._NEAR", 1)
    monkeypatch.setattr("dashboard.widgets.row_table.MOST", 2)
    app = open_page("overview")
    assert "Listed are the first 2;" in words(app)
    (table,) = [each.value for each in app.dataframe if {"divergence", "domain"} <= {*each.value.columns}]
    assert len(table) == 2
    hashes = [prompt.hash for prompt in demo.make_prompts()]
    for prompt in (hashes[0], hashes[len(hashes) // 2], hashes[-1]):
        app = open_page("compare", prompt=prompt)
        picker = app.selectbox(key="prompt")
        assert picker.value == prompt
        assert 2 <= len(picker.options) <= 3
    app = open_page("labels")
    assert "Listed are the first 2;" in words(app)
    (table,) = [each.value for each in app.dataframe if "stands" in each.value]
    assert len(table) == 2
