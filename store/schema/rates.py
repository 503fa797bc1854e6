"""The dataset of rates of outcomes: every array."""

from typing import Final

from store.schema.specs import DatasetSchema, array

RATES: Final = DatasetSchema(
    kind="rates",
    groups={
        "rates": {
            "variant": array("variant", "str", "", "variant"),
            "domain": array("domain", "str", "", "`all` or a domain"),
            "split": array("split", "str", "", "`seen` or `held-out` situations"),
            "outcome": array("outcome", "str", "", "harmful, safe, neither"),
            "n": array("variant domain split", "int32", "samples", "samples; 0 where there are none"),
            "n_situations": array("variant domain split", "int32", "situations", "situations sampled"),
            "rate": array("variant domain split outcome", "float64", "rate", "NaN where n is 0"),
            "low": array(
                "variant domain split outcome", "float64", "rate", "Wilson, effective sample size, lower"
            ),
            "high": array("variant domain split outcome", "float64", "rate", "Wilson, upper"),
        },
        "situations": {
            "variant": array("variant", "str", "", "variant"),
            "situation": array("situation", "str", "", "what the prompt is about"),
            "situation_domain": array("situation", "str", "", "its domain"),
            "situation_held_out": array("situation", "bool", "", "held out from all training"),
            "outcome": array("outcome", "str", "", "harmful, safe, neither"),
            "n": array("variant situation", "int32", "samples", "samples"),
            "rate": array("variant situation outcome", "float64", "rate", "NaN where n is 0"),
        },
    },
)
