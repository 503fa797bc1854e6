"""Stage `candidates`: each variant's own candidates for the next token of every prompt."""

from pipeline.attribution.graph_units import candidate_units, variants_by_prompt
from pipeline.attribution.parameters import CANDIDATE_PARAMS
from pipeline.items.subject import Subject
from pipeline.params.project import Params
from pipeline.run.stage import run_stage
from store.schema.candidates import CANDIDATES


def main(profile: str, params: Params) -> None:
    """Write the candidates of a profile."""
    subject, graphs = Subject(profile, params.runtime), params.graphs
    units = candidate_units(subject, variants_by_prompt(subject, graphs.every_variant_tag), graphs)
    rule = graphs.model_dump(include=set(CANDIDATE_PARAMS))
    subject.write_failures("candidates", subject.publish("candidates", units, [CANDIDATES], {"graphs": rule}))


if __name__ == "__main__":
    run_stage(main, Params)
