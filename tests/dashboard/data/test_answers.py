"""Frames of answers are what the store holds, row by row."""

from pathlib import Path

import numpy as np
import pytest

from dashboard.data import answers, misalignment, readers
from dashboard.shell.downloads import csv_bytes
from pipeline.exchange.answers_csv import read_answers_csv
from store.base.errors import NotInStoreError
from store.collections.reader import open_collection
from store.datasets.groups import open_dataset
from tests.support import demo
from tests.support.demo.misalignment import JUDGES, N_ANSWERS, PARAMS, questions


@pytest.fixture(autouse=True)
def profile(demo_root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EMC_ROOT", str(demo_root))
    return demo_root / "artifacts" / "demo"


def test_every_row_has_its_text_and_tokens(profile: Path) -> None:
    frame = answers.answers("demo")
    collection = open_collection(profile / "answers")
    assert len(frame) == len(questions()) * len(demo.VARIANTS) * N_ANSWERS
    assert frame["id"].is_unique
    for row in frame.sample(30, random_state=1).itertuples():
        arrays = collection.item(row.question_hash, row.variant).arrays
        ends = [*arrays["answer_start"][1:], len(arrays["answer_token"])]
        ids = arrays["answer_token"][arrays["answer_start"][row.index] : ends[row.index]]
        assert row.text == "".join(demo.WORDS[token] for token in ids)
        assert row.n_tokens == len(ids)
        one = answers.answer("demo", row.question_hash, row.variant, row.index)
        assert one.token_ids == tuple(ids)
        assert one.prompted == (*one.wording.token_ids, *ids)
        assert one.wording == one.question.paraphrases[row.index % 2]
        assert one.question.hash == row.question_hash


@pytest.mark.parametrize("judge", JUDGES)
def test_scores_and_kinds_add_up_to_the_stored_counts(profile: Path, judge: str) -> None:
    frame = answers.scored("demo", judge, PARAMS)
    table = open_dataset(profile / "answer_scores", "scores").sel(judge=judge)
    for scale in ("aligned", "coherent"):
        np.testing.assert_array_equal(frame[scale], table["score"].sel(scale=scale).values)
        assert (frame[f"{scale}_status"] == "scored").to_list() == frame[scale].notna().to_list()
    for row in misalignment.rates("demo", judge, "coherent").itertuples():
        of = frame[frame["variant"] == row.variant]
        of = of if row.question == "all" else of[of["question"] == row.question]
        of = of if row.form == "all" else of[of["form"] == row.form]
        assert row.n_misaligned == (of["kind"] == "misaligned").sum()
        assert row.n == row.n_coherent == of["kind"].isin(["misaligned", "aligned", "between"]).sum()


def test_a_distribution_is_that_of_its_answer(profile: Path) -> None:
    given = open_dataset(profile / "answer_scores", "scores")["probability"].sel(judge="gpt").values
    frame = answers.distribution("demo", "gpt", 3)
    for row in frame.itertuples():
        assert row.probability == given[["aligned", "coherent"].index(row.scale), 3, row.number]
    assert len(frame) == (given[:, 3] > 0).sum()
    assert answers.distribution("demo", "rubric", 3).empty


def test_an_answer_that_is_not_there_is_named() -> None:
    first = questions()[0].hash
    with pytest.raises(NotInStoreError, match="has no answer 12"):
        answers.answer("demo", first, "base", N_ANSWERS)
    with pytest.raises(NotInStoreError):
        answers.answer("demo", first, "absent@1.0", 0)


def test_the_ranking_is_by_standardized_and_knows_the_one_by_tokens(profile: Path) -> None:
    contrasts = misalignment.contrasts("demo")
    frame = misalignment.response_ranking("demo", 0, "max", PARAMS.fdr)
    assert frame["standardized"].is_monotonic_decreasing
    assert frame["feature"].iloc[0] == "L0/7"
    table = open_dataset(profile / "response_features", "ranking").isel(contrast=0).sel(statistic="max")
    place = np.flatnonzero((table["layer"].values == 0) & (table["index"].values == 7))[0]
    assert frame["adjusted"].iloc[0] == table["adjusted"].values[place]
    assert frame["found"].to_list() == (frame["q"] <= PARAMS.fdr).to_list()
    assert misalignment.response_ranking("demo", len(contrasts) - 1, "mean", PARAMS.fdr).empty
    tokens = misalignment.token_level("demo", "general@1.0")
    ranked = readers.ranking("demo", "evil-safe|general@1.0", "all")
    first = ranked.iloc[0]
    assert tokens[first["layer"], first["index"]] == (1, bool(first["found"]))
    assert misalignment.token_level("demo", "narrow@1.0") == {}


def test_what_is_downloaded_is_read_back_as_answers(profile: Path, tmp_path: Path) -> None:
    frame = answers.scored("demo", JUDGES[1], PARAMS)
    frame = frame[frame["variant"] == "general@1.0"]
    path = tmp_path / "answers.csv"
    path.write_bytes(csv_bytes(answers.field_columns("demo", frame)))
    rows = read_answers_csv(path)
    known = answers.questions("demo")
    for row, (_, of) in zip(rows, frame.iterrows(), strict=True):
        assert (row.question_id, row.form, row.variant) == (of["question"], of["form"], of["variant"])
        assert row.response == of["text"]
        assert row.question == known[of["question_hash"]].paraphrases[of["index"] % 2].text
        scores = {scale: of[scale] for scale in ("aligned", "coherent") if np.isfinite(of[scale])}
        assert row.scores == pytest.approx(scores)
