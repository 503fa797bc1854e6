"""A prompt that could not be computed is shown where people look, in words."""

from pathlib import Path

from store.documents.failures import Failure, write_failures
from store.documents.prompts import read_prompts
from tests.support.app import OpenPage, plain_words


def fail_one(root: Path) -> str:
    """The first prompt of the demo, failed in the stage `graphs`."""
    prompt = read_prompts(root / "artifacts/demo/prompts.json")[0]
    failure = Failure(
        prompt_hash=prompt.hash,
        variants=("base", "general@1.0"),
        layer=2,
        position=3,
        token=prompt.token_ids[3],
        reason="At layer 2, position 3, a *logit* is NaN.",
    )
    write_failures(root / "artifacts/demo/failures/graphs.json", [failure])
    write_failures(root / "artifacts/demo/failures/dose.json", [])
    return prompt.hash


def test_overview_counts_and_compare_explains(root: Path, open_page: OpenPage) -> None:
    failed = fail_one(root)
    app = open_page("overview")
    assert [each.label for each in app.expander if "could not be computed" in each.label] == [
        "1 prompts could not be computed"
    ]
    tables = [each.value for each in app.dataframe if "reason" in each.value.columns]
    assert len(tables) == 1
    assert tables[0].iloc[0][["stage", "prompt", "layer", "position"]].tolist() == ["graphs", failed, 2, 3]
    app = open_page("compare", prompt=failed)
    assert not app.exception
    said = plain_words(app)
    assert "Stage graphs could not compute this prompt for base, general@1.0" in said
    assert "At layer 2, position 3, a *logit* is NaN." in said


def test_nothing_is_said_where_all_went_well(root: Path, open_page: OpenPage) -> None:
    write_failures(root / "artifacts/demo/failures/graphs.json", [])
    assert not [each for each in open_page("overview").expander if "could not" in each.label]
    assert "could not compute" not in plain_words(open_page("compare"))


def test_a_damaged_file_is_a_sentence(root: Path, open_page: OpenPage) -> None:
    path = root / "artifacts/demo/failures/graphs.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\xff[")
    app = open_page("overview")
    assert not app.exception
    assert "failures/graphs.json is not UTF-8 text" in plain_words(app)
