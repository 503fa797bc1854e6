"""Stage `activations`: transcoder features of every variant on every prompt."""

from typing import Final

from pipeline.items.code import QualifiedName
from pipeline.items.subject import Subject
from pipeline.params.project import Params
from pipeline.run.stage import run_stage
from store.schema.activations import ACTIVATIONS

COMPUTE: Final = QualifiedName("pipeline.features.activations", "compute_activations")


def main(profile: str, params: Params) -> None:
    """Write the collection of activations."""
    subject = Subject(profile, params.runtime)
    units = [
        subject.unit(COMPUTE, prompt, [variant], [(ACTIVATIONS.kind, variant)], {})
        for variant in subject.variants
        for prompt in subject.prompts.values()
    ]
    failures = subject.publish("activations", units, [ACTIVATIONS], {"runtime": params.runtime.model_dump()})
    subject.write_failures("activations", failures)


if __name__ == "__main__":
    run_stage(main, Params)
