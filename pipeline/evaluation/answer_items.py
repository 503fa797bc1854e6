"""Items of the `answers` collection: what they are computed from, and how answers lie in them. No torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from pipeline.items.code import QualifiedName
from pipeline.items.units import ItemName
from store.base.hashing import digest
from store.collections.item import Item
from store.documents.questions import Question

SAMPLED: Final = QualifiedName("pipeline.evaluation.answers", "compute_answers")
IMPORTED: Final = QualifiedName("pipeline.evaluation.answers", "compute_imported")
NOT_SAMPLED: Final = -1
"""Seed of wordings whose answers come from a file."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer.

    Attributes
    ----------
    token_ids
        Without what ended it.
    paraphrase
        Which wording was asked, 0-based.
    ended
        Whether it came to an end; otherwise it was cut.
    """

    token_ids: Sequence[int]
    paraphrase: int
    ended: bool


def sampling_arguments(
    question: Question,
    *,
    seed: int,
    samples: int,
    max_new_tokens: int,
    temperature: float,
    top_p: float,
    batch: int,
) -> dict[str, Any]:
    """Arguments of a unit that samples answers; the same for every variant, random numbers included.

    Parameters
    ----------
    question
        What is asked.
    seed
        Of the project: each wording's own is made of it, the question and the wording.
    samples
        Answers, wordings in turn.
    max_new_tokens, temperature, top_p
        How they are sampled.
    batch
        Rows at once.
    """
    return {
        "prompts": [list(wording.token_ids) for wording in question.paraphrases],
        "seeds": [
            int(digest([seed, question.hash, number])[:15], 16) for number in range(len(question.paraphrases))
        ],
        "samples": samples,
        "max_new_tokens": max_new_tokens,
        "temperature": temperature,
        "top_p": top_p,
        "batch": batch,
    }


def answers_item(name: ItemName, answers: Sequence[Answer], seeds: Sequence[int]) -> Item:
    """An item of the `answers` collection, answers in their order, `seeds` those of the wordings."""
    start = np.cumsum([0, *(len(answer.token_ids) for answer in answers)])[:-1]
    arrays: Mapping[str, np.ndarray] = {
        "answer_start": start.astype(np.int32),
        "answer_token": np.array([token for answer in answers for token in answer.token_ids], np.int32),
        "answer_paraphrase": np.array([answer.paraphrase for answer in answers], np.int32),
        "answer_ended": np.array([answer.ended for answer in answers], bool),
        "paraphrase_seed": np.array(seeds, np.int64),
    }
    return Item(key=name.key, prompt_hash=name.prompt_hash, variant=name.variant, arrays=arrays, scalars={})
