"""Stage `candidates`: each variant's own candidates for the next token of every prompt.

Where it has loaded the models, for a prompt is new, it computes what else waits for no label: the stages that
publish it find it in the cache, and load none.
"""

from contextlib import suppress

from pipeline.attribution.graph_units import candidate_units, variants_by_prompt
from pipeline.attribution.parameters import CANDIDATE_PARAMS
from pipeline.features.prompt_units import activation_units, gate_units
from pipeline.items.collect import compute
from pipeline.items.subject import Subject
from pipeline.params.project import Params
from pipeline.run.stage import run_stage
from store.base.errors import UserError
from store.schema.candidates import CANDIDATES


def main(profile: str, params: Params) -> None:
    """Write the candidates of a profile."""
    subject, graphs = Subject(profile, params.runtime), params.graphs
    variants = variants_by_prompt(subject, graphs.every_variant_tag)
    rule = graphs.model_dump(include=set(CANDIDATE_PARAMS))
    units = candidate_units(subject, variants, graphs)
    subject.write_failures("candidates", subject.publish("candidates", units, [CANDIDATES], {"graphs": rule}))
    if subject.source.loaded:
        for others in (activation_units(subject), gate_units(subject, variants)):
            # What cannot be computed is told by the stage that publishes it.
            with suppress(UserError):
                compute(
                    others,
                    models=subject.source,
                    cache=subject.cache,
                    folder=subject.folder,
                    executor=subject.executor,
                )


if __name__ == "__main__":
    run_stage(main, Params)
