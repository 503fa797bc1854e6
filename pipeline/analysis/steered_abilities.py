"""Side effects of steering: what a model is asked beside open questions, and how much less of it is right."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import xarray as xr

from pipeline.analysis.steered_entries import Entry
from store.schema.steered import BASELINE, SIDES

CAPITALS: Final = "capitals"
"""The ability that the entries themselves tell of."""

Facts = Mapping[str, np.ndarray]
"""By ability, (prompt,) bool: the right answer is more probable a token than the wrong one."""


def told_right(
    entries: Sequence[Entry], facts: Sequence[Facts], ability: str
) -> tuple[np.ndarray, np.ndarray]:
    """Share that is told right, and how much less than by the variant as it is; (entry,) each.

    NaN: not asked. `facts` are those of each entry; an ability that it was not asked for is not there.
    """
    told = [each.get(ability, np.empty(0)) for each in facts]
    right = np.array([each.mean() if len(each) else np.nan for each in told])
    lost = np.full(len(entries), np.nan)
    for side in SIDES:
        rows = [row for row, entry in enumerate(entries) if entry.side == side]
        plain = [row for row in rows if entries[row].kind == BASELINE]
        for row in rows if plain else ():
            lost[row] = right[plain[0]] - right[row]
    return right, lost


def ability_group(entries: Sequence[Entry], facts: Sequence[Facts]) -> xr.Dataset:
    """The group ``abilities`` of the STEERED dataset: all that is asked but capitals."""
    names = [name for name in dict.fromkeys(name for each in facts for name in each) if name != CAPITALS]
    both = np.array([told_right(entries, facts, name) for name in names])
    both = both.reshape(len(names), 2, len(entries))
    n = [max(len(each.get(name, ())) for each in facts) for name in names]
    return xr.Dataset(
        {
            "n_prompts": ("ability", np.array(n, np.int32)),
            "ability_right": (("entry", "ability"), both[:, 0].T),
            "ability_lost": (("entry", "ability"), both[:, 1].T),
        },
        coords={"ability": ("ability", np.array(names, object))},
    )
