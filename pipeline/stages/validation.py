"""Stage `validation`: what the orders of features predict, held against interventions elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np
import xarray as xr

from pipeline.analysis.validation import Effects, validation_groups
from pipeline.analysis.validation_sets import (
    Choice,
    Order,
    choose,
    measured_situations,
    ordering_situations,
    orders,
    predictions,
    situation_of,
    situations_with,
)
from pipeline.items.code import QualifiedName
from pipeline.items.provenance import provenance
from pipeline.items.subject import Subject
from pipeline.items.taken_over import TABLES, made_of, taken_over
from pipeline.items.units import Unit
from pipeline.labels.labelled_targets import labelled_targets
from pipeline.labels.published import read_labels
from pipeline.params.project import Params
from pipeline.run.reports import none_scored, write_metrics
from pipeline.run.stage import run_stage
from store.base.hashing import bytes_digest
from store.datasets.groups import open_dataset, write_dataset
from store.documents.variants import BASE
from store.schema.rankings import situations_group
from store.schema.validation import MEASURED_EFFECTS, VALIDATION
from store.schema.vocabulary import SCORES

COMPUTE: Final = QualifiedName("pipeline.interventions.measured", "compute_measured")
MADE_BY: Final = (
    QualifiedName("pipeline.analysis.validation", "validation_groups"),
    QualifiedName("pipeline.stages.validation", "effects_of"),
)
"""What makes the tables of what was measured."""


def measuring_units(
    subject: Subject,
    prompts: Mapping[str, Sequence[int]],
    choices: Mapping[str, Choice],
    names: Sequence[tuple[int, int]],
    controls: int,
) -> list[Unit]:
    """A unit a prompt and variant; `prompts` with their labelled tokens, `names` layer and index by row."""
    arguments = {
        variant: {
            "variant": variant,
            "sets": [[names[row] for row in each] for each in choice.sets],
            "compared": choice.compared,
            "controls": controls,
            "seed": subject.runtime.seed,
        }
        for variant, choice in choices.items()
    }
    return [
        subject.unit(
            COMPUTE,
            subject.prompts[prompt],
            list(dict.fromkeys([BASE, variant])),
            [(MEASURED_EFFECTS.kind, variant)],
            {**arguments[variant], "tokens": tokens},
        )
        for prompt, tokens in prompts.items()
        for variant in choices
    ]


def measured_items(subject: Subject, units: Sequence[Unit]) -> dict[str, dict[str, Mapping[str, np.ndarray]]]:
    """What was measured, by prompt and variant; of prompts where neither variant failed."""
    found: dict[str, dict[str, Mapping[str, np.ndarray]]] = {}
    for unit in units:
        ((kind, variant),) = unit.outputs
        item = subject.item(unit, kind, unit.item(variant))
        if item is not None:
            found.setdefault(unit.prompt_hash, {})[variant] = item.arrays
    return {prompt: of for prompt, of in found.items() if {BASE, subject.focus} <= of.keys()}


def effects_of(
    measured: Mapping[str, Mapping[str, Mapping[str, np.ndarray]]],
    weights: Mapping[str, np.ndarray],
    choices: Mapping[str, Choice],
    asked: Sequence[Order],
    n_controls: int,
) -> dict[tuple[str, str], Effects]:
    """Effects, evil minus safe, by intervention and variant of `asked`; a row a prompt of `measured`.

    `weights` are those of each prompt's labelled tokens.
    """
    found = {}
    for intervention, variant in dict.fromkeys((order.intervention, order.variant) for order in asked):
        effect, controls = (
            np.array([of[variant][name] @ weights[prompt] for prompt, of in measured.items()]).reshape(
                len(measured), *shape
            )
            for name, shape in (
                (intervention, (len(choices[variant].sets),)),
                (f"{intervention}_controls", (len(choices[variant].compared), n_controls)),
            )
        )
        found[intervention, variant] = Effects(effect=effect, controls=controls)
    return found


def summary(found: Sequence[Order], table: xr.Dataset) -> dict[str, Any]:
    """Metrics by intervention, variant, contrast and score: how well the order predicts."""
    metrics: dict[str, Any] = {}
    for row, order in enumerate(found):
        score, contrast = order.ranking
        of = metrics.setdefault(f"{order.intervention} in {order.variant}", {}).setdefault(contrast, {})
        of[score] = {
            name: round(float(table[name].values[row]), 4)
            for name in ("spearman", "same_sign", "beaten", "joint_effect")
        }
    return metrics


def main(profile: str, params: Params) -> None:
    """Write the validation dataset of a profile."""
    subject, chosen = Subject(profile, params.runtime), params.validation
    features = subject.folder / "features"
    groups = {situations_group(score): open_dataset(features, situations_group(score)) for score in SCORES}
    cards = open_dataset(features, "cards")
    labelled = labelled_targets(subject.folder, subject.prompts, read_labels(subject.folder), params.features)
    found = orders(subject.focus)
    measured = measured_situations([subject.prompts[prompt] for prompt in labelled])
    ordering = ordering_situations(groups, measured)
    predicted = predictions(groups, found, ordering)
    enough = situations_with(groups, subject.focus, ordering) >= params.features.min_situations
    enough &= ~np.isin(cards["layer"].values, params.features.excluded_layers)
    choices = {
        variant: choose(
            {order.ranking: predicted[order.ranking] for order in found if order.variant == variant},
            chosen,
            enough,
            params.runtime.seed,
        )
        for variant in subject.pair
    }
    targets = {
        prompt: of for prompt, of in labelled.items() if situation_of(subject.prompts[prompt]) in measured
    }
    units = measuring_units(
        subject,
        {prompt: tokens for prompt, (tokens, _) in targets.items()},
        choices,
        list(zip(cards["layer"].values.tolist(), cards["index"].values.tolist(), strict=True)),
        chosen.controls,
    )
    sections = {
        "validation": chosen.model_dump(),
        "features": params.features.model_dump(
            include={"min_situations", "excluded_layers", "tag", "divergent_only"}
        ),
        "runtime": params.runtime.model_dump(),
    }
    failures = subject.publish("validation", units, [MEASURED_EFFECTS], sections)
    subject.write_failures("validation", failures)
    weights = {prompt: of for prompt, (_, of) in targets.items()}
    items = measured_items(subject, units)
    names = [situation_of(subject.prompts[prompt]) for prompt in items]
    sample = choices[BASE].sample
    scores = np.array([predicted[order.ranking][sample] for order in found])
    # Keys hold the sets by the features' names; rows differ as soon as a prompt brings another feature.
    wanted = made_of(
        MADE_BY,
        subject.runtime,
        [
            [unit.key for unit in units],
            [(prompt, weights[prompt].tolist(), name) for prompt, name in zip(items, names, strict=True)],
            [asdict(order) for order in found],
            bytes_digest(scores.tobytes()),
            chosen.model_dump(),
        ],
    )
    folder = subject.folder / VALIDATION.kind
    tables = taken_over(folder, VALIDATION.kind, wanted, VALIDATION.groups) if items else None
    if tables is None:
        effects = effects_of(items, weights, choices, found, chosen.controls)
        place = np.array([sorted(set(names)).index(name) for name in names], np.int64)
        tables = validation_groups(found, predicted, choices, effects, place, chosen, params.runtime.seed)
        coordinates = {name: ("feature", cards[name].values[sample]) for name in ("layer", "index")}
        tables["features"] = tables["features"].assign_coords(coordinates)
    origin = provenance("validation", subject.manifest, sections) | {TABLES: {VALIDATION.kind: wanted}}
    write_dataset(folder, VALIDATION, tables, provenance=origin)
    metrics = summary(found, tables["orders"])
    write_metrics(subject.folder, "validation", metrics, none_scored(profile, len(labelled)))


if __name__ == "__main__":
    run_stage(main, Params)
