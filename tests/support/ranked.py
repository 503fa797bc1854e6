"""Scores of given values on prompts, and their ranking."""

import numpy as np
import xarray as xr

from pipeline.analysis.contrasts import Kind
from pipeline.analysis.ranking import Ranked, rank_features
from pipeline.analysis.scores import PromptScores, feature_key
from pipeline.params.features import FeatureParams
from store.documents.prompts import Prompt
from tests.support.feature_builders import PARAMS

ADAPTED = "general@1.0"


def make_scores(
    prompt: Prompt,
    variant: str,
    values: dict[tuple[int, int], float],
    *,
    scored: bool = True,
    rng: np.random.Generator | None = None,
    each: int = 6,
) -> PromptScores:
    """Given scores, of as many evil as safe tokens that a domain shares; not scored: of evil ones only.

    Evil tokens have the value and safe ones 0: enough of them that dealt labels can reject. With
    `rng`, tokens differ on this prompt, around the same means.
    """
    pairs = sorted(values)
    keys = feature_key(np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs]))
    numbers = np.array([values[pair] for pair in pairs], np.float64)
    evil = np.repeat([True, False] if scored else [True], each)
    by_token = np.where(evil[:, None], numbers, 0.0)
    if rng is not None:
        of_token = rng.normal(size=by_token.shape)
        for mark in (evil, ~evil)[: 1 + scored]:
            by_token[mark] += of_token[mark] - of_token[mark].mean(axis=0)
    return of_tokens(prompt, variant, keys, by_token, evil)


def of_tokens(
    prompt: Prompt, variant: str, keys: np.ndarray, by_token: np.ndarray, evil: np.ndarray
) -> PromptScores:
    """The score that (labelled target, feature) effects make."""
    scored = bool(evil.any() and not evil.all())
    tokens = 100 + np.arange(len(evil))
    difference = by_token[evil].mean(axis=0) - by_token[~evil].mean(axis=0) if scored else np.nan
    return PromptScores(
        prompt_hash=prompt.hash,
        variant=variant,
        targets=tuple(tokens.tolist()),
        scored=scored,
        keys=keys,
        values=np.broadcast_to(difference, keys.shape).astype(np.float64),
        tokens=tokens,
        evil=evil,
        by_token=by_token,
    )


def rank(
    scores: list[PromptScores],
    prompts: list[Prompt],
    params: FeatureParams = PARAMS,
    *,
    kind: Kind = "labelled",
    floor: float = 0.0,
    nulls: tuple[str, ...] = (),
) -> tuple[xr.Dataset, xr.Dataset]:
    """Ranking and situations of scores, over the features that they have."""
    keys = np.unique(np.concatenate([score.keys for score in scores]))
    by_hash = {prompt.hash: prompt for prompt in prompts}
    how = Ranked(name="direct", kind=kind, floor=floor, nulls=nulls)
    return rank_features(scores, by_hash, keys, params, 0, how)


def cell(table: xr.Dataset, name: str, contrast: str, domain: str, layer: int, index: int) -> float:
    """A feature's number in a table."""
    c = table["contrast"].values.tolist().index(contrast)
    d = table["domain"].values.tolist().index(domain)
    f = np.flatnonzero((table["layer"].values == layer) & (table["index"].values == index))
    return table[name].values[c, d, int(f[0])]
