"""Units of behaviours' features: which prompts, positions and layers are read. No torch."""

from collections.abc import Sequence
from typing import Final

from pipeline.behaviours.circuit_units import until_decision
from pipeline.behaviours.forced_units import by_split
from pipeline.items.code import QualifiedName
from pipeline.items.subject import Subject
from pipeline.items.units import Unit, make_unit
from pipeline.params.circuits import BehaviourFeatureParams
from store.base.errors import UserError
from store.documents.behaviour_prompts import BehaviourPrompt
from store.schema.circuits import BEHAVIOUR_FEATURES

COMPUTE: Final = QualifiedName("pipeline.behaviours.prompt_features", "compute_prompt_features")
_FEW: Final = 5


def read_positions(prompt: BehaviourPrompt, rule: str) -> list[int]:
    """Positions of `until_decision` that are read: the prompt's `last` token or its `last_five`, the one
    that says the `decision`, or `all` behind the first."""
    end, decision = len(prompt.token_ids), len(until_decision(prompt)) - 1
    return {
        "last": [end - 1],
        "last_five": list(range(max(1, end - _FEW), end)),
        "decision": [decision],
        "all": list(range(1, decision + 1)),
    }[rule]


def read_layers(params: BehaviourFeatureParams, n_layers: int) -> list[int]:
    """Which layers of the model are read.

    Raises
    ------
    UserError
        The model lacks one of them, or one of a band's.
    """
    named = {"layers": params.layers or [], **{f"bands.{name}": band for name, band in params.bands.items()}}
    for name, layers in named.items():
        for layer in layers:
            if layer >= n_layers:
                raise UserError(
                    f"params.yaml: behaviour_features.{name} names layer {layer}, but the model's layers are "
                    f"0 to {n_layers - 1}."
                )
    return sorted(params.layers) if params.layers is not None else list(range(n_layers))


def feature_units(
    subject: Subject,
    prompts: Sequence[BehaviourPrompt],
    variants: Sequence[str],
    params: BehaviourFeatureParams,
) -> list[Unit]:
    """A unit a behaviour, split and variant. Raises as `read_layers`."""
    layers = read_layers(params, subject.manifest.model.n_layers)
    return [
        make_unit(
            COMPUTE,
            prompt_hash=of,
            token_ids=(),
            variants=[variant],
            outputs=[(BEHAVIOUR_FEATURES.kind, variant)],
            arguments={
                "prompts": [list(until_decision(each)) for each in part],
                "positions": [read_positions(each, params.positions) for each in part],
                "layers": layers,
                **params.model_dump(include={"top", "values", "batch"}),
            },
            manifest=subject.manifest,
            runtime=subject.runtime,
        )
        for of, part in by_split(prompts).items()
        for variant in variants
    ]
