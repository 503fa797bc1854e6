"""Stage `behaviour_interventions`: what circuits of behaviours do, along partners, beside random ones."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np
import xarray as xr

from pipeline.analysis.behaviour_intervention_tables import (
    Found,
    behaviour_intervention_groups,
    found_when_swapped,
)
from pipeline.analysis.behaviour_trials import Asked, Effects, make_asked
from pipeline.analysis.circuit_faithfulness import Held
from pipeline.analysis.circuit_sets import Circuits, Trained, circuits_of, own_circuits
from pipeline.analysis.importance import activities
from pipeline.analysis.partners import Decision, decisions, told_few, told_unpaired
from pipeline.behaviours.protocol import UNNAMED
from pipeline.items.code import QualifiedName
from pipeline.items.provenance import provenance
from pipeline.items.subject import Subject
from pipeline.items.units import Unit, make_unit
from pipeline.params.behaviour_interventions import BehaviourInterventionParams
from pipeline.params.project import Params
from pipeline.run.reports import write_metrics
from pipeline.run.stage import run_stage
from store.datasets.groups import open_dataset, write_dataset
from store.documents.behaviour_prompts import BEHAVIOUR_PROMPTS, SPLITS, behaviours_in, read_behaviour_prompts
from store.documents.variants import BASE
from store.schema.behaviour_interventions import (
    BEHAVIOUR_INTERVENTIONS,
    CIRCUIT_LOGITS,
    DECISION_FEATURES,
    PARTNERED_EFFECTS,
)
from store.schema.circuits import CIRCUITS

MODULE: Final = "pipeline.interventions.partnered"
DECISION, PARTNERED, HELD = (
    QualifiedName(MODULE, f"compute_{name}") for name in ("decision", "partnered", "circuits")
)
Arrays = dict[tuple[str, str], Mapping[str, np.ndarray]]
"""By prompt and kind."""


def unit_of(
    subject: Subject, compute: QualifiedName, kind: str, one: Decision, arguments: Mapping[str, Any]
) -> Unit:
    """A unit of one prompt, read up to its decision, in base."""
    return make_unit(
        compute,
        prompt_hash=one.prompt.hash,
        token_ids=one.token_ids,
        variants=[BASE],
        outputs=[(kind, BASE)],
        arguments={"variant": BASE, "tokens": list(one.tokens), **arguments},
        manifest=subject.manifest,
        runtime=subject.runtime,
    )


def effect_units(
    subject: Subject, one: Decision, asked: Asked, circuits: Circuits, params: BehaviourInterventionParams
) -> list[Unit]:
    """What is tried and what is held on a test prompt."""
    pair = {"source": list(one.source), "span": list(one.prompt.token_span)}
    tried = {
        **pair,
        "trials": [asdict(trial) for trial in asked.trials],
        "whole": [asdict(trial) for trial in asked.whole],
        "controls": params.controls,
        "seed": params.seed,
    }
    held = {**pair, "orders": list(circuits.orders.values()), "random": circuits.random, "ks": params.ks}
    return [
        unit_of(subject, PARTNERED, PARTNERED_EFFECTS.kind, one, tried),
        unit_of(subject, HELD, CIRCUIT_LOGITS.kind, one, held),
    ]


def arrays_of(subject: Subject, units: Sequence[Unit]) -> Arrays:
    """Arrays of items; what failed is not there."""
    found = {}
    for unit in units:
        for kind, name in unit.wanted():
            item = subject.item(unit, kind, name)
            if item is not None:
                found[unit.prompt_hash, kind] = item.arrays
    return found


def trained_on(
    train: Sequence[Decision], arrays: Mapping[tuple[str, str], Mapping[str, np.ndarray]]
) -> Trained:
    """What train prompts of a behaviour say of features, those that did not fail."""
    there = [one for one in train if (one.prompt.hash, DECISION_FEATURES.kind) in arrays]
    items = [arrays[one.prompt.hash, DECISION_FEATURES.kind] for one in there]
    logits = np.array([item["logit"] for item in items], np.float64).reshape(-1, 2)
    return Trained(
        activities=activities(items),
        contrast=logits[:, 0] - logits[:, 1],
        groups=np.array([one.prompt.group for one in there], object),
    )


def asked_of(
    names: Sequence[str], own: Mapping[str, tuple[str, Any]], params: BehaviourInterventionParams
) -> dict[str, Asked]:
    """What is tried on each behaviour's prompts; the null is the next one's circuit."""
    nexts = [*names[1:], *names[:1]]
    return {
        name: make_asked(own[name][1], other, own[other][1] if other != name else (), name, params)
        for name, other in zip(names, nexts, strict=True)
    }


def found_of(
    test: Sequence[Decision], start: int, arrays: Arrays, trained: Trained, circuits: Circuits, asked: Asked
) -> Found:
    """What was found on a behaviour's test prompts, the first of which is row `start` of all."""
    effects, held = [], {}
    for row, one in enumerate(test, start):
        tried = arrays.get((one.prompt.hash, PARTNERED_EFFECTS.kind))
        logits = arrays.get((one.prompt.hash, CIRCUIT_LOGITS.kind))
        if tried is not None and logits is not None:
            effects.append(Effects(row=row, decision=one, arrays=tried))
            held[one.prompt.hash] = Held(group=one.prompt.group, arrays=logits)
    return Found(trained=trained, circuits=circuits, asked=asked, effects=effects, held=held, decisions=test)


def summary(
    groups: Mapping[str, xr.Dataset], found: Mapping[str, Found], params: BehaviourInterventionParams
) -> dict[str, Any]:
    """Metrics by behaviour: pairs, circuits' areas beside others and random ones, shares, and nulls."""
    metrics: dict[str, Any] = {}
    circuits, layers, trials = (groups[name] for name in ("circuits", "layers", "trials"))
    importance, experiments = groups["importance"], circuits["experiment"].values
    for row, (name, one) in enumerate(found.items()):
        areas = circuits["area"].values[row]  # (experiment, circuit)
        nulls = [column for column in range(areas.shape[1]) if column != row]
        acts = (trials["behaviour"].values == name) & (trials["verdict"].values == "acts")
        whose = trials["circuit"].values
        n_train = len(one.trained.contrast)
        told = (importance["behaviour"].values == name) & (importance["q"].values <= params.fdr)
        metrics[name] = {
            "circuit": one.circuits.source,
            "test prompts": len(one.decisions),
            "with a partner of equal length": int(layers["n_prompts"].values[row]),
            "area": _by(experiments, areas[:, row]),
            "p among random circuits": _by(experiments, circuits["p_random"].values[row, :, row]),
            "largest area of a random circuit": _by(experiments, circuits["area_random_high"].values[row]),
            "largest area of a null circuit": _by(experiments, _largest(areas[:, nulls])),
            "share of the partner's change": _by(layers["part"].values, layers["share"].values[row, :, -1]),
            "share of the partner's flips": _by(layers["part"].values, layers["flips"].values[row, :, -1]),
            "features that act": int((acts & (whose == name)).sum()),
            "features of a null circuit that act": int((acts & ~np.isin(whose, ["", name])).sum()),
            "features that go with the contrast": int(told.sum()),
            "share of swaps in which any does": {
                "by prompt": found_when_swapped(one.trained, np.arange(n_train), params),
                "by group": found_when_swapped(one.trained, one.trained.groups, params),
            },
        }
    return metrics


def _by(names: np.ndarray, values: np.ndarray) -> dict[str, float | None]:
    pairs = zip(names.tolist(), values.tolist(), strict=True)
    return {str(name): round(value, 4) if np.isfinite(value) else None for name, value in pairs}


def _largest(values: np.ndarray) -> np.ndarray:
    """(row,) largest of (row, column) that are known."""
    largest: np.ndarray = np.where(np.isfinite(values), values, -np.inf).max(axis=1, initial=-np.inf)
    return largest


def _of(every: Sequence[Decision], behaviour: str, split: str) -> list[Decision]:
    return [one for one in every if (one.prompt.behaviour, one.prompt.split) == (behaviour, split)]


def main(profile: str, params: Params) -> None:
    """Write the behaviour_interventions dataset of a profile."""
    subject, chosen = Subject(profile, params.runtime), params.behaviour_interventions
    folder = subject.folder / BEHAVIOUR_PROMPTS
    names = behaviours_in(folder)
    every = decisions(read_behaviour_prompts(folder, names))
    sections = {"behaviour_interventions": chosen.model_dump(), "runtime": params.runtime.model_dump()}
    train, test = ({name: _of(every, name, split) for name in names} for split in SPLITS)
    units = [
        unit_of(subject, DECISION, DECISION_FEATURES.kind, one, {}) for of in train.values() for one in of
    ]
    failures = subject.publish("behaviour_interventions", units, [DECISION_FEATURES], sections)
    arrays = arrays_of(subject, units)
    trained = {name: trained_on(of, arrays) for name, of in train.items()}
    circuit = open_dataset(subject.folder / CIRCUITS.kind, "circuit")
    own = own_circuits(trained, circuit, BASE, chosen)
    circuits = {name: circuits_of(name, own, trained[name], chosen) for name in names}
    asked = asked_of(names, own, chosen)
    units = [
        unit
        for name, of in test.items()
        for one in of
        for unit in effect_units(subject, one, asked[name], circuits[name], chosen)
    ]
    failures += subject.publish(
        "behaviour_interventions", units, [PARTNERED_EFFECTS, CIRCUIT_LOGITS], sections
    )
    subject.write_failures("behaviour_interventions", failures)
    arrays = arrays_of(subject, units)
    found, start = {}, 0
    for name, of in test.items():
        found[name] = found_of(of, start, arrays, trained[name], circuits[name], asked[name])
        start += len(of)
    groups = behaviour_intervention_groups(found, subject.manifest.model.n_layers, chosen)
    origin = provenance("behaviour_interventions", subject.manifest, sections)
    write_dataset(
        subject.folder / BEHAVIOUR_INTERVENTIONS.kind, BEHAVIOUR_INTERVENTIONS, groups, provenance=origin
    )
    metrics = summary(groups, found, chosen)
    write_metrics(subject.folder, "behaviour_interventions", metrics, "" if names else UNNAMED)
    measured = [one for of in test.values() for one in of]
    for sentence in [*told_unpaired(measured), *told_few(measured, chosen.fdr)]:
        print(sentence)


if __name__ == "__main__":
    run_stage(main, Params)
