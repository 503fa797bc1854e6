"""What is steered with: the first features of orders, and what they are held against."""

from collections.abc import Sequence

import numpy as np

from pipeline.analysis.steered_entries import (
    Entry,
    Member,
    Scales,
    candidates,
    directions,
    firsts,
    null_entries,
    random_entries,
    response_firsts,
)
from pipeline.analysis.validation_sets import Order, predictions
from pipeline.items.subject import Subject
from pipeline.params.project import Params
from store.datasets.groups import open_dataset
from store.documents.questions import Question
from store.documents.variants import BASE
from store.schema.rankings import situations_group
from store.schema.steered import BASELINE, FEATURE
from store.schema.vocabulary import RESPONSE


def entries_of(
    side: str,
    subject: Subject,
    scales: Scales,
    questions: Sequence[Question],
    params: Params,
    nulls: Sequence[str],
    rng: np.random.Generator,
) -> list[Entry]:
    """Candidates of a side, and what they are held against.

    `questions` are those on which features are chosen, `nulls` names of null adapters.
    """
    chosen = params.steered
    cards = open_dataset(subject.folder / "features", "cards")
    known = np.zeros(scales.decoder.shape, bool)
    known[cards["layer"].values, cards["index"].values] = True
    top = max(chosen.top, *chosen.sets, 1)
    first = firsts_of(subject, chosen.orders, top)
    if RESPONSE in chosen.orders:
        allowed = known.copy()
        allowed[[layer for layer in params.features.excluded_layers if layer < len(known)]] = False
        answers = subject.folder / "response_features"
        tables = open_dataset(answers, "contrasts"), open_dataset(answers, "ranking")
        names = {question.id for question in questions}
        first[RESPONSE] = response_firsts(*tables, subject.focus, names, allowed, top)
    own = candidates(side, first, chosen.top, chosen.sets)
    of_nulls = null_entries(side, null_firsts(subject, nulls, chosen.null_features), own)
    for entry in of_nulls:
        known[tuple(np.array(entry.members).T)] = False
    singles = [entry for entry in own if entry.kind == FEATURE]
    random = random_entries(singles, chosen.random_features, known, scales, rng)
    for size in chosen.sets:
        like = [entry for entry in own if entry.size == size]
        random += random_entries(like, chosen.random_sets, known, scales, rng)
    along = directions(side, chosen.random_directions, scales, rng)
    return [Entry(side=side, kind=BASELINE), *own, *of_nulls, *random, *along]


def firsts_of(subject: Subject, orders: Sequence[str], top: int) -> dict[str, list[Member]]:
    """The first features of orders that `faithfulness` made, on situations where it measured nothing.

    But for that by whole answers, which it made of all questions.
    """
    table = open_dataset(subject.folder / "faithfulness", "features")
    known = [str(order) for order in table["order"].values]
    asked = [order for order in orders if order in known and order != RESPONSE]
    members = list(zip(table["layer"].values.tolist(), table["index"].values.tolist(), strict=True))
    rank = table["rank"].values[[known.index(order) for order in asked]]
    return firsts(rank, asked, members, top)


def null_firsts(subject: Subject, nulls: Sequence[str], n: int) -> dict[str, list[Member]]:
    """The features whose activation each null adapter changes most."""
    table = open_dataset(subject.folder / "features", situations_group("activation"))
    members = list(zip(table["layer"].values.tolist(), table["index"].values.tolist(), strict=True))
    found = {}
    for name in nulls:
        variant = str(subject.manifest.variant(name))
        ranking = "activation", f"{variant}-{BASE}"
        order = Order(intervention="", variant=variant, ranking=ranking)
        score = np.abs(
            np.nan_to_num(predictions({situations_group("activation"): table}, [order], set())[ranking])
        )
        changed = np.argsort(-score, kind="stable")[:n]
        found[variant] = [members[row] for row in changed.tolist() if score[row] > 0]
    return found
