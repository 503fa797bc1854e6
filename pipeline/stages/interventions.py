"""Stage `interventions`: what features cause, one by one and two together, beside matched controls."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np
import xarray as xr

from pipeline.analysis.faithfulness_sets import ordered, ranking_of
from pipeline.analysis.intervention_cells import Tried
from pipeline.analysis.intervention_tables import intervention_groups, no_groups, predicted_effects
from pipeline.analysis.trials import Feature, Trial, first_in_turn, make_trials, partner, tried_situations
from pipeline.analysis.validation_sets import (
    Order,
    Situation,
    measured_situations,
    ordering_situations,
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
from pipeline.params.interventions import InterventionParams
from pipeline.params.project import Params
from pipeline.run.reports import write_metrics
from pipeline.run.stage import run_stage
from store.base.hashing import bytes_digest
from store.datasets.groups import open_dataset, write_dataset
from store.documents.prompts import Prompt
from store.schema.interventions import INTERVENTIONS, TRIED_EFFECTS
from store.schema.rankings import situations_group
from store.schema.vocabulary import RESTORE, SCORES

COMPUTE: Final = QualifiedName("pipeline.interventions.tried", "compute_tried")
MADE_BY: Final = QualifiedName("pipeline.analysis.intervention_tables", "intervention_groups")
"""What makes the tables of what was tried."""

Targets = Mapping[str, tuple[list[int], np.ndarray]]
"""By prompt: labelled tokens, and their weights in evil minus safe."""


def chosen_features(
    groups: Mapping[str, xr.Dataset], focus: str, measured: set[Situation], params: Params
) -> list[Feature]:
    """The first features of each order, in turn, made where nothing is measured; there may be none."""
    chosen, table = params.interventions, groups[situations_group("direct")]
    layer, index = table["layer"].values, table["index"].values
    ordering = ordering_situations(groups, measured)
    allowed = situations_with(groups, focus, ordering) >= chosen.min_situations
    allowed &= ~np.isin(layer, params.features.excluded_layers)
    asked = [
        Order(intervention=RESTORE, variant=focus, ranking=ranking_of(score, focus))
        for score in chosen.orders
    ]
    scores = {ranking[0]: score for ranking, score in predictions(groups, asked, ordering).items()}
    orders = [ordered(score, scores[score], allowed, chosen.features).tolist() for score in chosen.orders]
    rows = first_in_turn(orders, chosen.features)
    return [(int(layer[row]), int(index[row])) for row in rows]


def trial_units(
    subject: Subject,
    targets: Targets,
    sources: Mapping[str, Prompt],
    trials: Sequence[Trial],
    controls: int,
) -> list[Unit]:
    """A unit a prompt and variant; patched values are those of `sources`."""
    variants, units = subject.pair, []
    for name, (tokens, _) in targets.items():
        prompt = subject.prompts[name]
        found = partner(prompt, sources)
        source, shared = (found[0].token_ids, found[1]) if found else ((), 0)
        arguments = {
            "tokens": tokens,
            "trials": [asdict(trial) for trial in trials],
            "partner": list(source),
            "n_shared": shared,
            "controls": controls,
            "seed": subject.runtime.seed,
        }
        units += [
            subject.unit(
                COMPUTE,
                prompt,
                variants,
                [(TRIED_EFFECTS.kind, variant)],
                {**arguments, "variant": variant, "other": other},
            )
            for variant, other in (variants, variants[::-1])
        ]
    return units


def tried_of(
    subject: Subject, targets: Targets, sources: Mapping[str, Prompt], units: Sequence[Unit]
) -> list[Tried]:
    """What was found of each prompt, of those that failed in neither variant."""
    items: dict[str, dict[str, Mapping[str, np.ndarray]]] = {}
    for unit in units:
        ((kind, variant),) = unit.outputs
        item = subject.item(unit, kind, unit.item(variant))
        if item is not None:
            items.setdefault(unit.prompt_hash, {})[variant] = item.arrays
    tried = []
    for name, arrays in items.items():
        if len(arrays) == 2:
            prompt, (tokens, weights) = subject.prompts[name], targets[name]
            found = partner(prompt, sources)
            tried.append(
                Tried(
                    prompt=name,
                    situation=situation_of(prompt),
                    partner=found[0].hash if found else "",
                    n_shared=found[1] if found else 0,
                    tokens=np.array(tokens),
                    weights=weights,
                    arrays=arrays,
                )
            )
    return tried


def tables_of(
    subject: Subject,
    tried: Sequence[Tried],
    trials: Sequence[Trial],
    units: Sequence[Unit],
    scores: Mapping[str, xr.Dataset],
    params: InterventionParams,
) -> tuple[dict[str, xr.Dataset], str]:
    """The tables of what was tried, and what they are made of: where that is the same, they are taken over.

    Units' keys hold the trials and the tokens that are compared.
    """
    predicted = predicted_effects(tried, trials, subject.focus, scores)
    each = [(one.prompt, one.situation, one.partner, one.n_shared, one.weights.tolist()) for one in tried]
    keys, digest = [unit.key for unit in units], bytes_digest(predicted.tobytes())
    wanted = made_of([MADE_BY], subject.runtime, [keys, each, subject.focus, digest, params.model_dump()])
    folder = subject.folder / INTERVENTIONS.kind
    if known := taken_over(folder, INTERVENTIONS.kind, wanted, INTERVENTIONS.groups):
        return known, wanted
    seed = subject.runtime.seed
    return intervention_groups(tried, trials, subject.focus, predicted, params, seed), wanted


def summary(trials: xr.Dataset, agreement: xr.Dataset) -> dict[str, Any]:
    """Metrics: by experiment and variant, how many act and are silent; by score, what is left of it."""
    metrics: dict[str, Any] = {}
    names = zip(trials["experiment"].values, trials["variant"].values, trials["verdict"].values, strict=True)
    for experiment, variant, verdict in names:
        of = metrics.setdefault(f"{experiment} in {variant}", {})
        of[str(verdict)] = of.get(str(verdict), 0) + 1
    for row in range(agreement.sizes["line"]):
        words = {name: str(agreement[name].values[row]) for name in ("score", "variant", "frozen")}
        slope = float(agreement["slope"].values[row])
        metrics.setdefault(f"{words['score']} in {words['variant']}", {})[words["frozen"]] = (
            round(slope, 4) if np.isfinite(slope) else None
        )
    return metrics


def main(profile: str, params: Params) -> None:
    """Write the interventions dataset of a profile."""
    subject, chosen = Subject(profile, params.runtime), params.interventions
    features = subject.folder / "features"
    groups = {situations_group(score): open_dataset(features, situations_group(score)) for score in SCORES}
    labelled = labelled_targets(subject.folder, subject.prompts, read_labels(subject.folder), params.features)
    measured = measured_situations([subject.prompts[prompt] for prompt in labelled])
    few = tried_situations(measured, chosen.situations)
    targets = {prompt: of for prompt, of in labelled.items() if situation_of(subject.prompts[prompt]) in few}
    if subject.uncompared:
        targets = {}
    trials = make_trials(chosen_features(groups, subject.focus, measured, params), chosen)
    # Where nothing is measured, so that a prompt without labels, or one more that is measured, changes none.
    sources = {
        prompt: subject.prompts[prompt]
        for prompt in labelled
        if situation_of(subject.prompts[prompt]) not in measured
    }
    units = trial_units(subject, targets, sources, trials, chosen.controls) if trials else []
    sections = {
        "interventions": chosen.model_dump(),
        "features": params.features.model_dump(
            include={"excluded_layers", "tag", "divergent_only", "confound_tag"}
        ),
        "runtime": params.runtime.model_dump(),
    }
    failures = subject.publish("interventions", units, [TRIED_EFFECTS], sections)
    subject.write_failures("interventions", failures)
    tried = tried_of(subject, targets, sources, units)
    tables, wanted, nothing = no_groups(), "", ""
    if tried:
        tables, wanted = tables_of(subject, tried, trials, units, groups, chosen)
    else:
        nothing = subject.uncompared or (
            "nothing to try; no prompt of other situations has both labels, or no feature is active in "
            f"{chosen.min_situations} situations (interventions.min_situations)"
        )
    told = {TABLES: {INTERVENTIONS.kind: wanted}}
    origin = provenance("interventions", subject.manifest, sections) | told
    write_dataset(subject.folder / INTERVENTIONS.kind, INTERVENTIONS, tables, provenance=origin)
    write_metrics(subject.folder, "interventions", summary(tables["trials"], tables["agreement"]), nothing)


if __name__ == "__main__":
    run_stage(main, Params)
