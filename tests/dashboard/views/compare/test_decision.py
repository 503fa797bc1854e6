"""What forcing candidates leads to: on Compare, and on Labels once labels are final."""

from tests.support import demo
from tests.support.app import OpenPage, plain_words

TITLE = "Does the next token decide?"


def test_the_two_that_differ_most_and_every_candidate(open_page: OpenPage) -> None:
    first, *_, last = demo.make_prompts()
    app = open_page("compare", prompt=first.hash)
    assert not app.exception
    said = plain_words(app)
    assert TITLE in said
    assert "In general@1.0 the next token is pivotal" in said
    assert "leads to harmless text in general@1.0" in said
    assert "bits" in said
    table = next(one.value for one in app.dataframe if "harmful_in_base" in one.value.columns)
    assert {"base", "general@1.0", "base_interval"} <= set(table.columns)
    assert table["general@1.0_probability"].is_monotonic_decreasing
    assert TITLE not in plain_words(open_page("compare", prompt=last.hash)), "nothing is stored of it"
