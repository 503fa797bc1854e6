"""Links and pictures of the READMEs exist."""

import re

import pytest

from pipeline.items.closure import ROOT

PAGES = ("README.md", "inputs/prompts/README.md", "store/FORMAT.md")


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_links_to_exists(page: str) -> None:
    path = ROOT / page
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{page} links to {target}"
