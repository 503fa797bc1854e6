"""Is it harm, or acting at all? What features do for acting on prompts where acting harms nobody.

Of prompts with the tag `features.confound_tag`, tokens that begin to act are labelled evil, and those that
begin not to, safe, in a domain of their own. A feature that favours the former there as much as evil tokens
elsewhere is about "just do it". These prompts are in no ranking, rate or finding.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import xarray as xr

from pipeline.analysis.contrasts import Contrast, contrasts
from pipeline.analysis.intervals import studentized_interval
from pipeline.analysis.scores import PromptScores, split_key
from pipeline.params.features import FeatureParams
from store.documents.prompts import Prompt

# Dense values (situation x feature) at a time: 32 MB in float64, and a few copies of it.
_BLOCK: Final = 1 << 22
_SHORT: Final = ("effect", "low", "high")


def acting(
    scores: Sequence[PromptScores],
    prompts: Mapping[str, Prompt],
    keys: np.ndarray,
    params: FeatureParams,
    seed: int,
    names: Sequence[str],
) -> xr.Dataset:
    """The group `acting` of the FEATURES dataset: acting against not acting, by `direct`.

    Parameters
    ----------
    scores
        `direct` of the prompts with the tag, one a prompt and variant.
    prompts
        By hash.
    keys
        (feature,) sorted feature keys: the rows. They must hold every key of `scores`.
    params, seed
        Thresholds and resamples; the seed of the bootstrap.
    names
        Contrasts of the ranking.

    Returns
    -------
    xr.Dataset
        As in the schema. An effect is the mean over situations, 0 in those where a feature is
        inactive; NaN where there are fewer situations than `features.min_situations`.
    """
    of = {score.prompt_hash: prompts[score.prompt_hash] for score in scores}
    situations = sorted({(prompt.domain or "", prompt.situation) for prompt in of.values()})
    found = {each.name: each for each in contrasts(scores, of, keys, situations, kind="labelled")}
    table = {column: np.full((len(names), len(keys)), np.nan, np.float32) for column in _SHORT}
    counts = {column: np.zeros(len(names), np.int32) for column in ("n_situations", "n_scored", "n_left_out")}
    for row, name in enumerate(names):
        if name not in found:
            continue
        contrast = found[name]
        counts["n_situations"][row] = len(contrast.situation)
        counts["n_scored"][row], counts["n_left_out"][row] = len(contrast.scored), len(contrast.left_out)
        if len(contrast.situation) >= params.min_situations:
            _fill({column: values[row] for column, values in table.items()}, contrast, params, seed)
    layer, index = split_key(keys)
    return xr.Dataset(
        {
            **{column: (("contrast", "feature"), values) for column, values in table.items()},
            **{column: ("contrast", values) for column, values in counts.items()},
        },
        coords={
            "layer": ("feature", layer),
            "index": ("feature", index),
            "contrast": ("contrast", np.array(names, dtype=object)),
        },
    )


def _fill(table: Mapping[str, np.ndarray], contrast: Contrast, params: FeatureParams, seed: int) -> None:
    """Effects of every feature into (feature,) columns, and intervals of those that are active somewhere."""
    rows = np.arange(len(contrast.situation))
    table["effect"][:] = 0.0
    active = np.flatnonzero(contrast.situations_with(rows))
    step = max(1, _BLOCK // len(rows))
    for start in range(0, len(active), step):
        block = active[start : start + step]
        values = contrast.values(rows, block)
        table["effect"][block] = values.mean(axis=0)
        # The same seed for every block: one set of resamples, whatever the block size.
        table["low"][block], table["high"][block] = studentized_interval(
            values, params.bootstrap, params.confidence, np.random.default_rng(seed)
        )
