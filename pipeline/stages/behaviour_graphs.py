"""Stage `behaviour_graphs`: graphs of what makes base and the focus adapter answer a behaviour."""

from pipeline.behaviours.circuit_units import graph_units, traced_prompts
from pipeline.behaviours.protocol import NOT_NAMED
from pipeline.behaviours.published import publish_behaviour
from pipeline.items.subject import Subject
from pipeline.params.project import Params
from pipeline.run.behaviour_stage import run_behaviour_stage
from store.documents.behaviour_prompts import BEHAVIOUR_PROMPTS, read_behaviour_prompts
from store.schema.circuits import BEHAVIOUR_GRAPHS


def main(profile: str, behaviour: str, params: Params) -> None:
    """Write graphs of a behaviour's prompts; stage `circuits` finds what is the same over them."""
    subject, chosen = Subject(profile, params.runtime), params.circuits
    stored = read_behaviour_prompts(subject.folder / BEHAVIOUR_PROMPTS, [behaviour])
    prompts = traced_prompts(stored, chosen.graphs)
    units = graph_units(subject, prompts, subject.pair, chosen)
    sections = {"circuits": chosen.model_dump()}
    publish_behaviour(subject, "behaviour_graphs", behaviour, units, BEHAVIOUR_GRAPHS, sections)
    if not prompts:
        print(f"behaviour_graphs of {behaviour}: {NOT_NAMED}")


if __name__ == "__main__":
    run_behaviour_stage(main)
