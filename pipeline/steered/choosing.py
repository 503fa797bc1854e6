"""What is steered with: the first features of orders, and what they are held against."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
from pipeline.analysis.validation_sets import Order, ordering_situations, predictions
from pipeline.items.subject import Subject
from pipeline.params.project import Params
from pipeline.params.steered import SteeredParams
from store.datasets.groups import open_dataset
from store.documents.questions import Question
from store.documents.variants import BASE
from store.schema.rankings import situations_group
from store.schema.steered import BASELINE, FEATURE
from store.schema.vocabulary import RESPONSE


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What other stages say of features, as far as entries follow from it.

    Attributes
    ----------
    first
        The first features of each order.
    of_nulls
        Those whose activation each null adapter changes most, by its variant.
    cards
        All features that are active somewhere, of which random ones are drawn.
    """

    first: Mapping[str, Sequence[Member]]
    of_nulls: Mapping[str, Sequence[Member]]
    cards: Sequence[Member]


def choice_of(
    subject: Subject, params: Params, questions: Sequence[Question], nulls: Sequence[str]
) -> Choice:
    """What the datasets `faithfulness`, `response_features` and `features` say.

    `questions` are those on which features are chosen, `nulls` names of null adapters.
    """
    chosen, model = params.steered, subject.manifest.model
    cards = open_dataset(subject.folder / "features", "cards")
    top = max(chosen.top, *chosen.sets, 1)
    first = firsts_of(subject, chosen.orders, top)
    if RESPONSE in chosen.orders:
        allowed = np.zeros((model.n_layers, model.d_transcoder), bool)
        allowed[cards["layer"].values, cards["index"].values] = True
        allowed[[layer for layer in params.features.excluded_layers if layer < len(allowed)]] = False
        answers = subject.folder / "response_features"
        tables = open_dataset(answers, "contrasts"), open_dataset(answers, "ranking")
        names = {question.id for question in questions}
        first[RESPONSE] = response_firsts(*tables, subject.focus, names, allowed, top)
    return Choice(
        first=first,
        of_nulls=null_firsts(subject, nulls, chosen.null_features),
        cards=list(zip(cards["layer"].values.tolist(), cards["index"].values.tolist(), strict=True)),
    )


def entries_of(
    side: str, choice: Choice, scales: Scales, params: SteeredParams, rng: np.random.Generator
) -> list[Entry]:
    """Candidates of a side, and what they are held against."""
    own = candidates(side, choice.first, params.top, params.sets)
    of_nulls = null_entries(side, choice.of_nulls, own)
    known = np.zeros(scales.decoder.shape, bool)
    known[tuple(np.array(choice.cards, np.int64).reshape(-1, 2).T)] = True
    for entry in of_nulls:
        known[tuple(np.array(entry.members).T)] = False
    singles = [entry for entry in own if entry.kind == FEATURE]
    random = random_entries(singles, params.random_features, known, scales, rng)
    for size in params.sets:
        like = [entry for entry in own if entry.size == size]
        random += random_entries(like, params.random_sets, known, scales, rng)
    along = directions(side, params.random_directions, scales, rng)
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
    """The features whose activation each null adapter changes most, where prompts are labelled."""
    folder = subject.folder / "features"
    names = [situations_group(score) for score in ("direct", "activation")]
    groups = {name: open_dataset(folder, name) for name in names}
    ordering, table = ordering_situations(groups, set()), groups[situations_group("activation")]
    members = list(zip(table["layer"].values.tolist(), table["index"].values.tolist(), strict=True))
    found = {}
    for name in nulls:
        variant = str(subject.manifest.variant(name))
        ranking = "activation", f"{variant}-{BASE}"
        order = Order(intervention="", variant=variant, ranking=ranking)
        score = np.abs(np.nan_to_num(predictions(groups, [order], ordering)[ranking]))
        changed = np.argsort(-score, kind="stable")[:n]
        found[variant] = [members[row] for row in changed.tolist() if score[row] > 0]
    return found
