"""A step of the bisection asks until its verdict is told, and no longer."""

from typing import cast

import numpy as np

from pipeline.analysis.steered_entries import Entry
from pipeline.analysis.steered_strengths import looks_of
from pipeline.analysis.steered_tables import coherent_share, tally
from pipeline.evaluation.asking import Asking
from pipeline.steered.measuring import Job, Measuring
from pipeline.steered.runs import until_told
from store.schema.steered import ADDED, FEATURE
from tests.support.answer_builders import PARAMS, make_question

LEAST = 0.75
EACH = 50
QUESTIONS = tuple(make_question(name, prompts=((1, 5), (1, 6))) for name in "abcd")


class Told:
    """Measures answers that are known: (job, answer) whether they are coherent, NaN: a judge is silent."""

    def __init__(self, coherent: np.ndarray) -> None:
        self.coherent = coherent
        self.asked = np.zeros(coherent.shape, int)

    def answers(self, jobs: list[Job], asking: Asking) -> list[np.ndarray | None]:
        """Counts by job, whose strength is its number; of a job below 0 nothing can be computed."""
        rows = list(asking.rows or ())
        found: list[np.ndarray | None] = []
        for _, number in jobs:
            self.asked[int(number), rows] += 1
            scores = 100 * self.coherent[int(number), rows]
            own = np.array(asking.question)
            counts = tally(own, np.where(scores > 0, 100.0, np.nan), scores, len(asking.questions), PARAMS)
            found.append(None if np.isnan(scores).all() else counts)
        return found


def test_a_step_has_the_verdict_of_all_answers_and_asks_few_of_them_where_it_is_plain() -> None:
    rng = np.random.default_rng(0)
    rates = np.array([0.0, 0.3, 0.6, 0.7, 0.74, 0.76, 0.8, 0.9, 1.0, 0.9, np.nan])
    coherent = (rng.random((len(rates), 4 * EACH)) < rates[:, None]).astype(float)
    coherent[9, ::3] = np.nan  # a judge that says nothing of a third
    coherent[10] = np.nan
    told = Told(coherent)
    asking = Asking(questions=QUESTIONS, each=EACH, seed=0, sampling={})
    looks = looks_of(4 * EACH, LEAST, [0.125, 0.25, 0.5, 0.75], 0.02)
    entry = Entry(side=ADDED, kind=FEATURE, members=((0, 0),))
    jobs = [(entry, float(number)) for number in range(len(rates))]
    counts = until_told(jobs, cast(Measuring, told), asking, looks)
    assert counts[10] is None
    assert told.asked.max() == 1, "no answer is asked for twice"
    n = told.asked.sum(axis=1)
    for number, each in enumerate(counts[:10]):
        assert each is not None
        known = coherent[number][told.asked[number] == 1]
        assert coherent_share(each) == np.nanmean(known)
        assert each[0].sum() == np.isfinite(known).sum()
        assert (coherent_share(each) >= LEAST) == (np.nanmean(coherent[number]) >= LEAST)
    assert set(n.tolist()) <= {look.answers for look in looks}
    assert n[[0, 1, 8]].tolist() == [25, 25, 25]
    assert n[4] > 100
    assert n[5] > 100
    assert n[9] == 200, "a third that may be anything leaves the verdict open"
    assert n[10] == 25


def test_parts_of_an_asking_are_its_answers_in_another_order() -> None:
    sampling = {"max_new_tokens": 5, "temperature": 1.0, "top_p": 1.0}
    whole = Asking(questions=QUESTIONS[:3], each=7, seed=3, sampling=sampling)
    parts = whole.parts([4, 11, 21])
    assert [len(part.question) for part in parts] == [4, 7, 10]
    rows = [row for part in parts for row in part.rows or ()]
    assert sorted(rows) == list(range(21))
    assert len(set(parts[0].question)) > 1, "drawn from all questions"
    for name in ("asked", "seeds"):
        joined = [each for part in parts for each in part.arguments[name]]
        assert [joined[rows.index(row)] for row in range(21)] == whole.arguments[name]
    assert all(part.arguments["prompts"] == whole.arguments["prompts"] for part in parts)
    wordings = [each for part in parts for each in part.wordings]
    assert [wordings[rows.index(row)] for row in range(21)] == whole.wordings
    assert whole.parts([4, 11, 21]) == parts
