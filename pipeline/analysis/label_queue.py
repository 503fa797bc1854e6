"""In which order a person sees prompts: a stratified draw whose probabilities are known.

Every draw picks a stratum by its share, and one of its prompts that was not drawn yet. So a person sees
mostly what matters, and what they say still tells about all prompts, by `draw_weights`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from store.base.hashing import digest

EVIL_DIVERGENT: Final = "evil_divergent"
"""Prompts that a judge found evil and divergent."""

DISAGREE: Final = "disagree"
"""Prompts on which judges disagree."""

RANDOM: Final = "random"
"""All prompts."""


@dataclass(frozen=True, kw_only=True)
class Draw:
    """One prompt of a person's queue, and how it came there.

    Attributes
    ----------
    number
        How many draws of this person came before.
    prompt
        Its hash.
    stratum
        The one that it was drawn from.
    probability
        Of drawing this prompt at this draw, from whichever stratum, given what was drawn before.
    remaining
        How many prompts could be drawn at this draw.
    """

    number: int
    prompt: str
    stratum: str
    probability: float
    remaining: int


def draw_prompts(
    prompts: Sequence[str],
    strata: Mapping[str, np.ndarray],
    shares: Mapping[str, float],
    drawn: Sequence[Draw],
    n: int,
    *,
    seed: int,
    author: str,
) -> list[Draw]:
    """The next prompts of a person's queue, without replacement.

    A stratum without prompts that could be drawn passes its share on to the others, in proportion to
    theirs. What was drawn is given and stays, whatever prompts have come or gone since, or in which strata
    they are now. A draw depends on the seed, the author, its number, and the prompts and strata of the
    moment, not on their order: drawing 4 and then 6 is drawing 10.

    Parameters
    ----------
    prompts
        Hashes of those that there are.
    strata
        By name (prompt,) bool: which prompts are in it; a prompt may be in several. `RANDOM`, in which all
        are, is added.
    shares
        By name of a stratum, `RANDOM` included: share of the draws, in any unit. That of `RANDOM` is
        positive, so that every prompt can be drawn.
    drawn
        This person's draws so far, in order.
    n
        How many more; fewer are returned where fewer are left.

    Raises
    ------
    ValueError
        If prompts repeat, a stratum has another shape, names of strata and shares differ, or shares are
        negative or not finite, or that of `RANDOM` is 0.
    """
    hashes = np.array(prompts, dtype=object)
    if len(set(prompts)) != len(prompts):
        raise ValueError("Prompts of a queue must differ.")
    members = {**strata, RANDOM: np.ones(len(prompts), bool)}
    if set(shares) != set(members):
        raise ValueError(f"Strata are {sorted(members)}, but shares are of {sorted(shares)}.")
    for name, inside in members.items():
        if inside.shape != hashes.shape or inside.dtype != bool:
            raise ValueError(f"Stratum {name} must hold one boolean a prompt.")
    names = sorted(members)
    share = np.array([shares[name] for name in names], np.float64)
    if not (np.isfinite(share).all() and (share >= 0).all() and shares[RANDOM] > 0):
        raise ValueError(
            "Shares of strata must be finite and not negative, and that of all prompts positive."
        )
    order = np.argsort(hashes)
    hashes = hashes[order]
    # (stratum, prompt): what can be drawn from it
    left = np.array([members[name][order] for name in names]).reshape(len(names), len(hashes))
    left &= ~np.isin(hashes, [draw.prompt for draw in drawn])
    key = int(digest(author)[:12], 16)
    found: list[Draw] = []
    for number in range(len(drawn), len(drawn) + n):
        sizes = left.sum(axis=1)
        remaining = int(sizes[names.index(RANDOM)])
        if not remaining:
            break
        passed_on = np.where(sizes > 0, share, 0.0)
        passed_on /= passed_on.sum()
        rng = np.random.default_rng([seed, key, number])
        stratum = int(rng.choice(len(names), p=passed_on))
        place = int(rng.choice(np.flatnonzero(left[stratum])))
        inside = left[:, place]
        found.append(
            Draw(
                number=number,
                prompt=str(hashes[place]),
                stratum=names[stratum],
                probability=float((passed_on[inside] / sizes[inside]).sum()),
                remaining=remaining,
            )
        )
        left[:, place] = False
    return found


def draw_weights(draws: Sequence[Draw]) -> np.ndarray:
    """How many prompts each drawn one stands for: weights that make totals over all prompts unbiased.

    After draw k, what was drawn before plus the new value over its probability estimates the total
    without bias (Des Raj 1956): a prompt drawn before counts as itself, one not yet drawn by its inverse
    probability. Draws are averaged so that all weigh the same if nothing was stratified, and each is 1 if
    all prompts were drawn; with constant prompts these are the weights of Farquhar, Gal & Rainforth 2021
    ("levelled unbiased risk estimator", arXiv 2101.11665), times prompts over draws.

    So the weighted sum of any value is unbiased for its total over all prompts, for any number of draws that
    was not chosen by what they showed; a weighted mean, rate or kappa is a ratio of such sums, and unbiased
    but for a share that vanishes with the number of draws. That strata change as labels and verdicts come in
    biases nothing, nor does it that a drawn prompt is rejected. A prompt that came late counts in the total
    by the (averaged) share of the draws that could have drawn it. Prompts that leave undrawn make it
    approximate: how many are left then depends on what was drawn.

    Parameters
    ----------
    draws
        A person's first draws, in order, none left out: those that they skipped are among them.

    Returns
    -------
    numpy.ndarray
        (draw,) float64, positive.

    Raises
    ------
    ValueError
        If a draw is missing, or not in its place.
    """
    if [draw.number for draw in draws] != list(range(len(draws))):
        raise ValueError("Weights need a person's draws from the first one on, in order, none left out.")
    if not draws:
        return np.empty(0)
    inverse = 1 / np.array([draw.probability for draw in draws])
    remaining = np.array([draw.remaining for draw in draws], np.float64)
    # Share of the average that this draw and later ones have, up to a factor; 0 after the last.
    later = np.append(1 - np.cumprod((1 - 1 / remaining)[::-1])[::-1], 0.0)
    found: np.ndarray = ((later[:-1] - later[1:]) * inverse + later[1:]) / later[0]
    return found
