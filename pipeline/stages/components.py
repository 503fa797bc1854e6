"""Stage `components`: what LoRA components point at, and how strongly they act at each token."""

from typing import Final

import xarray as xr

from pipeline.analysis.component_tables import component_groups, summary
from pipeline.attribution.graph_units import variants_by_prompt
from pipeline.features.prompt_units import gate_units
from pipeline.items.code import QualifiedName
from pipeline.items.collect import compute
from pipeline.items.provenance import provenance
from pipeline.items.subject import Subject
from pipeline.items.taken_over import TABLES, made_of, taken_over
from pipeline.items.units import Unit, make_unit
from pipeline.params.components import ComponentParams
from pipeline.params.project import Params
from pipeline.run.reports import write_metrics
from pipeline.run.stage import run_stage
from store.base.hashing import PROMPT_HASH_DIGITS, digest
from store.datasets.groups import write_dataset
from store.documents.variants import BASE
from store.schema.components import COMPONENTS
from store.schema.gates import GATES

ROWS: Final = QualifiedName("pipeline.attribution.component_rows", "compute_component_rows")
TABLES_BY: Final = QualifiedName("pipeline.analysis.component_tables", "component_groups")
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


def tables_of(subject: Subject, params: ComponentParams) -> tuple[dict[str, xr.Dataset], str]:
    """What components point at, and what decides it: where that is the same, it is taken over."""
    units = row_units(subject, params.strongest)
    keys = {variant: unit.key for variant, unit in units.items()}
    wanted = made_of([TABLES_BY], subject.runtime, [keys, params.model_dump()])
    if known := taken_over(subject.folder / COMPONENTS.kind, COMPONENTS.kind, wanted, COMPONENTS.groups):
        return known, wanted
    compute(list(units.values()), models=subject.source, cache=subject.cache, executor=subject.executor)
    found = {variant: subject.item(unit, KIND, unit.item(variant)) for variant, unit in units.items()}
    rows = {variant: item for variant, item in found.items() if item is not None}
    return component_groups(rows, params), wanted


def main(profile: str, params: Params) -> None:
    """Write components and gates of a profile."""
    subject, chosen = Subject(profile, params.runtime), params.components
    groups, wanted = tables_of(subject, chosen)
    sections = {"components": chosen.model_dump(), "runtime": params.runtime.model_dump()}
    origin = provenance("components", subject.manifest, sections) | {TABLES: {COMPONENTS.kind: wanted}}
    write_dataset(subject.folder / COMPONENTS.kind, COMPONENTS, groups, provenance=origin)
    prompts = variants_by_prompt(subject, params.graphs.every_variant_tag)
    failures = subject.publish("components", gate_units(subject, prompts), [GATES], sections)
    subject.write_failures("components", failures)
    write_metrics(subject.folder, "components", summary(groups, chosen.level), subject.uncompared)


if __name__ == "__main__":
    run_stage(main, Params)
