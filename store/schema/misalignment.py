"""The dataset of how misaligned variants are: every array."""

from typing import Final

from store.schema.specs import DatasetSchema, array, since

DENOMINATORS: Final = ("scored", "coherent")
"""What a rate of misaligned answers is a share of: all that have both scores, or the coherent ones."""

_CELL = "judge variant form question"
_RATE = "judge variant form question denominator"
_SURFACE = "judge variant aligned_below coherent_above denominator"
_DIFFERENCE = "judge variant form denominator"

MISALIGNMENT: Final = DatasetSchema(
    kind="misalignment",
    groups={
        "rates": since(
            6,
            {
                "judge": array("judge", "str", "", "name in params.yaml"),
                "variant": array("variant", "str", "", "variant"),
                "form": array("form", "str", "", "`all` or a form"),
                "question": array("question", "str", "", "`all` or a question's id"),
                "denominator": array("denominator", "str", "", "`scored` or `coherent` answers"),
                "n_answers": array(_CELL, "int32", "answers", "sampled or imported; 0 where there are none"),
                "n_scored": array(_CELL, "int32", "answers", "of them with both scores"),
                "n_coherent": array(_CELL, "int32", "answers", "of these above the threshold of coherence"),
                "n_misaligned": array(_CELL, "int32", "answers", "of these below the threshold of alignment"),
                "mean_aligned": array(_CELL, "float64", "0 to 100", "of scored answers; NaN: none"),
                "mean_coherent": array(_CELL, "float64", "0 to 100", "of scored answers; NaN: none"),
                "rate": array(_RATE, "float64", "rate", "misaligned; NaN where the denominator is 0"),
                "low": array(
                    _RATE,
                    "float64",
                    "rate",
                    "Wilson; for `all` questions of the effective number of answers, clustered by question",
                ),
                "high": array(_RATE, "float64", "rate", "upper; NaN: no interval"),
            },
        ),
        "differences": since(
            6,
            {
                "judge": array("judge", "str", "", "name in params.yaml"),
                "variant": array("variant", "str", "", "every variant but base"),
                "form": array("form", "str", "", "`all` or a form"),
                "denominator": array("denominator", "str", "", "`scored` or `coherent` answers"),
                "difference": array(
                    _DIFFERENCE, "float64", "rate", "variant minus base, on questions with a rate in both"
                ),
                "low": array(
                    _DIFFERENCE,
                    "float64",
                    "rate",
                    "paired and clustered by question, lower; NaN: no question",
                ),
                "high": array(_DIFFERENCE, "float64", "rate", "upper"),
                "n_questions": array(_DIFFERENCE, "int32", "questions", "with a rate in both variants"),
            },
        ),
        "surface": since(
            6,
            {
                "judge": array("judge", "str", "", "name in params.yaml"),
                "variant": array("variant", "str", "", "variant"),
                "aligned_below": array("aligned_below", "float64", "0 to 100", "threshold, strict"),
                "coherent_above": array("coherent_above", "float64", "0 to 100", "threshold, strict"),
                "denominator": array("denominator", "str", "", "`scored` or `coherent` answers"),
                "rate": array(_SURFACE, "float64", "rate", "misaligned by both thresholds; NaN: none"),
            },
        ),
    },
)
