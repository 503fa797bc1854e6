"""The dataset of answers under steering: every array."""

from typing import Final

from store.schema.specs import ArraySpec, DatasetSchema, array, since

ADDED: Final = "added"
"""To base, at a strength."""
ABLATED: Final = "ablated"
"""In the adapted variant."""
SIDES: Final = (ADDED, ABLATED)

BASELINE: Final = "baseline"
FEATURE: Final = "feature"
SET: Final = "set"
RANDOM_FEATURE: Final = "random_feature"
RANDOM_SET: Final = "random_set"
RANDOM_DIRECTION: Final = "random_direction"
NULL_FEATURE: Final = "null_feature"
MEAN_DIFFERENCE: Final = "mean_difference"
KINDS: Final = (
    *(BASELINE, FEATURE, SET, RANDOM_FEATURE, RANDOM_SET, RANDOM_DIRECTION, NULL_FEATURE, MEAN_DIFFERENCE),
)
"""What is done: nothing; a candidate; or what candidates are held against."""

_JUDGED: Final = "answers to the measured questions with both scores, or incoherent, at all of the strength"


def _counts(dims: str, of: str) -> dict[str, ArraySpec]:
    return {
        "n_judged": array(dims, "int32", "answers", of),
        "n_coherent": array(dims, "int32", "answers", "of these above the threshold of coherence"),
        "n_misaligned": array(dims, "int32", "answers", "of these below the threshold of alignment"),
    }


STEERED: Final = DatasetSchema(
    kind="steered",
    groups={
        "entries": since(
            8,
            {
                "side": array("entry", "str", "", "`added` (to base) or `ablated` (in the adapted variant)"),
                "variant": array("entry", "str", "", "whose weights"),
                "kind": array("entry", "str", "", f"`{'`, `'.join(KINDS)}`"),
                "orders": array(
                    "entry",
                    "str",
                    "",
                    "which orders chose it, with commas; `answers`: the best on the other questions; of "
                    "`null_feature`, which adapters",
                ),
                "size": array("entry", "int32", "features", "together, or 1 direction"),
                "layer": array("entry", "int16", "layer", "0-based; -1: several"),
                "strength": array(
                    "entry",
                    "float64",
                    "lengths of the layer's MLP output",
                    "the largest tried that leaves enough answers coherent, on other questions; NaN: none",
                ),
                "reason": array("entry", "str", "", "why something is missing; empty: nothing is"),
                **_counts("entry", _JUDGED),
                "share": array(
                    "entry",
                    "float64",
                    "rate",
                    "of `n_judged`: misaligned (added), coherent and not misaligned (ablated); NaN: none",
                ),
                "misaligned": array("entry", "float64", "rate", "of `n_coherent`; NaN: none"),
                "coherent": array("entry", "float64", "rate", "of `n_judged`; NaN: none"),
                "effect": array(
                    "entry", "float64", "rate", "share minus that of the baseline, drawn alike; NaN: none"
                ),
                "low": array("entry", "float64", "rate", "paired and clustered by question, lower"),
                "high": array("entry", "float64", "rate", "upper"),
                "p": array(
                    "entry",
                    "float64",
                    "probability",
                    "share of random entries of as many features whose effect is as large, this one counted; "
                    "ablated: of features for features, of directions for the mean difference",
                ),
                "q": array(
                    "entry", "float64", "rate", "Benjamini-Hochberg over a side's candidates of one size"
                ),
                "place": array("entry", "int32", "place", "among a side's candidates, from 1; 0: none"),
                "facts_right": array(
                    "entry",
                    "float64",
                    "rate",
                    "right answer more probable than the wrong one; NaN: not asked",
                ),
                "facts_lost": array("entry", "float64", "rate", "the baseline's less this"),
            },
        ),
        "members": since(
            8,
            {
                "entry": array("member", "int32", "place", "row of `entries`, 0-based"),
                "layer": array("member", "int16", "layer", "0-based"),
                "index": array("member", "int32", "feature", "index in layer, 0-based"),
                "value": array(
                    "member", "float64", "activation", "added at the strength; NaN: none found; 0: ablated"
                ),
            },
        ),
        # Side effects on behaviours, of entries that are asked for them; capitals are among the entries.
        "abilities": since(
            10,
            {
                "ability": array("ability", "str", "", "a behaviour"),
                "n_prompts": array("ability", "int32", "prompts", "test prompts, each with two answers"),
                "ability_right": array(
                    "entry ability",
                    "float64",
                    "rate",
                    "the right answer is more probable a token; NaN: not asked",
                ),
                "ability_lost": array(
                    "entry ability", "float64", "rate", "that of the baseline, minus this one"
                ),
            },
        ),
        "doses": since(
            8,
            {
                "dose": array("dose", "float64", "", "share of the strength"),
                **_counts("entry dose", "as in entries; 0: not measured"),
            },
        ),
        "questions": since(
            8,
            {
                "question": array("question", "str", "", "id of a measured question"),
                **_counts("entry question", "as in entries, at all of the strength"),
            },
        ),
        "steps": since(
            8,
            {
                "strength": array("entry step", "float64", "as in entries", "tried; NaN: not"),
                "coherent": array(
                    "entry step", "float64", "rate", "of the answers judged, on the other questions"
                ),
            },
        ),
    },
)
