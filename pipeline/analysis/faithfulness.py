"""How much of what an adapter did do features carry? F(k), its area, and the features that do nothing.

With m the log-odds of evil against safe probability mass, in the real model (DESIGN, section 5),

    given: F(k) = (m(base, first k features adapted) - m(base)) / (m(adapted) - m(base))
    taken: F(k) = (m(adapted) - m(adapted, first k features base's)) / (m(adapted) - m(base))

so that 0 is nothing and 1 all of the difference. Both are ratios of means over situations, for on a single
prompt the difference may be near 0. Intervals are bootstrap-t of the jackknife's pseudo-values (Efron &
Tibshirani 1993, sections 11.5 and 12.5), whose unit is the situation.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline.analysis.dealing import deal
from pipeline.analysis.intervals import studentized_interval

# Labellings of one block of products.
_STEP: Final = 256
# Sums of exponentials are rounded: those that nearly reach the observed effect count as reaching it.
_SLACK: Final = 1e-9

ACTS, SILENT, UNCLEAR = VERDICTS = ("acts", "silent", "unclear")
"""What is known of a feature by itself."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Logits of one prompt's labelled tokens, as `pipeline.interventions.faithful` has them.

    Attributes
    ----------
    situation, domain
        What the prompt is about; labels are dealt anew within a domain.
    tokens
        (token,) ids of the labelled tokens.
    evil
        (token,) bool; the others are safe, and there are both.
    base, adapted
        (token,) logits.
    given, taken, given_with_adapter
        (order, k, token) logits.
    singles
        (feature, token) logits: each feature given by itself.
    parts
        (2, set, token) logits, given and taken.
    node_given, node_taken
        (order, k, token) logits of orders that hold adapter nodes, and of random ones like each.
    nulls
        (null, token) logits of random adapters.
    null_given
        (null, order, k, token) logits: features given what they are under a random adapter.
    """

    situation: tuple[str, str]
    domain: str
    tokens: np.ndarray
    evil: np.ndarray
    base: np.ndarray
    adapted: np.ndarray
    given: np.ndarray
    taken: np.ndarray
    given_with_adapter: np.ndarray
    singles: np.ndarray
    parts: np.ndarray
    node_given: np.ndarray
    node_taken: np.ndarray
    nulls: np.ndarray
    null_given: np.ndarray


def log_odds(logits: np.ndarray, evil: np.ndarray) -> np.ndarray:
    """Log-odds of evil against safe probability mass.

    Parameters
    ----------
    logits
        (..., token), of any float dtype; a constant added to all changes nothing.
    evil
        (token,) bool; the others are safe.

    Returns
    -------
    numpy.ndarray
        (...) float64.
    """
    odds: np.ndarray = _log_mass(logits[..., evil]) - _log_mass(logits[..., ~evil])
    return odds


def _log_mass(logits: np.ndarray) -> np.ndarray:
    logits = logits.astype(np.float64)
    top = logits.max(axis=-1, keepdims=True)
    mass: np.ndarray = top[..., 0] + np.log(np.exp(logits - top).sum(axis=-1))
    return mass


def by_situation(values: Sequence[np.ndarray], situations: Sequence[tuple[str, str]]) -> np.ndarray:
    """(situation, ...) float64 means of prompts' values, one array a prompt; situations ascending."""
    names = sorted(set(situations))
    place = np.array([names.index(one) for one in situations])
    stacked = np.array(values, np.float64)
    found: np.ndarray = np.array([stacked[place == row].mean(axis=0) for row in range(len(names))])
    return found


def fractions(change: np.ndarray, difference: np.ndarray) -> np.ndarray:
    """F of changes (situation, ...) and differences (situation,), log-odds: (...) float64."""
    found: np.ndarray = change.mean(axis=0) / difference.mean()
    return found


def areas(fraction: np.ndarray, ks: Sequence[int]) -> np.ndarray:
    """Mean of F(k) over log k, from the first k to the last; (..., k) to (...) float64.

    By trapezoids. Where F is above 1, it counts as 1: what overshoots is not carried.
    """
    x = np.log(np.asarray(ks, np.float64))
    found: np.ndarray = np.trapezoid(np.minimum(fraction, 1.0), x, axis=-1) / (x[-1] - x[0])
    return found


def fewest(fraction: np.ndarray, ks: Sequence[int], reached: float) -> np.ndarray:
    """The first of `ks` at which (..., k) values reach a share; -1 where none does. (...) int32."""
    reaches = fraction >= reached
    first: np.ndarray = np.where(reaches.any(axis=-1), np.asarray(ks)[reaches.argmax(axis=-1)], -1)
    return first.astype(np.int32)


def interval(
    statistic: Callable[[np.ndarray], np.ndarray], n: int, resamples: int, confidence: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Interval over situations of a smooth statistic.

    Parameters
    ----------
    statistic
        Of rows of situations, (situation,) int: any shape, float64.
    n
        Situations.

    Returns
    -------
    low, high
        Of the statistic's shape; NaN where the situations are too few to tell, or all alike.
    """
    rows = np.arange(n)
    whole = np.asarray(statistic(rows))
    if n < 2:
        return np.full(whole.shape, np.nan), np.full(whole.shape, np.nan)
    without = np.array([np.asarray(statistic(np.delete(rows, row))) for row in rows])
    pseudo = (n * whole - (n - 1) * without).reshape(n, -1)
    low, high = studentized_interval(pseudo, resamples, confidence, np.random.default_rng(seed))
    # Bounds are about the pseudo-values' mean, which a bias tells from the statistic.
    shift = whole.ravel() - pseudo.mean(axis=0)
    return (low + shift).reshape(whole.shape), (high + shift).reshape(whole.shape)


def labels_p(prompts: Sequence[Measured], draws: int, seed: int) -> tuple[np.ndarray, float]:
    """Two-sided p-values of each single feature's mean change, evil and safe labels dealt anew.

    The labels are exchanged among the tokens of each domain (trap 29; `pipeline.analysis.label_permutation`),
    and every prompt's log-odds are those of the new labels, in base and with the feature given. A token
    that is evil on one prompt and safe on another has two labels, each of its prompts.

    Returns
    -------
    numpy.ndarray
        (feature,) float64.
    float
        The smallest p that there can be: labels can be dealt in so many ways.
    """
    labels = [
        [(one.domain, int(token), bool(evil)) for token, evil in zip(one.tokens, one.evil, strict=True)]
        for one in prompts
    ]
    units = sorted({unit for each in labels for unit in each})
    place = {unit: row for row, unit in enumerate(units)}
    marks = np.array([evil for _, _, evil in units])
    domains = np.array([domain for domain, _, _ in units])
    pools = [np.flatnonzero(domains == name) for name in np.unique(domains)]
    names = sorted({one.situation for one in prompts})
    rows = [
        (names.index(one.situation), [place[unit] for unit in own], _mass(one))
        for one, own in zip(prompts, labels, strict=True)
    ]
    observed = np.abs(_dealt_changes(marks[None], rows, len(names))[0])
    dealt = deal(marks, pools, draws, np.random.default_rng(seed), step=_STEP)
    count = np.zeros(len(observed), np.int64)
    for block in dealt.blocks:
        changes = np.abs(_dealt_changes(block, rows, len(names)))
        count += (changes >= observed * (1 - _SLACK)).sum(axis=0)
    return dealt.p(count), float(dealt.p(np.array(int(dealt.exact))))


def _mass(one: Measured) -> np.ndarray:
    """(1 + feature, token) probability mass up to a factor of each row; base's first."""
    logits = np.concatenate([one.base[None], one.singles]).astype(np.float64)
    mass: np.ndarray = np.exp(logits - logits.max(axis=1, keepdims=True))
    return mass


def _dealt_changes(evil: np.ndarray, rows: Sequence[tuple[int, list[int], np.ndarray]], n: int) -> np.ndarray:
    """(labelling, feature) mean changes over situations, of labels (labelling, unit).

    A prompt that has not both labels is left out, and so is a situation without a prompt.
    """
    width = len(rows[0][2]) - 1
    total = np.zeros((n, len(evil), width))
    counted = np.zeros((n, len(evil), 1))
    for situation, own, mass in rows:
        marks = evil[:, own].astype(np.float64)
        n_evil = marks.sum(axis=1)[:, None]
        both = (n_evil > 0) & (n_evil < len(own))
        with np.errstate(divide="ignore", invalid="ignore"):
            odds = np.log(marks @ mass.T) - np.log((1 - marks) @ mass.T)
            total[situation] += np.where(both, odds[:, 1:] - odds[:, :1], 0.0)
        counted[situation] += both
    means = np.divide(total, counted, out=np.zeros_like(total), where=counted > 0)
    found: np.ndarray = means.sum(axis=0) / np.maximum((counted > 0).sum(axis=0), 1)
    return found


def verdicts(
    fraction: np.ndarray, low: np.ndarray, high: np.ndarray, q: np.ndarray, *, silent: float, fdr: float
) -> np.ndarray:
    """What is known of single features, (feature,) text of `VERDICTS`.

    *Silent*: its whole interval lies within plus and minus `silent` of the difference, or it changes
    nothing anywhere. *Acts*: it is not, and q is at most `fdr`. Else *unclear*.
    """
    nothing = (fraction == 0) & np.isnan(low)
    is_silent = nothing | ((np.abs(low) <= silent) & (np.abs(high) <= silent))
    found: np.ndarray = np.where(is_silent, SILENT, np.where(q <= fdr, ACTS, UNCLEAR)).astype(object)
    return found
