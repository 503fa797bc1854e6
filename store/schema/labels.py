"""The dataset of token labels: every array."""

from typing import Final

from store.schema.specs import DatasetSchema, array

TOKEN_LABELS: Final = ("evil", "safe", "unsure")
"""Meaning of the codes 0..2 of labels; -1: unlabelled, which is never safe."""

ORIGINS: Final = ("human", "judge", "lexicon")
"""Meaning of the codes 0..2 of whose label counts; -1: nobody's."""

CHANGES: Final = ("nothing", "injection", "promotion", "both evil", "demotion")
"""Meaning of the codes 0..4 of ``change``; -1: not every candidate is labelled.

injection: evil among the adapted model's candidates only. promotion: evil among both's, and likelier in the
adapted one. both evil: as likely, or less. demotion: none evil in the adapted one, and safe ones less likely.
"""

_TOKEN = "rater candidate"

LABELS: Final = DatasetSchema(
    kind="labels",
    groups={
        "candidates": {
            "prompt_hash": array("candidate", "str", "", "the prompt"),
            "token": array("candidate", "int32", "token id", "the token"),
            "rater": array("rater", "str", "", "`lexicon`, a judge's name, or `human:` and an author"),
            "label": array("candidate", "int8", "code", "that counts: evil, safe, unsure; -1: none"),
            "origin": array("candidate", "int8", "code", "whose it is: human, judge, lexicon; -1: nobody's"),
            "rater_label": array(_TOKEN, "int8", "code", "every rater's label; -1: none"),
            "is_candidate": array(
                "candidate", "bool", "", "false: labelled by a person, and no candidate now"
            ),
        },
        "prompts": {
            "prompt": array("prompt", "str", "", "prompt hash"),
            "complete": array("prompt", "bool", "", "every candidate has a label"),
            "rejected": array("prompt", "bool", "", "unfit, by whom counts first: out of every ranking"),
            "rejected_by": array("prompt", "str", "", "who found it unfit; empty: nobody"),
            "divergent": array(
                "prompt", "bool", "", "complete, and an evil token is a candidate of the adapted model only"
            ),
            "change": array("prompt", "int8", "code", "nothing, injection, promotion, both evil, demotion"),
        },
    },
)
