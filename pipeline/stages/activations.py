"""Stage `activations`: transcoder features of every variant on every prompt."""

from pipeline.features.prompt_units import activation_units
from pipeline.items.subject import Subject
from pipeline.params.project import Params
from pipeline.run.stage import run_stage
from store.schema.activations import ACTIVATIONS


def main(profile: str, params: Params) -> None:
    """Write the collection of activations."""
    subject = Subject(profile, params.runtime)
    units = activation_units(subject)
    failures = subject.publish("activations", units, [ACTIVATIONS], {"runtime": params.runtime.model_dump()})
    subject.write_failures("activations", failures)


if __name__ == "__main__":
    run_stage(main, Params)
