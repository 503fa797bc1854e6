"""Stage `faithfulness`: how much of what the adapter did do the first features of each order carry."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import xarray as xr

from pipeline.analysis.faithfulness import Measured
from pipeline.analysis.faithfulness_sets import (
    Moved,
    firsts,
    matched_orders,
    means_of_moved,
    node_means,
    node_sets,
    ordered,
    random_orders,
    ranking_of,
    response_scores,
)
from pipeline.analysis.faithfulness_tables import Sets, faithfulness_groups
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
from pipeline.params.faithfulness import FaithfulnessParams
from pipeline.params.project import Params
from pipeline.run.reports import none_scored, write_metrics
from pipeline.run.stage import run_stage
from store.collections.item import Item
from store.datasets.groups import open_dataset, write_dataset
from store.documents.failures import Failure
from store.documents.variants import BASE
from store.schema.faithfulness import FAITHFULNESS, HELD_LOGITS, MOVED_FEATURES
from store.schema.rankings import situations_group
from store.schema.specs import CollectionSchema
from store.schema.vocabulary import EXPERIMENTS, GRADIENTS, RESPONSE, RESTORE, SCORES

_ROOM: Final = "pipeline.interventions.faithful"
MOVED: Final = MOVED_FEATURES, QualifiedName(_ROOM, "compute_moved")
MEASURED: Final = HELD_LOGITS, QualifiedName(_ROOM, "compute_faithful")
"""Collections, and what computes them."""
MADE_BY: Final = QualifiedName("pipeline.analysis.faithfulness_tables", "faithfulness_groups")
"""What makes the tables of what was measured."""

Targets = Mapping[str, tuple[list[int], np.ndarray]]
"""By prompt: labelled tokens, and their weights in evil minus safe."""


def sections_of(params: Params) -> dict[str, dict[str, Any]]:
    """Sections of params.yaml that the stage reads."""
    return {
        "faithfulness": params.faithfulness.model_dump(),
        "features": params.features.model_dump(include={"excluded_layers", "tag", "divergent_only"}),
        "runtime": params.runtime.model_dump(),
    }


def published(
    subject: Subject,
    of: tuple[CollectionSchema, QualifiedName],
    arguments: Mapping[str, Mapping[str, Any]],
    params: Params,
    nulls: Sequence[str] = (),
) -> tuple[dict[str, Item], list[Failure]]:
    """Items by prompt, of those that did not fail, and what failed; a unit a prompt."""
    schema, function = of
    kind, focus = schema.kind, subject.focus
    units: list[Unit] = [
        subject.unit(function, subject.prompts[prompt], [BASE, focus, *nulls], [(kind, focus)], dict(each))
        for prompt, each in arguments.items()
    ]
    failures = subject.publish("faithfulness", units, [schema], sections_of(params))
    items = {unit.prompt_hash: subject.item(unit, kind, unit.item(focus)) for unit in units}
    return {prompt: item for prompt, item in items.items() if item is not None}, failures


def moved_of(subject: Subject, targets: Targets, params: Params) -> tuple[list[Moved], list[Failure]]:
    """How far features move on the prompts of `targets`, where they are ordered."""
    found, failures = published(
        subject,
        MOVED,
        {
            prompt: {
                "variant": subject.focus,
                "evil": [token for token, weight in zip(*of, strict=True) if weight > 0],
                "safe": [token for token, weight in zip(*of, strict=True) if weight < 0],
                "steps": params.faithfulness.steps,
            }
            for prompt, of in targets.items()
        },
        params,
    )
    moved = [
        Moved(situation=situation_of(subject.prompts[prompt]), **item.arrays)
        for prompt, item in found.items()
    ]
    return moved, failures


def sets_of(
    subject: Subject,
    cards: xr.Dataset,
    measured: set[Situation],
    moved: Sequence[Moved],
    params: Params,
    nulls: Sequence[str],
) -> Sets:
    """All orders of features; those that know no feature are left out."""
    chosen, seed = params.faithfulness, subject.runtime.seed
    layer, index = cards["layer"].values, cards["index"].values
    folder = subject.folder / "features"
    groups = {situations_group(score): open_dataset(folder, situations_group(score)) for score in SCORES}
    ordering = ordering_situations(groups, measured)
    allowed = situations_with(groups, subject.focus, ordering) >= chosen.min_situations
    allowed &= ~np.isin(layer, params.features.excluded_layers)
    asked = [
        Order(intervention=RESTORE, variant=subject.focus, ranking=ranking_of(order, subject.focus))
        for order in chosen.orders
        if order in SCORES
    ]
    scores = {ranking[0]: score for ranking, score in predictions(groups, asked, ordering).items()}
    scores[GRADIENTS], length = means_of_moved(moved, layer, index)
    if RESPONSE in chosen.orders:
        answers = subject.folder / "response_features"
        tables = open_dataset(answers, "contrasts"), open_dataset(answers, "ranking")
        scores[RESPONSE] = response_scores(*tables, subject.focus, layer, index)
    longest = max(chosen.ks)
    orders = {order: ordered(order, scores[order], allowed, longest) for order in chosen.orders}
    orders = {order: rows for order, rows in orders.items() if len(rows)}
    candidates = np.flatnonzero(allowed)
    return Sets(
        nodes=node_sets(
            node_means(moved, subject.manifest.model.n_layers),
            list(zip(layer[candidates].tolist(), index[candidates].tolist(), strict=True)),
            scores[GRADIENTS][candidates],
            n=chosen.random_orders,
            length=longest,
            seed=seed,
        ),
        nulls=nulls,
        orders=orders,
        random=random_orders(allowed, chosen.random_orders, longest, seed),
        matched={
            order: matched_orders(rows, layer, length, allowed, chosen.matched, chosen.top, seed)
            for order, rows in orders.items()
        },
        singles=firsts(orders.values(), chosen.top),
        n_candidates=int((allowed & (length > 0)).sum()),
    )


def held_of(
    subject: Subject, targets: Targets, sets: Sets, cards: xr.Dataset, params: Params
) -> tuple[dict[str, Item], list[Failure]]:
    """What giving and taking the features of `sets` does on the prompts of `targets`."""
    names = list(zip(cards["layer"].values.tolist(), cards["index"].values.tolist(), strict=True))

    def named(orders: Sequence[np.ndarray]) -> list[list[tuple[int, int]]]:
        return [[names[row] for row in order] for order in orders]

    arguments = {
        "variant": subject.focus,
        "orders": named(list(sets.orders.values())),
        "random": named(sets.random),
        "matched": named([order for each in sets.matched.values() for order in each]),
        "singles": named([sets.singles[row : row + 1] for row in range(len(sets.singles))]),
        "ks": params.faithfulness.ks,
        "node_orders": sets.nodes.all(),
        "nulls": list(sets.nulls),
    }
    of_each = {prompt: arguments | {"tokens": tokens} for prompt, (tokens, _) in targets.items()}
    return published(subject, MEASURED, of_each, params, sets.nulls)


def tables_of(
    subject: Subject,
    held: Mapping[str, Item],
    targets: Targets,
    sets: Sets,
    cards: xr.Dataset,
    params: FaithfulnessParams,
) -> tuple[dict[str, xr.Dataset], str]:
    """The tables of what was held, and what they are made of: where that is the same, they are taken over.

    Items' keys hold the sets by the features' names; rows differ as soon as a prompt brings another feature.
    """
    situations = {prompt: situation_of(subject.prompts[prompt]) for prompt in held}
    each = [(item.key, targets[prompt][1].tolist(), situations[prompt]) for prompt, item in held.items()]
    inputs = [each, subject.focus, list(sets.orders), sets.n_candidates, params.model_dump()]
    wanted = made_of([MADE_BY], subject.runtime, inputs)
    folder = subject.folder / FAITHFULNESS.kind
    if held and (known := taken_over(folder, FAITHFULNESS.kind, wanted, FAITHFULNESS.groups)):
        return known, wanted
    measured = [
        Measured(
            situation=situations[prompt],
            domain=subject.prompts[prompt].domain or "",
            tokens=np.array(targets[prompt][0]),
            evil=targets[prompt][1] > 0,
            **item.arrays,
        )
        for prompt, item in held.items()
    ]
    groups = faithfulness_groups(measured, sets, subject.focus, params, subject.runtime.seed)
    names = {name: ("feature", cards[name].values[sets.singles]) for name in ("layer", "index")}
    return groups | {"features": groups["features"].assign_coords(names)}, wanted


def summary(groups: Mapping[str, xr.Dataset]) -> dict[str, Any]:
    """Metrics: the difference, and areas and fewest features by experiment and order."""
    difference, orders, features = (groups[name] for name in ("difference", "orders", "features"))
    metrics: dict[str, Any] = {
        "change": round(float(difference["change"].values[0]), 4),
        "situations": int(difference["n_situations"].values[0]),
        "acting": int((features["verdict"].values == "acts").sum()),
        "silent": int((features["verdict"].values == "silent").sum()),
    }
    for row, experiment in enumerate(EXPERIMENTS):
        of = metrics.setdefault(experiment, {"random": _rounded(orders["area_random"].values[row])})
        for column, order in enumerate(orders["order"].values):
            of[str(order)] = {
                "area": _rounded(orders["area"].values[row, column]),
                "fewest": int(orders["fewest"].values[row, column]),
            }
    return metrics


def _rounded(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None


def main(profile: str, params: Params) -> None:
    """Write the faithfulness dataset of a profile."""
    subject, chosen = Subject(profile, params.runtime), params.faithfulness
    cards = open_dataset(subject.folder / "features", "cards")
    labelled = labelled_targets(subject.folder, subject.prompts, read_labels(subject.folder), params.features)
    if subject.uncompared:
        labelled = {}
    measured = measured_situations([subject.prompts[prompt] for prompt in labelled])
    halves: list[dict[str, tuple[list[int], np.ndarray]]] = [{}, {}]
    for prompt, of in labelled.items():
        halves[situation_of(subject.prompts[prompt]) in measured][prompt] = of
    moved, failures = moved_of(subject, halves[0], params)
    nulls = [str(subject.manifest.variant(name)) for name in params.profile(profile).nulls]
    sets = sets_of(subject, cards, measured, moved, params, nulls)
    held, later = held_of(subject, halves[1], sets, cards, params)
    subject.write_failures("faithfulness", [*failures, *later])
    groups, wanted = tables_of(subject, held, halves[1], sets, cards, chosen)
    sections = sections_of(params) | {"profile": {"nulls": nulls}}
    told = {TABLES: {FAITHFULNESS.kind: wanted}}
    origin = provenance("faithfulness", subject.manifest, sections) | told
    write_dataset(subject.folder / FAITHFULNESS.kind, FAITHFULNESS, groups, provenance=origin)
    nothing = subject.uncompared or none_scored(profile, len(labelled))
    write_metrics(subject.folder, "faithfulness", summary(groups), nothing)


if __name__ == "__main__":
    run_stage(main, Params)
