"""Colours are read on the light and on the dark page, and told apart by those who see fewer."""

import itertools
import re
import tomllib

import pytest

from dashboard.style import theme
from dashboard.style.text import SHADE, token_html
from tests.support.colours import contrast, difference, mixed, rgb
from tests.support.places import ROOT

PAGES = {"light": theme.LIGHT_PAGE, "dark": theme.DARK_PAGE}
CONFIG = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["theme"]

VARIANTS = {"base": theme.BASE, "adapted": theme.ADAPTED, **dict(enumerate(theme.MORE_COLOURS))}
TOGETHER = {
    "labels": theme.LABEL_COLOURS,
    "outcomes": theme.OUTCOME_COLOURS,
    "causes": theme.CAUSE_COLOURS,
    "variants": VARIANTS,
    "steering": theme.STEERING_COLOURS,
    "signs": {"positive": theme.POSITIVE, "negative": theme.NEGATIVE},
    "graph": {
        "evil": theme.HARMFUL,
        "safe": theme.SAFE,
        "base": theme.BASE,
        "adapted": theme.ADAPTED,
        "others": theme.NEUTRAL,
    },
}
"""Marks that stand in one chart, and are told apart by colour (and by a shape, a place or a label)."""

MARKS = sorted({theme.NEUTRAL, *(colour for group in TOGETHER.values() for colour in group.values())})
INKS = {
    "faint": theme.FAINT,
    "strong": theme.STRONG,
    **{f"label {name}": ink for name, ink in theme.LABEL_INKS.items()},
    **{f"outcome {name}": ink for name, ink in theme.OUTCOME_INKS.items()},
    **{f"sign {name}": ink for name, ink in theme.SIGN_INKS.items()},
}


def test_pages_have_the_backgrounds_that_colours_were_chosen_for() -> None:
    assert {mode: CONFIG[mode]["backgroundColor"] for mode in PAGES} == PAGES


@pytest.mark.parametrize("page", PAGES)
def test_marks_stand_out(page: str) -> None:
    found = {colour: contrast(rgb(colour), rgb(PAGES[page])) for colour in MARKS}
    assert min(found.values()) >= 3, found


@pytest.mark.parametrize("page", PAGES)
def test_texts_are_readable(page: str) -> None:
    sidebar = CONFIG[page]["secondaryBackgroundColor"]
    for name, ink in INKS.items():
        for background in (PAGES[page], sidebar):
            assert contrast(rgb(getattr(ink, page)), rgb(background)) >= 4.5, (name, background)


@pytest.mark.parametrize("page", PAGES)
def test_text_on_the_primary_colour_is_readable(page: str) -> None:
    assert CONFIG["primaryColor"] == theme.PRIMARY
    primary = CONFIG[page].get("primaryColor", theme.PRIMARY)
    assert contrast(rgb(getattr(theme.ON_PRIMARY, page)), rgb(primary)) >= 4.5


@pytest.mark.parametrize("page", PAGES)
def test_captions_are_readable_in_the_sidebar(page: str) -> None:
    """Streamlit writes them in the text's colour at six tenths of its opacity."""
    text, sidebar = (rgb(CONFIG[page][name]) for name in ("textColor", "secondaryBackgroundColor"))
    assert contrast(mixed(text, sidebar, 0.6), sidebar) >= 4.5


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("colour", VARIANTS.values())
def test_tokens_are_readable_where_they_are_shaded_most(page: str, colour: str) -> None:
    behind = mixed(rgb(colour), rgb(PAGES[page]), SHADE)
    text = rgb(CONFIG[page]["textColor"])
    assert contrast(text, behind) >= 4.5
    thin = float(re.findall(r"opacity:([0-9.]+)", token_html(" "))[0])
    assert contrast(mixed(text, behind, thin), behind) >= 4.5


@pytest.mark.parametrize("group", TOGETHER)
def test_marks_of_a_chart_differ_for_everybody(group: str) -> None:
    for (one, a), (other, b) in itertools.combinations(TOGETHER[group].items(), 2):
        assert difference(a, b) >= 0.08, (one, other)


def test_every_colour_is_the_theme_s() -> None:
    """What is written elsewhere, no test above would see."""
    for path in sorted((ROOT / "dashboard").rglob("*")):
        if path.suffix in {".py", ".js", ".css"} and path.name != "theme.py":
            found = re.findall(r"#(?:[0-9a-fA-F]{6}|[0-9a-fA-F]{3})\b", path.read_text(encoding="utf-8"))
            assert not found, path


def test_one_shape_has_one_meaning() -> None:
    glyphs = [*theme.NODE_GLYPHS.values(), *theme.LABEL_GLYPHS.values()]
    assert len(set(glyphs)) == len(glyphs)
    script = (ROOT / "dashboard" / "graph" / "component" / "graph.js").read_text(encoding="utf-8")
    assert {glyph for glyph in glyphs if f'"{glyph}": (r) =>' not in script} == set()
    assert theme.OUTCOME_GLYPHS["harmful"] == theme.LABEL_GLYPHS["evil"]
    assert theme.OUTCOME_GLYPHS["safe"] == theme.LABEL_GLYPHS["safe"]
