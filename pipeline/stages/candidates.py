"""Stage `candidates`: each variant's own candidates for the next token of every prompt.

Where it has loaded the models, for a prompt is new, it computes what else waits for no label: the stages that
publish it find it in the cache, and load none.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from pipeline.attribution.graph_units import candidate_units, candidates_of, graph_unit, variants_by_prompt
from pipeline.attribution.parameters import CANDIDATE_PARAMS
from pipeline.features.prompt_units import activation_units, gate_units
from pipeline.items.collect import compute
from pipeline.items.subject import Subject
from pipeline.items.units import Unit
from pipeline.params.graphs import GraphParams
from pipeline.params.project import Params
from pipeline.run.stage import run_stage
from store.base.errors import StoreError, UserError
from store.collections.reader import open_collection
from store.schema.candidates import CANDIDATES
from store.schema.graphs import GRAPHS

FEW: Final = 8
"""New prompts whose graphs are traced here, too; of more, stage `graphs` says first how long they take."""


def graphs_of_few(subject: Subject, candidates: Sequence[Unit], graphs: GraphParams) -> list[Unit]:
    """Graphs of prompts that stage `graphs` has not traced yet, if these are few and wait for no label."""
    if graphs.trace == "evil":
        return []
    try:
        traced = set(open_collection(subject.folder / GRAPHS.kind).prompts())
    except StoreError:  # there are none yet, or they are to be made anew
        return []
    new = [unit for unit in candidates if unit.prompt_hash not in traced]
    if len({unit.prompt_hash for unit in new}) > FEW:
        return []
    own = candidates_of(new, subject.cache)
    return [graph_unit(subject, subject.prompts[prompt], of, graphs) for prompt, of in own.items()]


def main(profile: str, params: Params) -> None:
    """Write the candidates of a profile."""
    subject, graphs = Subject(profile, params.runtime), params.graphs
    variants = variants_by_prompt(subject, graphs.every_variant_tag)
    rule = graphs.model_dump(include=set(CANDIDATE_PARAMS))
    units = candidate_units(subject, variants, graphs)
    subject.write_failures("candidates", subject.publish("candidates", units, [CANDIDATES], {"graphs": rule}))
    if subject.source.loaded:
        for others, folder in (
            (activation_units(subject), subject.folder),
            (gate_units(subject, variants), subject.folder),
            (graphs_of_few(subject, units, graphs), None),  # no store holds any of them
        ):
            # What cannot be computed is told by the stage that publishes it.
            with suppress(UserError):
                compute(
                    others,
                    models=subject.source,
                    cache=subject.cache,
                    folder=folder,
                    executor=subject.executor,
                )


if __name__ == "__main__":
    run_stage(main, Params)
