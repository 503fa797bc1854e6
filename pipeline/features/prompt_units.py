"""Units of work that read a prompt and wait for no label: who has the models in memory computes them, too."""

from collections.abc import Mapping, Sequence
from typing import Final

from pipeline.items.code import QualifiedName
from pipeline.items.subject import Subject
from pipeline.items.units import Unit
from store.documents.variants import BASE
from store.schema.activations import ACTIVATIONS
from store.schema.gates import GATES

COMPUTE_ACTIVATIONS: Final = QualifiedName("pipeline.features.activations", "compute_activations")
COMPUTE_GATES: Final = QualifiedName("pipeline.attribution.component_gates", "compute_gates")


def activation_units(subject: Subject) -> list[Unit]:
    """Features of every variant on every prompt."""
    return [
        subject.unit(COMPUTE_ACTIVATIONS, prompt, [variant], [(ACTIVATIONS.kind, variant)], {})
        for variant in subject.variants
        for prompt in subject.prompts.values()
    ]


def gate_units(subject: Subject, prompts: Mapping[str, Sequence[str]]) -> list[Unit]:
    """How strongly LoRA components act at each token, in those variants of each prompt that are adapted."""
    return [
        subject.unit(COMPUTE_GATES, subject.prompts[prompt], [variant], [(GATES.kind, variant)], {})
        for prompt, variants in prompts.items()
        for variant in variants
        if variant != BASE
    ]
