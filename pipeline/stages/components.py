"""Stage `components`: what LoRA components point at, and how strongly they act at each token."""

from typing import Final

from pipeline.analysis.component_tables import component_groups, summary
from pipeline.attribution.graph_units import variants_by_prompt
from pipeline.items.code import QualifiedName
from pipeline.items.collect import compute
from pipeline.items.provenance import provenance
from pipeline.items.subject import Subject
from pipeline.items.units import Unit, make_unit
from pipeline.params.project import Params
from pipeline.run.reports import write_metrics
from pipeline.run.stage import run_stage
from store.base.hashing import PROMPT_HASH_DIGITS, digest
from store.datasets.groups import write_dataset
from store.documents.variants import BASE
from store.schema.components import COMPONENTS
from store.schema.gates import GATES

ROWS: Final = QualifiedName("pipeline.attribution.component_rows", "compute_component_rows")
COMPUTE_GATES: Final = QualifiedName("pipeline.attribution.component_gates", "compute_gates")
KIND: Final = "component_rows"


def row_units(subject: Subject, strongest: int) -> dict[str, Unit]:
    """What depends on no prompt: a unit an adapted variant."""
    arguments = {"strongest": strongest}
    return {
        variant: make_unit(
            ROWS,
            prompt_hash=digest(arguments)[:PROMPT_HASH_DIGITS],
            token_ids=(),
            variants=[variant],
            outputs=[(KIND, variant)],
            arguments=arguments,
            manifest=subject.manifest,
            runtime=subject.runtime,
        )
        for variant in subject.variants
        if variant != BASE
    }


def main(profile: str, params: Params) -> None:
    """Write components and gates of a profile."""
    subject, chosen = Subject(profile, params.runtime), params.components
    units = row_units(subject, chosen.strongest)
    compute(list(units.values()), models=subject.source, cache=subject.cache)
    found = {variant: subject.cache.get(KIND, unit.item(variant).key) for variant, unit in units.items()}
    groups = component_groups({variant: item for variant, item in found.items() if item is not None}, chosen)
    sections = {"components": chosen.model_dump(), "runtime": params.runtime.model_dump()}
    origin = provenance("components", subject.manifest, sections)
    write_dataset(subject.folder / COMPONENTS.kind, COMPONENTS, groups, provenance=origin)
    prompts = variants_by_prompt(subject, params.graphs.every_variant_tag)
    gates = [
        subject.unit(COMPUTE_GATES, subject.prompts[prompt], [variant], [(GATES.kind, variant)], {})
        for prompt, variants in prompts.items()
        for variant in variants
        if variant != BASE
    ]
    failures = subject.publish("components", gates, [GATES], sections)
    subject.write_failures("components", failures)
    write_metrics(subject.folder, "components", summary(groups, chosen.level))


if __name__ == "__main__":
    run_stage(main, Params)
