"""Every parameter of the URL: what is selected for all pages, and what the widgets of each page say."""

from typing import Final

from dashboard.pages import (
    BEHAVIOURS,
    COMPARE,
    EVALUATION,
    FEATURES,
    INTERVENTIONS,
    LABELS,
    OVERVIEW,
    PROVENANCE,
    STEERING,
)
from dashboard.shell import forms
from dashboard.shell.parameter import Parameter, choice, number, short_text, switch
from store.documents.behaviour_prompts import SPLITS
from store.schema.answer_features import READERS
from store.schema.misalignment import DENOMINATORS
from store.schema.response_features import STATISTICS
from store.schema.vocabulary import CAUSAL, CIRCUIT_EXPERIMENTS, FROZEN, PARTNERED, PREDICTING

TYPED: Final = "typed prompt"
"""Value of `SOURCE` while a prompt is typed; it has none else."""


_VARIANT_FORM: Final = "a variant such as base or general@1.0"

PROFILE: Final = Parameter(name="profile", form="the name of a profile", fits=forms.is_profile)
A: Final = Parameter(name="a", form=_VARIANT_FORM, fits=forms.is_variant)
B: Final = Parameter(name="b", form=_VARIANT_FORM, fits=forms.is_variant)
PROMPT: Final = Parameter(name="prompt", form="a prompt hash (12 hex digits)", fits=forms.is_prompt_hash)
FEATURE: Final = Parameter(name="feature", form="a feature such as L2/618", fits=forms.is_feature)
PINS: Final = Parameter(name="pins", form="a list of graph nodes", fits=forms.is_pins)
ANSWER: Final = Parameter(
    name="answer", form="an answer such as 0123456789ab,general@1.0,7", fits=forms.is_answer
)
BEHAVIOUR_PROMPT: Final = Parameter(
    name="behaviour-prompt", form="a prompt hash (12 hex digits)", fits=forms.is_prompt_hash
)
SOURCE: Final = Parameter(name="source", form=f"“{TYPED}”", fits=forms.one_of(TYPED))
TEXT: Final = Parameter(
    name="typed-text", form=f"a text of at most {forms.MAX_TEXT:,} characters", fits=forms.is_text
)
DOMAIN: Final = Parameter(name="typed-domain", form="the name of a domain", fits=forms.is_name)

FIND: Final = short_text(OVERVIEW, "find", "a short text")
FOUND_DOMAIN: Final = short_text(OVERVIEW, "prompts-of", "the name of a domain")
FOUND_SPLIT: Final = choice(OVERVIEW, "prompts", "all prompts", "held out", "seen")
FOUND_ORDER: Final = short_text(OVERVIEW, "prompts-by", "an order of the prompts")

VIEW: Final = short_text(COMPARE, "view", "a tab of the page")
SHOW: Final = choice(COMPARE, "show", "Both", "Difference")
ADAPTERS: Final = switch(COMPARE, "adapters")
NODES: Final = number(COMPARE, "nodes")
EDGES: Final = number(COMPARE, "edges")
SCORED: Final = short_text(COMPARE, "scored", "a contrast or a candidate")
DOSED_BY: Final = choice(COMPARE, "against", "adapter scale", "training step")
WRITTEN_ON: Final = short_text(COMPARE, "written-on", "a contrast or a candidate")
WRITE_SCORE: Final = choice(COMPARE, "write-score", "direct", "total effect")
COMPONENT_MODULE: Final = short_text(COMPARE, "component-module", "a kind of module")
COMPONENT_VALUE: Final = choice(COMPARE, "component-value", "gate", "what it adds")
COMPONENT_SIDE: Final = choice(COMPARE, "component-side", "writes like", "is read by")

SCORE: Final = short_text(FEATURES, "score", "a score")
CONTRAST: Final = short_text(FEATURES, "contrast", "a contrast in words")
RANKED_DOMAIN: Final = short_text(FEATURES, "domain", "the name of a domain")
LAYER: Final = short_text(FEATURES, "layer", "a layer such as L2")
ORDER: Final = short_text(FEATURES, "order", "an order of the ranking")
TESTED: Final = switch(FEATURES, "tested")
CARRIED: Final = choice(FEATURES, "carried", "given", "taken", "with adapter")
CARD: Final = choice(FEATURES, "card", "Contexts", "Tokens", "Situations", "Activations", "Edges")
CONTEXTS: Final = short_text(FEATURES, "contexts", _VARIANT_FORM)

TRIED: Final = choice(INTERVENTIONS, "experiment", *(name.replace("_", " ") for name in CAUSAL))
TRIED_IN: Final = short_text(INTERVENTIONS, "tried-in", _VARIANT_FORM)
STILL: Final = choice(INTERVENTIONS, "frozen", *FROZEN)
TRIED_LAYER: Final = short_text(INTERVENTIONS, "tried-layer", "a layer such as L2")
TRIED_DOMAIN: Final = short_text(INTERVENTIONS, "tried-domain", "the name of a domain")
PREDICTED_BY: Final = choice(INTERVENTIONS, "predicted-by", *(name.replace("_", " ") for name in PREDICTING))

STEERED: Final = short_text(STEERING, "steered", _VARIANT_FORM)
STEER: Final = short_text(STEERING, "steer", "a feature such as L2/618")
MODE: Final = choice(STEERING, "mode", "set", "add", "multiply", "ablate", "inhibit", "patch", each=True)
VALUES: Final = {mode: number(STEERING, mode, each=True) for mode in ("set", "add", "multiply", "inhibit")}
WHERE: Final = short_text(STEERING, "where", "where a feature is turned", each=True)
POSITIONS: Final = short_text(STEERING, "positions", "a position of the prompt", each=True)
RANGE: Final = Parameter(
    name="range", form="a range of positions such as 2-5", fits=forms.is_range, page=STEERING, each=True
)
STEERED_STILL: Final = choice(STEERING, "steered-frozen", *FROZEN)
WATCH: Final = short_text(STEERING, "watch", "a token")
FROM: Final = short_text(STEERING, "continue-from", "a token")
DOSES: Final = switch(STEERING, "doses")
DOSE_OF: Final = short_text(STEERING, "doses-of", "tokens of one label, or a token")
SAMPLES: Final = number(STEERING, "samples")
LENGTH: Final = number(STEERING, "length")
TEMPERATURE: Final = number(STEERING, "temperature")
RECIPE: Final = short_text(STEERING, "recipe", "the name of a recipe")

CHOSEN: Final = choice(LABELS, "chosen", "drawn for me", "by hand")
LABELLED_DOMAIN: Final = short_text(LABELS, "labelled-domain", "the name of a domain")
LABELLED_STATE: Final = short_text(LABELS, "labelled", "how prompts stand")
DISCOVERED: Final = choice(LABELS, "discovered", "all", "fit", "failed", "rejected", "unjudged")

BEHAVIOUR: Final = short_text(BEHAVIOURS, "behaviour", "the name of a behaviour")
BEHAVIOUR_SPLIT: Final = choice(BEHAVIOURS, "split", "all", *SPLITS)
BEHAVIOUR_OF: Final = short_text(BEHAVIOURS, "behaviours-of", _VARIANT_FORM)
SUCCESS: Final = choice(BEHAVIOURS, "that", "all", "succeed", "do not")
FIND_BEHAVIOUR: Final = short_text(BEHAVIOURS, "find-behaviour", "a short text")
BEHAVIOUR_VIEW: Final = choice(BEHAVIOURS, "behaviour-view", "Answers", "Circuit", "Interventions")
BEHAVIOUR_TRIED: Final = choice(BEHAVIOURS, "behaviour-experiment", *PARTNERED)
BEHAVIOUR_LAYER: Final = short_text(BEHAVIOURS, "behaviour-layer", "a layer such as L2")
BEHAVIOUR_CLUSTER: Final = short_text(BEHAVIOURS, "behaviour-supernode", "the number of a supernode")
BEHAVIOUR_LEAST: Final = number(BEHAVIOURS, "least-effect")
BEHAVIOUR_FLIPS: Final = switch(BEHAVIOURS, "flips-only")
BEHAVIOUR_ONE_PROMPT: Final = switch(BEHAVIOURS, "this-prompt-only")
BEHAVIOUR_ONE_FEATURE: Final = switch(BEHAVIOURS, "this-feature-only")
BEHAVIOUR_HELD: Final = choice(BEHAVIOURS, "circuit-is", *CIRCUIT_EXPERIMENTS)

OUTCOME: Final = choice(EVALUATION, "outcome", "harmful", "safe", "neither")
SITUATION: Final = short_text(EVALUATION, "situation", "a situation")
EVALUATED: Final = choice(EVALUATION, "evaluated", "Open questions", "Pivotal prompts", "Steered")
JUDGE: Final = short_text(EVALUATION, "judge", "the name of a judge")
SHARE_OF: Final = choice(EVALUATION, "share-of", *DENOMINATORS)
OPEN_VIEW: Final = short_text(EVALUATION, "open", "a tab of the page")
ANSWERS_OF: Final = short_text(EVALUATION, "answers-of", _VARIANT_FORM)
ASKED: Final = short_text(EVALUATION, "asked", "a question")
FORM: Final = short_text(EVALUATION, "form", "a form of the questions")
KIND: Final = short_text(EVALUATION, "kind", "what answers are")
FIND_ANSWER: Final = short_text(EVALUATION, "find-answer", "a short text")
SHADE: Final = switch(EVALUATION, "shade")
READ_BY: Final = choice(EVALUATION, "read-by", *READERS)
SURFACE_OF: Final = short_text(EVALUATION, "surface-of", _VARIANT_FORM)
ERRORS: Final = choice(EVALUATION, "errors", "measured", "by hand")
FALSELY: Final = number(EVALUATION, "falsely-misaligned")
MISSED: Final = number(EVALUATION, "missed")
BETWEEN: Final = short_text(EVALUATION, "between", "a contrast of answers")
STATISTIC: Final = choice(EVALUATION, "statistic", *STATISTICS)
STEERED_SIDE: Final = choice(EVALUATION, "steered-side", "added to base", "ablated in the adapted model")
RESCORED: Final = {
    side: {
        "judge": short_text(EVALUATION, f"{side}-judge", "the name of a judge"),
        "below": number(EVALUATION, f"{side}-below"),
        "above": number(EVALUATION, f"{side}-above"),
    }
    for side in ("before", "after")
}

ARTIFACT: Final = short_text(PROVENANCE, "artifact", "the name of an artifact")

SELECTED: Final = (PROFILE, A, B, PROMPT, FEATURE, PINS, ANSWER, BEHAVIOUR_PROMPT, SOURCE, TEXT, DOMAIN)
"""Selected once for every page, kept in the session."""

TYPED_PROMPT: Final = (SOURCE, TEXT, DOMAIN)
"""Of a typed prompt in the selected one's place: that it is, its text, and the domain of its labels."""

PARAMETERS: Final = (
    *SELECTED,
    *(FIND, FOUND_DOMAIN, FOUND_SPLIT, FOUND_ORDER),
    *(VIEW, SHOW, ADAPTERS, NODES, EDGES, SCORED, DOSED_BY, WRITTEN_ON, WRITE_SCORE),
    *(COMPONENT_MODULE, COMPONENT_VALUE, COMPONENT_SIDE),
    *(SCORE, CONTRAST, RANKED_DOMAIN, LAYER, ORDER, TESTED, CARRIED, CARD, CONTEXTS),
    *(TRIED, TRIED_IN, STILL, TRIED_LAYER, TRIED_DOMAIN, PREDICTED_BY),
    *(STEERED, STEER, MODE, *VALUES.values(), WHERE, POSITIONS, RANGE, SAMPLES, LENGTH, TEMPERATURE, RECIPE),
    *(STEERED_STILL, WATCH, FROM, DOSES, DOSE_OF),
    *(CHOSEN, LABELLED_DOMAIN, LABELLED_STATE),
    *(BEHAVIOUR, BEHAVIOUR_SPLIT, BEHAVIOUR_OF, SUCCESS, FIND_BEHAVIOUR),
    *(BEHAVIOUR_VIEW, BEHAVIOUR_TRIED, BEHAVIOUR_LAYER, BEHAVIOUR_CLUSTER, BEHAVIOUR_LEAST),
    *(BEHAVIOUR_FLIPS, BEHAVIOUR_ONE_PROMPT, BEHAVIOUR_ONE_FEATURE, BEHAVIOUR_HELD),
    *(OUTCOME, SITUATION, EVALUATED, JUDGE, SHARE_OF, OPEN_VIEW),
    *(ANSWERS_OF, ASKED, FORM, KIND, FIND_ANSWER, SHADE, READ_BY),
    *(SURFACE_OF, ERRORS, FALSELY, MISSED, BETWEEN, STATISTIC, STEERED_SIDE),
    *(each for side in RESCORED.values() for each in side.values()),
    ARTIFACT,
)
"""All there are."""
