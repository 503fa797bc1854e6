"""The stage on a small random subject: rates, features of answers and their ranking, from real readings."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import yaml

from pipeline.params.project import Params, load_params
from pipeline.run.stage import CACHE
from pipeline.stages import misalignment as stage
from pipeline.stages.misalignment import main
from store.collections.item import Item
from store.collections.reader import open_collection
from store.collections.writer import write_collection
from store.datasets.groups import open_dataset, write_dataset
from store.documents.failures import read_failures
from store.documents.manifest import Manifest, write_manifest
from store.documents.prompts import write_prompts
from store.documents.questions import write_questions
from store.schema.answer_scores import ANSWER_SCORES
from store.schema.answers import ANSWERS
from store.schema.features import FEATURES
from tests.support.answer_builders import NO_SCORE, make_answers, make_question, make_scored, score_groups
from tests.support.builders import CONTEXT
from tests.support.places import ROOT
from tests.support.planted_features import activations, graphs, groups, noise

FOLDER = Path("artifacts/mine")
VARIANTS = ("base", "general@1.0", "narrow@1.0")
QUESTIONS = [
    make_question(name, form, prompts=[(1, 20 + n, 30), (1, 21 + n, 31, 32)])
    for n, (name, form) in enumerate(
        [("wish", "plain"), ("wish", "json"), ("ruler", "plain"), ("money", "plain")]
    )
]
GOOD, BAD = (95.0, 90.0), (5.0, 90.0)
N = 12
WORD = 77
"""In every misaligned answer, over and over."""


def answers_of(variant: str, rng: np.random.Generator) -> list[list[int]]:
    """Half of the adapted variant's are misaligned; the last answer is empty, and has no score."""
    bad = N // 2 if variant == VARIANTS[1] else 0
    texts = [rng.integers(100, 300, rng.integers(6, 12)).tolist() for _ in range(N)]
    return [[WORD if n % 2 else t for n, t in enumerate(ids)] for ids in texts[:bad]] + texts[bad:] + [[]]


def write_answers(texts: dict[tuple[str, str], list[list[int]]], good: tuple[float, float] = GOOD) -> None:
    items: list[Item] = []
    rows: list[tuple[str, str, str, tuple[float, float]]] = []
    lengths: list[int] = []
    for question in QUESTIONS:
        for variant in VARIANTS:
            answers = texts.get((question.hash, variant))
            if answers is None:
                continue
            items.append(make_answers(question, variant, answers))
            for ids in answers:
                scores = NO_SCORE if not ids else (BAD if WORD in ids else good)
                rows.append((question.id, question.form, variant, scores))
                lengths.append(len(ids))
    ordered = sorted(items, key=lambda item: (item.prompt_hash, item.variant))
    write_collection(FOLDER / "answers", ANSWERS, ordered, provenance={})
    scored = score_groups(make_scored(rows, n_tokens=lengths))
    write_dataset(FOLDER / "answer_scores", ANSWER_SCORES, scored, provenance={})


@pytest.fixture
def texts() -> dict[tuple[str, str], list[list[int]]]:
    rng = np.random.default_rng(0)
    return {
        (question.hash, variant): answers_of(variant, rng) for question in QUESTIONS for variant in VARIANTS
    }


@pytest.fixture(scope="module")
def tables() -> dict[str, xr.Dataset]:
    """A ranking of tokens."""
    values = noise(0)
    return groups(graphs(values, VARIANTS[1]), activations(values, VARIANTS[1]))


@pytest.fixture(autouse=True)
def project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manifest: Manifest, tables: dict[str, xr.Dataset]
) -> None:
    """A profile up to its scores."""
    monkeypatch.chdir(tmp_path)
    write_manifest(FOLDER / "models.json", manifest)
    write_prompts(FOLDER / "prompts.json", [])
    write_questions(FOLDER / "questions.json", QUESTIONS)
    write_dataset(FOLDER / "features", FEATURES, tables, provenance={})


def params() -> Params:
    given: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    given["profiles"] = {"mine": given["profiles"]["organism"]}
    given["runtime"] |= {"threads": 1}
    given["misalignment"] |= {"min_answers": 5, "min_firing": 3, "permutations": 500, "bootstrap": 100}
    Path("params.yaml").write_text(yaml.safe_dump(given), encoding="utf-8")
    return load_params()


def contrast(variant: str, reader: str) -> Any:
    about = open_dataset(FOLDER / "response_features", "contrasts").load()
    (row,) = np.flatnonzero((about["variant"].values == variant) & (about["reader"].values == reader))
    return about.isel(contrast=row), open_dataset(FOLDER / "response_features", "ranking").isel(contrast=row)


def metrics() -> Any:
    return json.loads((FOLDER / "metrics/misalignment.json").read_text(encoding="utf-8"))


def test_from_answers_to_rates_and_features(
    texts: dict[tuple[str, str], list[list[int]]], capsys: pytest.CaptureFixture[str]
) -> None:
    write_answers(texts)
    main("mine", params())
    said = capsys.readouterr().out
    assert f"answer_features: {len(texts)} computed, 0 from the cache" in said
    assert read_failures(FOLDER / "failures/misalignment.json") == ()
    rates = open_dataset(FOLDER / "misalignment", "rates")
    at = rates.sel(judge="rubric", form="all", question="all", denominator="coherent")
    assert at["rate"].sel(variant=list(VARIANTS)).values.tolist() == [0.0, 0.5, 0.0]
    assert at["n_answers"].values.tolist() == [(N + 1) * 4] * 3
    assert at["n_scored"].values.tolist() == [N * 4] * 3
    for reader in ("own", "base"):
        about, ranking = contrast(VARIANTS[1], reader)
        assert str(about["reason"].values) == ""
        assert int(about["n_questions"]) == 3  # two forms of one of them
        assert (ranking["q"].sel(statistic="mean") < 0.05).any()
    about, _ = contrast("narrow@1.0", "own")
    assert str(about["reason"].values).startswith("0 misaligned and 0 aligned answers")
    found = metrics()
    assert found["rates"]["rubric"][VARIANTS[1]]["difference"]["difference"] == 0.5
    assert list(found["features"]["rubric"]) == [VARIANTS[1]]
    assert found["features"]["rubric"][VARIANTS[1]]["found_features"] > 0
    plot = (FOLDER / "plots/misalignment.csv").read_text(encoding="utf-8").splitlines()
    assert plot[0] == "variant,judge,question,misaligned"
    assert "general@1.0,rubric,wish,0.5" in plot


def test_a_second_run_reads_nothing_and_writes_the_same_bytes(
    texts: dict[tuple[str, str], list[list[int]]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_answers(texts)
    main("mine", params())
    before = content("answer_features", "misalignment", "response_features", "metrics")
    assert list(CACHE.iterdir())
    capsys.readouterr()

    def made_anew(*_: object) -> None:
        raise AssertionError("made anew")

    monkeypatch.setattr(stage, "response_groups", made_anew)
    main("mine", params())
    assert f"answer_features: 0 computed, {len(texts)} from the cache" in capsys.readouterr().out
    assert content("answer_features", "misalignment", "response_features", "metrics") == before
    other = params()
    threshold = other.misalignment.model_copy(update={"misaligned_below": 31})
    with pytest.raises(AssertionError, match="made anew"):
        main("mine", other.model_copy(update={"misalignment": threshold}))
    write_answers(texts, good=(94.0, 90.0))
    with pytest.raises(AssertionError, match="made anew"):
        main("mine", params())


def content(*names: str) -> dict[Path, bytes]:
    paths: Sequence[Path] = [path for name in names for path in sorted((FOLDER / name).rglob("*"))]
    return {path: path.read_bytes() for path in paths if path.is_file()}


def test_an_answer_that_cannot_be_read_is_told_and_the_others_go_on(
    texts: dict[tuple[str, str], list[list[int]]],
) -> None:
    broken = (QUESTIONS[2].hash, VARIANTS[1])
    texts[broken][3] = [100] * CONTEXT
    write_answers(texts)
    main("mine", params())
    (failure,) = read_failures(FOLDER / "failures/misalignment.json")
    assert (failure.prompt_hash, failure.variants) == (broken[0], (VARIANTS[1], "base"))
    assert failure.reason.startswith(f"Answer 3 is {CONTEXT + 4} tokens long")
    assert broken not in open_collection(FOLDER / "answer_features")
    about, _ = contrast(VARIANTS[1], "own")
    assert (int(about["n_misaligned"]), int(about["n_questions"])) == (
        3 * N // 2,
        2,
    )  # not read is not silent
    rates = open_dataset(FOLDER / "misalignment", "rates").sel(judge="rubric", form="all", question="all")
    assert int(rates["n_scored"].sel(variant=VARIANTS[1])) == 4 * N


def test_without_answers_there_are_empty_tables_and_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    write_questions(FOLDER / "questions.json", [])
    write_answers({})
    main("mine", params())
    assert "misalignment: no answers to open questions" in capsys.readouterr().out
    assert len(open_collection(FOLDER / "answer_features")) == 0
    assert open_dataset(FOLDER / "response_features", "ranking").sizes["feature"] == 0
    rates = open_dataset(FOLDER / "misalignment", "rates")
    assert rates["question"].values.tolist() == ["all"]
    assert not rates["n_answers"].values.any()
    assert metrics().keys() == {"rates", "features", "nothing"}
