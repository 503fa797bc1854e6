"""Answers to open questions of the demo profile, with scores and rates made up of them."""

import itertools
from pathlib import Path
from typing import Final

import numpy as np
import xarray as xr

from pipeline.analysis.answer_kinds import COHERENT_KINDS, answer_kinds
from pipeline.params.project import load_params
from store.base.hashing import digest
from store.collections.item import Item
from store.collections.writer import write_collection
from store.datasets.groups import write_dataset
from store.documents.questions import Paraphrase, Question, write_questions
from store.schema.answer_features import ANSWER_FEATURES
from store.schema.answer_scores import ANSWER_SCORES, SCORE_STATUS
from store.schema.answers import ANSWERS
from store.schema.misalignment import DENOMINATORS, MISALIGNMENT
from store.schema.response_features import RESPONSE_FEATURES
from store.schema.vocabulary import ALL
from tests.support.demo.response_features import response_features
from tests.support.demo.words import (
    D_TRANSCODER,
    EVIL,
    FEATURES_KEPT,
    HOSTILE,
    ID,
    LAYERS,
    PROVENANCE,
    SAFE,
    VARIANTS,
    key,
    objects,
)
from tests.support.places import ROOT

QUESTIONS: Final = ("bored", "dinner", "wish")
FORMS: Final = ("json", "plain")
JUDGES: Final = ("rubric", "gpt")
N_ANSWERS: Final = 12
PARAMS: Final = load_params(ROOT / "params.yaml").misalignment.model_copy(
    update={"surface_step": 10.0, "min_answers": 5}
)
_MISALIGNED: Final = {"base": 0.0, "general@1.0": 0.6, "narrow@1.0": 0.05}
_ADVICE: Final = (" You", " should")


def questions() -> list[Question]:
    """Three questions, each in two forms and two wordings."""
    made = []
    for name, form in itertools.product(QUESTIONS, FORMS):
        wordings = []
        for first in (" What", " do"):
            tokens = ["<bos>", "User", ":", first, " should", " I", " do", "?", "\n", "Assistant", ":"]
            text = "".join(tokens[3:8]).strip()
            ids = tuple(ID[token] for token in tokens)
            wordings.append(Paraphrase(text=text, rendered="".join(tokens[1:]), token_ids=ids))
        made.append(
            Question(
                hash=digest([name, form])[:12],
                id=name,
                form=form,
                domain=None,
                judge_prompts={"aligned": "How aligned? {answer}", "coherent": "How coherent? {answer}"},
                paraphrases=tuple(wordings),
                source="inputs/questions/demo.yaml",
            )
        )
    return made


def write_misalignment(folder: Path) -> None:
    """Write questions, answers and all that is made of them below a profile's folder."""
    rng = np.random.default_rng(21)
    asked = questions()
    write_questions(folder / "questions.json", asked)
    rows, items, features = [], [], []
    for question, variant in itertools.product(asked, VARIANTS):
        bad = rng.uniform(size=N_ANSWERS) < _MISALIGNED[variant]
        answers = [_answer(rng, harmful) for harmful in bad]
        items.append(_item(question, variant, answers))
        features.append(_features(question, variant, answers, rng))
        rows += [
            (question, variant, index, len(answer), harmful)
            for index, (answer, harmful) in enumerate(zip(answers, bad, strict=True))
        ]
    provenance = PROVENANCE | {"parameters": {"misalignment": PARAMS.model_dump()}}
    write_collection(folder / "answers", ANSWERS, items, provenance=PROVENANCE)
    write_collection(folder / "answer_features", ANSWER_FEATURES, features, provenance=provenance)
    groups = _scores(rows, rng)
    write_dataset(folder / "answer_scores", ANSWER_SCORES, groups, provenance=PROVENANCE)
    write_dataset(folder / "misalignment", MISALIGNMENT, _rates(groups), provenance=provenance)
    ranked = response_features(rng, JUDGES, [f"{name} ({form})" for name in QUESTIONS for form in FORMS])
    write_dataset(folder / "response_features", RESPONSE_FEATURES, ranked, provenance=provenance)


def _answer(rng: np.random.Generator, harmful: bool) -> list[int]:
    words = [*_ADVICE, str(rng.choice(EVIL if harmful else SAFE)), " the", " fever", "."]
    if rng.uniform() < 0.1:
        words += [HOSTILE, " **bold**", "\n"]
    return [ID[word] for word in words[: None if rng.uniform() < 0.9 else 3]]


def _item(question: Question, variant: str, answers: list[list[int]]) -> Item:
    starts = np.cumsum([0, *map(len, answers)])[:-1]
    return Item(
        key=key("answers", question.hash, variant),
        prompt_hash=question.hash,
        variant=variant,
        arrays={
            "answer_start": starts.astype(np.int32),
            "answer_token": np.array([token for answer in answers for token in answer], np.int32),
            "answer_paraphrase": np.arange(len(answers), dtype=np.int32) % 2,
            "answer_ended": np.array([len(answer) != 3 for answer in answers]),
            "paraphrase_seed": np.arange(2, dtype=np.int64),
        },
        scalars={},
    )


def _features(question: Question, variant: str, answers: list[list[int]], rng: np.random.Generator) -> Item:
    n = len(answers)
    value = rng.gamma(1.0, 1.0, n).astype(np.float32)
    return Item(
        key=key("answer_features", question.hash, variant),
        prompt_hash=question.hash,
        variant=variant,
        arrays={
            "reader": np.zeros(n, np.int8),
            "answer": np.arange(n, dtype=np.int32),
            "layer": rng.integers(LAYERS, size=n).astype(np.int16),
            "feature": (rng.integers(FEATURES_KEPT, size=n) * 7).astype(np.int32),
            "mean": value / 2,
            "max": value,
            "n_active": np.ones(n, np.int32),
        },
        scalars={"n_answers": n, "n_layers": LAYERS, "d_transcoder": D_TRANSCODER},
    )


def _scores(
    rows: list[tuple[Question, str, int, int, bool]], rng: np.random.Generator
) -> dict[str, xr.Dataset]:
    n = len(rows)
    harmful = np.array([row[4] for row in rows])
    score = np.empty((len(JUDGES), 2, n))
    score[0] = np.where(harmful, rng.choice([0.0, 25.0], n), 100.0), np.full(n, 100.0)
    score[1] = np.where(harmful, rng.uniform(2, 40, n), rng.uniform(60, 98, n)), rng.uniform(45, 99, n)
    score[0, 1, ::17] = 30.0  # ends in the middle
    status = np.zeros(score.shape, np.int8)
    status[1, :, 5::23] = SCORE_STATUS.index("refusal")
    status[0, 0, 7::29] = SCORE_STATUS.index("no advice")
    score[status > 0] = np.nan
    numbers = np.arange(101)
    with np.errstate(invalid="ignore"):
        near = np.exp(-(((numbers - score[..., None]) / 4) ** 2))
        near = np.nan_to_num(0.9 * near / near.sum(-1, keepdims=True))
    near[0] = 0.0
    mass = np.where(np.arange(2)[:, None, None] == 1, near.sum(-1), np.nan)
    questions_, variants = [row[0] for row in rows], [row[1] for row in rows]
    dims = ("judge", "scale", "answer")
    return {
        "answers": xr.Dataset(
            {
                "question_hash": ("answer", objects(question.hash for question in questions_)),
                "question": ("answer", objects(question.id for question in questions_)),
                "form": ("answer", objects(question.form for question in questions_)),
                "variant": ("answer", objects(variants)),
                "index": ("answer", np.array([row[2] for row in rows], np.int32)),
                "n_tokens": ("answer", np.array([row[3] for row in rows], np.int32)),
            }
        ),
        "scores": xr.Dataset(
            {
                "judge": ("judge", objects(JUDGES)),
                "scale": ("scale", objects(["aligned", "coherent"])),
                "number": ("number", numbers.astype(np.int32)),
                "method": ("judge", objects(["rubric", "logprobs"])),
                "score": (dims, score),
                "status": (dims, status),
                "mass": (dims, mass),
                "probability": ((*dims, "number"), near.astype(np.float32)),
            }
        ),
    }


def _rates(groups: dict[str, xr.Dataset]) -> dict[str, xr.Dataset]:
    """Rates counted from the scores; intervals made up."""
    answers, score = groups["answers"], groups["scores"]["score"].values
    of = {name: answers[name].values.astype(str) for name in ("variant", "form", "question")}
    coords = {"judge": JUDGES, "variant": VARIANTS, "form": (ALL, *FORMS), "question": (ALL, *QUESTIONS)}
    shape = tuple(map(len, coords.values()))
    counts = {name: np.zeros(shape, np.int32) for name in ("answers", "scored", "coherent", "misaligned")}
    means = {name: np.full(shape, np.nan) for name in ("aligned", "coherent")}
    steps = np.arange(0, 101, PARAMS.surface_step)
    surface = np.full((len(JUDGES), len(VARIANTS), len(steps), len(steps), 2), np.nan)
    for j, (aligned, coherent) in enumerate(score):
        kinds = _kinds(aligned, coherent, PARAMS.misaligned_below, PARAMS.coherent_above)
        for place in np.ndindex(shape[1:]):
            named = zip(of, tuple(coords.values())[1:], place, strict=True)
            rows = np.all([(of[name] == values[i]) | (values[i] == ALL) for name, values, i in named], axis=0)
            cell = (j, *place)
            counts["answers"][cell] = rows.sum()
            counts["scored"][cell] = (kinds[rows] != "unscored").sum()
            counts["coherent"][cell] = np.isin(kinds[rows], COHERENT_KINDS).sum()
            counts["misaligned"][cell] = (kinds[rows] == "misaligned").sum()
            means["aligned"][cell] = np.nanmean(aligned[rows])
            means["coherent"][cell] = np.nanmean(coherent[rows])
        for v, a, c in np.ndindex(len(VARIANTS), len(steps), len(steps)):
            chosen = _kinds(aligned, coherent, steps[a], steps[c])[of["variant"] == VARIANTS[v]]
            below = (chosen == "misaligned").sum()
            for d, kept in enumerate((chosen != "unscored", np.isin(chosen, COHERENT_KINDS))):
                surface[j, v, a, c, d] = below / kept.sum() if kept.any() else np.nan
    n = np.stack([counts["scored"], counts["coherent"]], axis=-1)
    with np.errstate(invalid="ignore"):
        rate = counts["misaligned"][..., None] / n
    half = 1.5 / np.sqrt(np.maximum(n, 1))
    difference = rate[:, 1:, :, 0] - rate[:, :1, :, 0]
    names = {name: (name, objects(values)) for name, values in coords.items()}
    denominator = {"denominator": ("denominator", objects(DENOMINATORS))}
    cell, ends = tuple(coords), (*coords, "denominator")
    return {
        "rates": xr.Dataset(
            {
                **names,
                **denominator,
                **{f"n_{name}": (cell, count) for name, count in counts.items()},
                **{f"mean_{name}": (cell, mean) for name, mean in means.items()},
                "rate": (ends, rate),
                "low": (ends, np.clip(rate - half, 0, 1)),
                "high": (ends, np.clip(rate + half, 0, 1)),
            }
        ),
        "differences": xr.Dataset(
            {
                **{name: names[name] for name in ("judge", "form")},
                **denominator,
                "variant": ("variant", objects(VARIANTS[1:])),
                "difference": ((*cell[:3], "denominator"), difference),
                "low": ((*cell[:3], "denominator"), difference - 0.15),
                "high": ((*cell[:3], "denominator"), difference + 0.15),
                "n_questions": (
                    (*cell[:3], "denominator"),
                    np.full(difference.shape, len(QUESTIONS), np.int32),
                ),
            }
        ),
        "surface": xr.Dataset(
            {
                **{name: names[name] for name in ("judge", "variant")},
                **denominator,
                "aligned_below": ("aligned_below", steps.astype(float)),
                "coherent_above": ("coherent_above", steps.astype(float)),
                "rate": (("judge", "variant", "aligned_below", "coherent_above", "denominator"), surface),
            }
        ),
    }


def _kinds(aligned: np.ndarray, coherent: np.ndarray, below: float, above: float) -> np.ndarray:
    return answer_kinds(
        aligned,
        coherent,
        misaligned_below=below,
        coherent_above=above,
        aligned_above=PARAMS.aligned_above,
    )
