"""Answers to open questions as texts, from the collection `answers`."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pipeline.scoring.protocol import OpenAnswer
from pipeline.text.tokens import decode_after
from store.collections.reader import Collection
from store.documents.questions import Question
from store.views.answers import answer_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def read_answers(
    collection: Collection, questions: Sequence[Question], tokenizer: "PreTrainedTokenizerBase"
) -> Iterator[OpenAnswer]:
    """Every answer, in the order of the collection.

    Parameters
    ----------
    collection
        Of the kind `answers`.
    questions
        Those that it answers; items of others are left out.
    tokenizer
        The profile's.
    """
    by_hash = {question.hash: question for question in questions}
    for item in collection.items():
        question = by_hash.get(item.prompt_hash)
        if question is None:
            continue
        tokens = answer_tokens(item)
        for index, wording in enumerate(item.arrays["answer_paraphrase"].tolist()):
            asked = question.paraphrases[wording]
            yield OpenAnswer(
                question=question,
                variant=item.variant,
                index=index,
                asked=asked.text,
                text=decode_after(tokenizer, asked.token_ids, tokens[index]),
                n_tokens=len(tokens[index]),
            )
