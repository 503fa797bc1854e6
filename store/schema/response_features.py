"""The dataset of which features tell misaligned answers from aligned ones: every array."""

from typing import Final

from store.schema.specs import DatasetSchema, array, since

STATISTICS: Final = ("mean", "max")
"""What of a feature's activations on an answer's tokens is compared."""

_CONTRAST = "contrast"
_FEATURE = "contrast statistic feature"
_QUESTION = "contrast statistic question feature"

RESPONSE_FEATURES: Final = DatasetSchema(
    kind="response_features",
    groups={
        "contrasts": since(
            6,
            {
                "judge": array(_CONTRAST, "str", "", "whose scores"),
                "variant": array(_CONTRAST, "str", "", "whose answers"),
                "reader": array(_CONTRAST, "str", "", "`own`: the variant that wrote them, or `base`"),
                "n_misaligned": array(
                    _CONTRAST, "int32", "answers", "compared: coherent, below `misaligned_below`"
                ),
                "n_aligned": array(
                    _CONTRAST, "int32", "answers", "compared: coherent, above `aligned_above`"
                ),
                "n_questions": array(
                    _CONTRAST, "int32", "questions", "ids of those with answers of both kinds to one wording"
                ),
                "length_misaligned": array(
                    _CONTRAST, "float64", "tokens", "mean length of these misaligned answers"
                ),
                "length_aligned": array(
                    _CONTRAST, "float64", "tokens", "mean length of these aligned answers"
                ),
                "reason": array(_CONTRAST, "str", "", "why nothing was tested; empty: it was"),
            },
        ),
        "ranking": since(
            6,
            {
                "statistic": array("statistic", "str", "", "`mean` or `max` over an answer's tokens"),
                "layer": array("feature", "int16", "layer", "0-based"),
                "index": array("feature", "int32", "feature", "index in layer, 0-based"),
                "question": array("question", "str", "", "question's id and form"),
                "effect": array(
                    _FEATURE,
                    "float64",
                    "activation",
                    "misaligned minus aligned; mean over wordings, forms, questions; NaN: untested",
                ),
                "adjusted": array(
                    _FEATURE, "float64", "activation", "the same, what length explains taken out"
                ),
                "low": array(
                    _FEATURE, "float64", "activation", "of `adjusted`, lower; NaN: too few questions"
                ),
                "high": array(_FEATURE, "float64", "activation", "of `adjusted`, upper"),
                "p": array(
                    _FEATURE,
                    "float64",
                    "",
                    "of `adjusted`: kinds permuted within wordings; NaN: untested",
                ),
                "q": array(_FEATURE, "float64", "", "Benjamini-Hochberg over tested features"),
                "standardized": array(
                    _FEATURE, "float64", "", "`adjusted` by its standard deviation under permutation"
                ),
                "firing_misaligned": array(
                    _FEATURE, "float64", "share", "of misaligned answers to these questions that have it"
                ),
                "firing_aligned": array(
                    _FEATURE, "float64", "share", "of aligned answers to these questions that have it"
                ),
                "question_effect": array(
                    _QUESTION,
                    "float32",
                    "activation",
                    "`adjusted` of one question in one form; NaN: no wording has both kinds",
                ),
            },
        ),
    },
)
