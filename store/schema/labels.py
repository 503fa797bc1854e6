"""The dataset of token labels: every array."""

from typing import Final

from store.schema.specs import DatasetSchema, array, since

TOKEN_LABELS: Final = ("evil", "safe", "unsure")
"""Meaning of the codes 0..2 of labels; -1: unlabelled, which is never safe."""

ORIGINS: Final = ("human", "judge", "lexicon")
"""Meaning of the codes 0..2 of whose label counts; -1: nobody's."""

CHANGES: Final = ("nothing", "injection", "promotion", "both evil", "demotion")
"""Meaning of the codes 0..4 of ``change``; -1: not every candidate is labelled.

injection: evil among the adapted model's candidates only. promotion: evil among both's, and likelier in the
adapted one. both evil: as likely, or less. demotion: none evil in the adapted one, and safe ones less likely.
"""

MEASURES: Final = (
    "agreement",
    "kappa",
    "kappa_evil",
    "alpha_unweighted",
    "precision_evil",
    "recall_evil",
    "false_alarm_evil",
)
"""What is told of two raters: the share of one label; Cohen's kappa of three labels, and of evil against
the rest; Krippendorff's alpha; of what the rater calls evil, the share that is so by the reference, and the
reverse; and of what is not evil by the reference, the share that the rater calls evil."""

_TOKEN = "rater candidate"
_MEASURED = "pair domain measure"
_CELL = "pair domain reference_label rater_label"
_PAIR: Final = {
    "reference": array("pair", "str", "", "the rater that the other is held against"),
    "rater": array("pair", "str", "", "the other"),
    "domain": array("domain", "str", "", "`all` or a domain"),
}

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
        "agreement": {
            **_PAIR,
            "measure": array(
                "measure", "str", "", "agreement, kappas, alpha; of evil: precision, recall, false alarms"
            ),
            "value": array(_MEASURED, "float64", "", "by weight of the draws but for alpha; NaN: undefined"),
            "low": array(_MEASURED, "float64", "", "interval over situations, lower; NaN: too few"),
            "high": array(_MEASURED, "float64", "", "interval, upper"),
            "n_items": array(_MEASURED, "int32", "candidates", "that it is of"),
            "n_situations": array(_MEASURED, "int32", "situations", "that they are of"),
            **since(
                8,
                {
                    "n_effective": array(
                        _MEASURED,
                        "float64",
                        "situations",
                        "that they are worth by the weights of their draws",
                    )
                },
            ),
        },
        "confusion": {
            **_PAIR,
            "n": array(_CELL, "int32", "candidates", "evil, safe, unsure by evil, safe, unsure"),
            "weight": array(_CELL, "float64", "candidates", "the same, each by how many it stands for"),
        },
    },
)
