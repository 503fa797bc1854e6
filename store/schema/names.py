"""The dataset of names that judges give features: every array."""

from typing import Final

from store.schema.rankings import OF_FEATURE
from store.schema.specs import DatasetSchema, array

NAME_STATUSES: Final = ("scored", "unscored", "no contexts", "refused", "malformed", "unreachable")
"""Meaning of the codes 0..5 of ``status``.

unscored: it has a name, and too few contexts to hold it against. no contexts: none to name it by. The last
three are how a judge answered in place of a name, or of a prediction; a name that was given stands all the
same.
"""

_OF_NAME: Final = "judge feature"

NAMES: Final = DatasetSchema(
    kind="names",
    groups={
        "names": {
            **OF_FEATURE,
            "judge": array("judge", "str", "", "who named"),
            "name": array(_OF_NAME, "str", "", "at most six words, from half of its contexts; empty: none"),
            "balanced_accuracy": array(
                _OF_NAME,
                "float64",
                "share",
                "right of who is told the name, and asked of the other half and of as many contexts where "
                "the feature is silent whether it fires; NaN: not scored",
            ),
            "low": array(
                _OF_NAME, "float64", "share", "exact interval over contexts, lower; NaN: not scored"
            ),
            "high": array(_OF_NAME, "float64", "share", "exact interval, upper"),
            "shuffled_accuracy": array(
                _OF_NAME,
                "float64",
                "share",
                "the same of who is told another feature's name; NaN: not scored, or none other",
            ),
            "n_contexts": array("feature", "int32", "contexts", "asked of; in half of them it fires"),
            "status": array(
                _OF_NAME, "int8", "code", "scored, unscored, no contexts, refused, malformed, unreachable"
            ),
            "detail": array(_OF_NAME, "str", "", "what went wrong; empty: nothing"),
        },
    },
)
