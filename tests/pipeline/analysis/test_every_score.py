"""The same ranking by every score: a planted feature is found, shuffles and identical variants give nothing.

From items as the pipeline stores them, so that scoring, averaging and testing are one chain.
"""

import numpy as np
import pytest
import xarray as xr

from store.schema.rankings import ranking_group
from store.schema.vocabulary import SCORES
from tests.support.planted_features import (
    ADAPTED,
    N_FEATURES,
    PLANTED,
    PROMPTS,
    SELECTED,
    activations,
    graphs,
    groups,
    noise,
    plant,
)


def found(tables: dict[str, xr.Dataset], score: str, contrast: str) -> list[int]:
    """Indices of the features at FDR 5%, over all domains."""
    table = tables[ranking_group(score)]
    row = table["contrast"].values.tolist().index(contrast)
    return table["index"].values[table["q"].values[row, 0] < 0.05].tolist()


@pytest.fixture(scope="module")
def planted() -> dict[str, xr.Dataset]:
    base, adapted = noise(0), plant(noise(1))
    return groups(
        graphs(base, "base") + graphs(adapted, ADAPTED),
        activations(base, "base") + activations(adapted, ADAPTED),
    )


@pytest.mark.parametrize("score", SCORES)
def test_a_planted_feature_is_found_by_every_score(planted: dict[str, xr.Dataset], score: str) -> None:
    contrasts = planted[ranking_group(score)]["contrast"].values.tolist()
    against = f"{ADAPTED}-base"
    assert contrasts == (
        [against] if score == "activation" else ["evil-safe|base", f"evil-safe|{ADAPTED}", against]
    )
    for contrast in contrasts[-2:]:
        hits = found(planted, score, contrast)
        assert PLANTED in hits
        assert len(hits) <= 3
    if score != "activation":
        assert PLANTED not in found(planted, score, "evil-safe|base")


@pytest.mark.parametrize("score", SCORES[1:3])
def test_what_is_never_selected_is_not_ranked(planted: dict[str, xr.Dataset], score: str) -> None:
    """Trap: counted as 0 it would be a feature without effect, which nobody has measured."""
    table = planted[ranking_group(score)]
    left_out = ~np.array(SELECTED)[table["index"].values]
    assert left_out.any()
    assert np.isnan(table["effect"].values[:, 0, left_out]).all()
    assert not table["n_situations"].values[:, 0, left_out].any()
    assert np.isfinite(table["effect"].values[:, 0, ~left_out]).all()
    assert np.isfinite(planted["ranking"]["effect"].values[:, 0]).all()


def test_two_identical_variants_differ_nowhere() -> None:
    values = plant(noise(2))
    tables = groups(
        graphs(values, "base") + graphs(values, ADAPTED),
        activations(values, "base") + activations(values, ADAPTED),
    )
    for score in SCORES:
        table = tables[ranking_group(score)].sel(contrast=f"{ADAPTED}-base", domain="all")
        known = np.isfinite(table["effect"].values)
        assert not table["effect"].values[known].any()
        assert (table["q"].values[known] == 1).all()
        assert known.sum() == (N_FEATURES if score in ("direct", "activation") else sum(SELECTED))


def test_shuffled_labels_give_nothing_by_any_score() -> None:
    """Evil and safe exchanged at random by situation, and for activations the variants.

    At an FDR of 5% a shuffle finds anything at all in one of twenty on average; more than
    five of thirty would happen in one of two hundred runs of a calibrated test.
    """
    base, adapted = noise(0), plant(noise(1))
    hits = dict.fromkeys(SCORES, 0)
    planted_again = dict.fromkeys(SCORES, 0)
    for seed in range(30):
        flipped = np.random.default_rng(seed).random(len(PROMPTS) // 2) < 0.5
        swap = np.repeat(flipped, 2)[:, None]
        one = {"activation": np.where(swap, adapted["activation"], base["activation"])}
        other = {"activation": np.where(swap, base["activation"], adapted["activation"])}
        tables = groups(
            graphs(adapted, ADAPTED, flipped), activations(one, "base") + activations(other, ADAPTED)
        )
        for score in SCORES:
            contrast = f"{ADAPTED}-base" if score == "activation" else f"evil-safe|{ADAPTED}"
            features = found(tables, score, contrast)
            hits[score] += bool(features)
            planted_again[score] += PLANTED in features
    assert max(hits.values()) <= 5
    assert max(planted_again.values()) <= 2
