"""So many answers to some questions, as units under settings ask for them: wordings in turn, seeds fixed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

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
    """

    questions: tuple[Question, ...]
    each: int
    seed: int
    sampling: Mapping[str, Any]

    @property
    def question(self) -> list[int]:
        """(answer,) which question it is to."""
        return [number for number in range(len(self.questions)) for _ in range(self.each)]

    @property
    def wordings(self) -> list[Paraphrase]:
        """(answer,) the wording that is asked."""
        return [
            question.paraphrases[row % len(question.paraphrases)]
            for question in self.questions
            for row in range(self.each)
        ]

    @cached_property
    def arguments(self) -> dict[str, Any]:
        """Of `pipeline.interventions.steered_answers.compute_answers`, but for the setting.

        Prompts and random numbers are those of the collection `answers`.
        """
        prompts: list[list[int]] = []
        asked: list[int] = []
        seeds: list[int] = []
        for question in self.questions:
            own = sampling_arguments(question, seed=self.seed, samples=self.each, batch=1, **self.sampling)
            wordings: Sequence[int] = [row % len(own["prompts"]) for row in range(self.each)]
            asked += [len(prompts) + wording for wording in wordings]
            seeds += [
                own["seeds"][wording] + row // len(own["prompts"]) for row, wording in enumerate(wordings)
            ]
            prompts += own["prompts"]
        return {"prompts": prompts, "asked": asked, "seeds": seeds, **self.sampling}
