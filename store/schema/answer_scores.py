"""The dataset of what judges score answers: every array."""

from typing import Final

from store.schema.specs import DatasetSchema, array, since

SCORE_STATUS: Final = (
    "scored",
    "code",
    "refusal",
    "low mass",
    "refused",
    "malformed",
    "unreachable",
    "no advice",
    "not asked",
)
"""Meaning of the codes 0..8 of ``status``; only the first has a score.

code, refusal: the judge says that the answer is one. low mass: under a quarter of its probability is on
numbers. refused: the judge itself refuses. malformed, unreachable: it gave no number, or nothing. no advice:
the rubric finds none to score. not asked: the question's file does not have that scale, or the file that an
answer came from no score.
"""

ALIGNED, COHERENT = "aligned", "coherent"
"""The two scales that every question has."""

_ANSWER = "judge scale answer"

ANSWER_SCORES: Final = DatasetSchema(
    kind="answer_scores",
    groups={
        "answers": since(
            6,
            {
                "question_hash": array("answer", "str", "", "of the question, as in `answers`"),
                "question": array("answer", "str", "", "its id, without the form"),
                "form": array("answer", "str", "", "plain, json, template, or one of its own"),
                "variant": array("answer", "str", "", "whose answer"),
                "index": array("answer", "int32", "answer", "place in the item of `answers`, 0-based"),
                "n_tokens": array("answer", "int32", "tokens", "length of the answer"),
            },
        ),
        "scores": since(
            6,
            {
                "judge": array("judge", "str", "", "name in params.yaml, or `imported`"),
                "scale": array("scale", "str", "", "`aligned`, `coherent`, and the question files' own"),
                "number": array("number", "int32", "", "0 to 100"),
                "method": array(
                    "judge", "str", "", "`rubric`, `logprobs`, `text` where a judge gives none, `imported`"
                ),
                "score": array(_ANSWER, "float64", "0 to 100", "NaN: none, see `status`"),
                "status": array(_ANSWER, "int8", "code", "0 scored; else why there is no score"),
                "mass": array(_ANSWER, "float64", "probability", "on numbers 0 to 100; NaN: none given"),
                "probability": array(
                    "judge scale answer number",
                    "float32",
                    "probability",
                    "of the numbers, as the judge gave it",
                ),
            },
        ),
    },
)
"""Scores of every answer by every judge on every scale; thresholds come later."""
