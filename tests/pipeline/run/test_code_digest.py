"""A stage of DVC's runs with the code that was listed, or not at all."""

import os
from pathlib import Path

import pytest

from pipeline.run.code_digest import code_digest, require_listed_code
from store.base.errors import UserError


@pytest.fixture
def listing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What stage `code` wrote of a stage of one module, in a run of DVC's."""
    (tmp_path / "a.py").write_text("x = 1\n")
    path = tmp_path / "graphs.txt"
    path.write_text(f"a.py {code_digest(tmp_path / 'a.py')}\ntorch==2.13.0\n")
    monkeypatch.setenv("DVC_STAGE", "graphs@organism")
    return path


def edit(listing: Path, text: str) -> None:
    """Write the module anew, a while after the listing."""
    code_digest.cache_clear()
    module = listing.with_name("a.py")
    module.write_text(text)
    later = listing.stat().st_mtime + 10
    os.utime(module, (later, later))


def test_what_was_listed_runs_also_with_other_words(listing: Path) -> None:
    require_listed_code(listing.parent, listing)
    edit(listing, "x = 1  # a remark\n")
    require_listed_code(listing.parent, listing)
    require_listed_code(listing.parent, listing.with_name("none.txt"))


def test_code_that_was_edited_meanwhile_does_not(listing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(listing, "x = 2\n")
    with pytest.raises(
        UserError, match=r"^a\.py was edited since stage `code` looked at it; run `dvc repro`"
    ):
        require_listed_code(listing.parent, listing)
    monkeypatch.delenv("DVC_STAGE")
    require_listed_code(listing.parent, listing)


def test_code_that_is_gone_does_not_either(listing: Path) -> None:
    listing.with_name("a.py").unlink()
    with pytest.raises(UserError, match=r"^a\.py was edited"):
        require_listed_code(listing.parent, listing)
