"""What is read of answers, as arguments of a unit of `pipeline.features.answer_features`: without torch."""

from typing import Any

from store.collections.item import Item
from store.documents.questions import Question
from store.views.answers import answer_tokens


def reading_arguments(question: Question, answers: Item) -> dict[str, Any]:
    """Arguments of a unit: all that is read of the answers of one variant, so that others are another key."""
    return {
        "prompts": [list(paraphrase.token_ids) for paraphrase in question.paraphrases],
        "asked": answers.arrays["answer_paraphrase"].tolist(),
        "answers": answer_tokens(answers),
    }
