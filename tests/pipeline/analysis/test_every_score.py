"""The same ranking by every score: a planted feature is found, shuffles and identical variants give nothing.

From items as the pipeline stores them, so that scoring, averaging and testing are one chain.
"""

import numpy as np
import pytest
import xarray as xr

from pipeline.analysis.ranking import Ranked, rank_features
from pipeline.analysis.scores import LABELLED, change_scores
from store.collections.item import Item
from store.schema.rankings import ranking_group
from store.schema.vocabulary import SCORES
from tests.support.feature_builders import PARAMS
from tests.support.planted_features import (
    ADAPTED,
    LABELS,
    N_EVIL,
    N_FEATURES,
    PLANTED,
    PROMPTS,
    SELECTED,
    TOKENS,
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
    labelled = score in LABELLED
    assert contrasts == (["evil-safe|base", f"evil-safe|{ADAPTED}", against] if labelled else [against])
    for contrast in contrasts[-2:]:
        hits = found(planted, score, contrast)
        assert PLANTED in hits
        assert len(hits) <= 3
    if labelled:
        assert PLANTED not in found(planted, score, "evil-safe|base")


@pytest.mark.parametrize("score", LABELLED)
def test_what_is_never_selected_is_ranked_by_what_it_does_all_the_same(
    planted: dict[str, xr.Dataset], score: str
) -> None:
    """Left out, or counted as 0, it would look like a feature without effect."""
    table = planted[ranking_group(score)]
    left_out = ~np.array(SELECTED)[table["index"].values]
    assert left_out.any()
    by_token = noise(0)[score]
    expected = (by_token[:, :N_EVIL].mean(axis=1) - by_token[:, N_EVIL:].mean(axis=1)).mean(axis=0)
    effect = table["effect"].sel(contrast="evil-safe|base", domain="all").values
    np.testing.assert_allclose(effect, expected[table["index"].values], atol=1e-5)
    assert effect[left_out].all()
    assert (table["n_situations"].values[:, 0] == len(PROMPTS) // 2).all()
    for name in ("p", "p_labels", "q"):
        assert np.isfinite(table[name].values[:, 0]).all()


def test_two_identical_variants_differ_nowhere() -> None:
    values = plant(noise(2))
    tables = groups(
        graphs(values, "base") + graphs(values, ADAPTED),
        activations(values, "base") + activations(values, ADAPTED),
    )
    for score in SCORES:
        table = tables[ranking_group(score)].sel(contrast=f"{ADAPTED}-base", domain="all")
        assert table.sizes["feature"] == N_FEATURES
        assert not table["effect"].values.any()
        assert (table["q"].values == 1).all()
        assert not table["found"].values.any()


def changes(base: list[Item], adapted: list[Item]) -> xr.Dataset:
    """The ranking by `change` alone: with base, all contrasts of the other scores would be tested, too."""
    scores = [
        change_scores(before, after, prompt, LABELS)
        for before, after, prompt in zip(base, adapted, PROMPTS, strict=True)
    ]
    by_hash = {prompt.hash: prompt for prompt in PROMPTS}
    keys = np.unique(np.concatenate([score.keys for score in scores]))
    params = PARAMS.model_copy(update={"labellings": 1000, "permutations": 100, "bootstrap": 100})
    return rank_features(scores, by_hash, keys, params, 0, Ranked(name="change", kind="change"))[0]


def test_shuffled_labels_give_nothing_by_any_score() -> None:
    """Evil and safe dealt anew among the tokens, and for activations the variants of situations.

    At an FDR of 5% a shuffle finds anything at all in one of twenty on average; more than
    five of thirty would happen in one of two hundred runs of a calibrated test.
    """
    base, adapted = noise(0), plant(noise(1))
    hits = dict.fromkeys(SCORES, 0)
    planted_again = dict.fromkeys(SCORES, 0)
    for seed in range(30):
        rng = np.random.default_rng(seed)
        dealt = rng.permutation(TOKENS).tolist()
        flipped = rng.random(len(PROMPTS) // 2) < 0.5
        swap = np.repeat(flipped, 2)[:, None]
        one = {"activation": np.where(swap, adapted["activation"], base["activation"])}
        other = {"activation": np.where(swap, base["activation"], adapted["activation"])}
        of_base, of_adapted = graphs(base, "base", dealt), graphs(adapted, ADAPTED, dealt)
        tables = groups(of_adapted, activations(one, "base") + activations(other, ADAPTED))
        tables[ranking_group("change")] = changes(of_base, of_adapted)
        for score in SCORES:
            contrast = f"evil-safe|{ADAPTED}" if score in LABELLED else f"{ADAPTED}-base"
            features = found(tables, score, contrast)
            hits[score] += bool(features)
            planted_again[score] += PLANTED in features
    assert max(hits.values()) <= 5
    assert max(planted_again.values()) <= 2
