"""How numbers and tokens are written."""

import math
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.style import text
from dashboard.style.theme import HARMFUL
from dashboard.widgets import continuation_list


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.123456, "0.123"),
        (0.0999999, "0.100"),
        (9.999, "10.0"),
        (999.9, "1,000"),
        (1234.5, "1,230"),
        (12345678.0, "12,300,000"),
        (-1.23456e-5, "-1.23e-05"),
        (0.001, "0.00100"),
        (1.0, "1.00"),
        (0.0, "0"),
        (float("nan"), "—"),
        (float("inf"), "—"),
    ],
)
def test_three_significant_digits(value: float, written: str) -> None:
    assert text.number(value) == written


@given(st.floats(min_value=-1e8, max_value=1e8, allow_nan=False))
def test_number_reads_back_within_half_of_the_third_digit(value: float) -> None:
    back = float(text.number(value).replace(",", ""))
    assert math.isclose(back, value, rel_tol=0.0051, abs_tol=0.0)


def test_sign_and_interval() -> None:
    assert text.number(0.5, sign=True) == "+0.500"
    assert text.interval(-0.1, 0.25) == "[-0.100, 0.250]"
    assert text.interval(float("nan"), 1.0) == "—"


def test_percent() -> None:
    assert text.percent(0.914) == "91.4%"
    assert text.percent(0.99999) == ">99.9%"
    assert text.percent(1.0) == "100%"
    assert text.share_interval(0.464, 0.5) == "[46.4%, 50%]"
    assert text.share_interval(float("nan"), 0.5) == "—"


@pytest.mark.parametrize(
    ("token", "shown"),
    [(" open", "·open"), ("a\n", "a↵"), ("\t", "⇥"), ("", "∅"), ("\x07", "⟨07⟩"), ("\u200b", "⟨200B⟩")],
)
def test_white_space_is_visible(token: str, shown: str) -> None:
    assert text.visible(token) == shown


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.lists(st.text(max_size=12), min_size=1, max_size=6))
def test_token_text_never_becomes_markup(tokens: list[str]) -> None:
    for rendered in (
        text.shaded_tokens(tokens, [1.0] * len(tokens), maximum=1.0, colour=HARMFUL, peak=0),
        text.token_chips(tokens),
        continuation_list.continuation_html(tokens, ["harmful"] * len(tokens)),
    ):
        parser = _Tags()
        parser.feed(rendered)
        assert parser.tags <= {"span", "div", "wbr", "br"}
        assert parser.attributes <= {"class", "style", "title"}


def test_shaded_tokens_keep_the_text() -> None:
    parser = _Tags()
    parser.feed(text.shaded_tokens([" <b>", "&amp;"], [0.0, 2.0], maximum=2.0, colour=HARMFUL))
    assert parser.text == "·<b>&amp;"


@given(st.text(max_size=40))
def test_plain_leaves_no_unescaped_markdown(value: str) -> None:
    shown = text.plain(value)
    index = 0
    while index < len(shown):
        if shown[index] == "\\":
            index += 2
            continue
        assert shown[index] not in "`*_[]<>#$:|~"
        index += 1


def test_sentence_keeps_commands_as_code() -> None:
    assert text.sentence("x_y: run `dvc repro` now") == r"x\_y\: run `dvc repro` now"
    assert "`" not in text.sentence("one ` tick").replace("\\`", "")


def test_a_continuation_may_end_its_line_after_white_space_only() -> None:
    rendered = continuation_list.continuation_html([" two words\nmore"], ["safe"])
    breaks = [part.rpartition("</span>")[0][-1:] for part in rendered.split("<wbr>")[:-1]]
    assert breaks == ["·", "·", "↵"]
