"""So many answers to some questions, as units under settings ask for them: wordings in turn, seeds fixed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from pipeline.evaluation.answer_items import sampling_arguments
from store.documents.questions import Paraphrase, Question


@dataclass(frozen=True, kw_only=True)
class Asking:
    """What is asked how often.

    Attributes
    ----------
    questions
        In the order of the answers.
    each
        Answers to each question.
    seed
        Of the project.
    sampling
        `max_new_tokens`, `temperature` and `top_p`.
    rows
        Which of these answers are meant, ascending; None: all.
    """

    questions: tuple[Question, ...]
    each: int
    seed: int
    sampling: Mapping[str, Any]
    rows: tuple[int, ...] | None = None

    @property
    def places(self) -> list[tuple[int, int]]:
        """(answer,) which question it is to, and its place among the answers to that one."""
        rows = range(len(self.questions) * self.each) if self.rows is None else self.rows
        return [divmod(row, self.each) for row in rows]

    @property
    def question(self) -> list[int]:
        """(answer,) which question it is to."""
        return [number for number, _ in self.places]

    @property
    def wordings(self) -> list[Paraphrase]:
        """(answer,) the wording that is asked."""
        asked = [(self.questions[number].paraphrases, place) for number, place in self.places]
        return [wordings[place % len(wordings)] for wordings, place in asked]

    def parts(self, ends: Sequence[int]) -> list["Asking"]:
        """All these answers in an order that the seed draws, in parts that end after so many of them.

        An answer is the same in a part and among all, but where a draw lies within the last bits of a logit,
        which hang on who shares the batch.

        Parameters
        ----------
        ends
            Ascending; the last is the number of all answers.
        """
        order = np.random.default_rng(self.seed).permutation(len(self.question)).tolist()
        return [replace(self, rows=tuple(sorted(order[start:end]))) for start, end in pairwise([0, *ends])]

    @cached_property
    def arguments(self) -> dict[str, Any]:
        """Of `pipeline.interventions.steered_answers.compute_answers`, but for the setting.

        Prompts and random numbers are those of the collection `answers`.
        """
        prompts: list[list[int]] = []
        starts: list[int] = []
        first_seeds: list[list[int]] = []
        for question in self.questions:
            own = sampling_arguments(question, seed=self.seed, samples=self.each, batch=1, **self.sampling)
            starts.append(len(prompts))
            prompts += own["prompts"]
            first_seeds.append(own["seeds"])
        asked: list[int] = []
        seeds: list[int] = []
        for number, place in self.places:
            time, wording = divmod(place, len(first_seeds[number]))
            asked.append(starts[number] + wording)
            seeds.append(first_seeds[number][wording] + time)
        return {"prompts": prompts, "asked": asked, "seeds": seeds, **self.sampling}
