"""What is held against what: orders of features, and which sets of features are intervened on.

A ranking answers one of two questions, and each has its intervention: what a feature does in a
variant, measured by ablating it there; what the adapter changed, measured by giving the feature the
base's activation. Features are ordered on some situations, and effects measured on the others.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from pipeline.analysis.scores import LABELLED
from pipeline.params.validation import ValidationParams
from store.documents.prompts import Prompt
from store.documents.variants import BASE
from store.schema.rankings import situations_group
from store.schema.vocabulary import ABLATE, RESTORE, SCORES

Situation = tuple[str, str]
"""Domain ('' where there is none) and what the prompt is about."""

Ranking = tuple[str, str]
"""A score and a contrast: what features are ordered by."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """A ranking that is held against an intervention in a variant."""

    intervention: str
    variant: str
    ranking: Ranking


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which sets of features are measured in a variant.

    Attributes
    ----------
    sample
        (drawn,) rows of the features that are drawn at random.
    top
        (n,) rows of the features that each ranking puts first, toward harm; none without a prediction.
    """

    sample: np.ndarray
    top: Mapping[Ranking, np.ndarray]

    @property
    def singles(self) -> np.ndarray:
        """Rows of all features that are measured by themselves, the sample first."""
        firsts = np.concatenate([np.empty(0, np.int64), *self.top.values()])
        return np.concatenate([self.sample, np.setdiff1d(firsts, self.sample)])

    @property
    def sets(self) -> list[list[int]]:
        """Rows of features that are measured together: each by itself, then the first of each ranking."""
        return [[int(row)] for row in self.singles] + [rows.tolist() for rows in self.top.values()]

    @property
    def compared(self) -> list[int]:
        """Which of the sets stand beside controls: those of rankings' first features."""
        firsts = np.concatenate([np.empty(0, np.int64), *self.top.values()])
        alone = np.flatnonzero(np.isin(self.singles, firsts))
        return [*alone.tolist(), *range(len(self.singles), len(self.sets))]

    def joint(self, ranking: Ranking) -> int:
        """Which of the sets is the first features of a ranking, together."""
        return len(self.singles) + list(self.top).index(ranking)


def orders(focus: str) -> list[Order]:
    """What is held against what, for base and the focus variant; base alone has nothing to restore."""
    within = {variant: [(score, f"evil-safe|{variant}") for score in LABELLED] for variant in (BASE, focus)}
    of_focus = within[focus] + [(score, f"{focus}-{BASE}") for score in SCORES]
    asked = [(ABLATE, BASE, within[BASE])]
    if focus != BASE:
        asked += [(ABLATE, focus, of_focus), (RESTORE, focus, of_focus)]
    return [
        Order(intervention=intervention, variant=variant, ranking=ranking)
        for intervention, variant, rankings in asked
        for ranking in rankings
    ]


def situation_of(prompt: Prompt) -> Situation:
    """What a prompt is about, which is the unit of every test."""
    return prompt.domain or "", prompt.situation


def measured_situations(prompts: Sequence[Prompt]) -> set[Situation]:
    """Where effects are measured: held-out situations, else every second one of each domain.

    The others are where features are ordered; each half has some, if there are two situations.

    Parameters
    ----------
    prompts
        Those that can be scored, with both labels.
    """
    held_out: dict[Situation, bool] = {}
    for prompt in prompts:
        of = situation_of(prompt)
        held_out[of] = held_out.get(of, True) and prompt.held_out
    chosen = {of for of, is_out in held_out.items() if is_out}
    if chosen and len(chosen) < len(held_out):
        return chosen
    by_domain: dict[str, list[Situation]] = {}
    for of in sorted(held_out):
        by_domain.setdefault(of[0], []).append(of)
    # Domains of one situation each take turns, too.
    return {of for of in _every_second(by_domain.values())}


def _every_second(groups: Iterable[Sequence[Situation]]) -> Iterator[Situation]:
    is_next = False
    for group in groups:
        for of in group:
            if is_next:
                yield of
            is_next = not is_next


def _situations(table: xr.Dataset) -> list[Situation]:
    pairs = zip(table["situation_domain"].values, table["situation"].values, strict=True)
    return [(str(domain), str(name)) for domain, name in pairs]


def ordering_situations(groups: Mapping[str, xr.Dataset], measured: set[Situation]) -> set[Situation]:
    """Where features are ordered, by every score: where a labelled prompt is, and none is measured.

    Orders are compared, so that all rest on the same situations; a change of activation asks for no label,
    and is known where others are not. It is all that is known where nothing has a label.
    """
    table = groups[situations_group("direct")]
    known = ~np.isnan(table["effect"].values).all(axis=(0, 2))
    labelled = {of for of, has in zip(_situations(table), known.tolist(), strict=True) if has}
    return (labelled or set(_situations(groups[situations_group("activation")]))) - measured


def _ordered(table: xr.Dataset, contrast: str, ordering: set[Situation]) -> np.ndarray:
    """(situation, feature) float64 effects of a contrast in those of the situations that it knows."""
    names = [str(name) for name in table["contrast"].values]
    if contrast not in names:
        return np.empty((0, table.sizes["feature"]))
    rows = np.array([of in ordering for of in _situations(table)], bool)
    effect = table["effect"].values[names.index(contrast)][rows].astype(np.float64)
    known: np.ndarray = effect[~np.isnan(effect).all(axis=1)]
    return known


def situations_with(groups: Mapping[str, xr.Dataset], focus: str, ordering: set[Situation]) -> np.ndarray:
    """(feature,) int64: situations of ordering in which it has a direct effect, in base or focus."""
    table = groups[situations_group("direct")]
    counts = [
        (_ordered(table, f"evil-safe|{variant}", ordering) != 0).sum(axis=0) for variant in (BASE, focus)
    ]
    found: np.ndarray = np.max(counts, axis=0)
    return found


def predictions(
    groups: Mapping[str, xr.Dataset], found: Sequence[Order], ordering: set[Situation]
) -> dict[Ranking, np.ndarray]:
    """(feature,) float64 by ranking: the mean over the situations of ordering, NaN without any.

    `groups` are those of the FEATURES dataset.
    """
    means = {}
    for score, contrast in dict.fromkeys(order.ranking for order in found):
        effect = _ordered(groups[situations_group(score)], contrast, ordering)
        means[score, contrast] = effect.mean(axis=0) if len(effect) else np.full(effect.shape[1], np.nan)
    return means


def choose(
    predicted: Mapping[Ranking, np.ndarray], params: ValidationParams, allowed: np.ndarray, seed: int
) -> Choice:
    """Draw features at random, and take those that each ranking puts first, toward harm.

    Parameters
    ----------
    predicted
        Of the rankings that concern a variant.
    params
        How many.
    allowed
        (feature,) bool: active in enough situations.
    seed
        Of the draw, which is the same for every variant.
    """
    rows = np.flatnonzero(allowed)
    rng = np.random.default_rng(seed)
    sample = np.sort(rng.choice(rows, min(params.features, len(rows)), replace=False))
    return Choice(
        sample=sample,
        top={ranking: _first(score, rows, params.top) for ranking, score in predicted.items()},
    )


def _first(score: np.ndarray, rows: np.ndarray, n: int) -> np.ndarray:
    """The rows of the n highest scores above 0, highest first."""
    known = rows[score[rows] > 0]
    first: np.ndarray = known[np.argsort(-score[known], kind="stable")[:n]]
    return first
