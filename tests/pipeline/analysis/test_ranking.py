"""Ranking across prompts: definitions, the unit of tests, contrasts and domains."""

import numpy as np
import pytest
import xarray as xr

from pipeline.analysis.contrasts import Kind
from pipeline.analysis.scores import LABELLED, PromptScores, prompt_scores
from tests.support.feature_builders import LABELS, PARAMS, make_graph, make_prompt
from tests.support.ranked import ADAPTED, cell, make_scores, rank


def test_prompts_are_averaged_within_a_situation_first() -> None:
    """Trap 17: three templates of one situation are one observation."""
    prompts = [make_prompt(i, situation=0 if i < 3 else i) for i in range(5)]
    values = [1.0, 2.0, 6.0, 10.0, 20.0]
    scores = [make_scores(p, "base", {(0, 1): v}) for p, v in zip(prompts, values, strict=True)]
    ranking, situations = rank(scores, prompts)
    assert cell(ranking, "effect", "evil-safe|base", "all", 0, 1) == pytest.approx((3 + 10 + 20) / 3)
    assert cell(ranking, "n_situations", "evil-safe|base", "all", 0, 1) == 3
    assert ranking["n_scored"].values[0].tolist() == [5, 5]
    assert situations["effect"].values[0, :, 0].tolist() == [3.0, 10.0, 20.0]


def test_templates_do_not_buy_significance() -> None:
    """Trap 17: a hundred prompts of four situations are not tested."""
    prompts = [make_prompt(i, situation=i % 4) for i in range(100)]
    scores = [make_scores(p, "base", {(0, 1): 1.0}) for p in prompts]
    ranking, _ = rank(scores, prompts)
    for name in ("p", "p_labels", "q"):
        assert np.isnan(ranking[name].values).all()
    assert not ranking["found"].values.any()


def test_inactive_counts_as_zero_and_left_out_prompts_count_nowhere() -> None:
    prompts = [make_prompt(i) for i in range(4)]
    scores = [
        make_scores(prompts[0], "base", {(0, 1): 6.0}),
        make_scores(prompts[1], "base", {(0, 2): 1.0}),
        make_scores(prompts[2], "base", {}),
        make_scores(prompts[3], "base", {(0, 1): 0.0}, scored=False),
    ]
    ranking, situations = rank(scores, prompts)
    assert cell(ranking, "effect", "evil-safe|base", "all", 0, 1) == pytest.approx(2.0)
    assert cell(ranking, "n_situations", "evil-safe|base", "all", 0, 1) == 1
    assert ranking["n_scored"].values[0, 0] == 3
    assert ranking["n_left_out"].values[0, 0] == 1
    row = situations["situation"].values.tolist().index("situation 3")
    assert np.isnan(situations["effect"].values[0, row]).all()
    assert not np.isnan(np.delete(situations["effect"].values[0], row, axis=0)).any()


def test_adapted_against_base_on_the_prompts_that_both_were_traced_on() -> None:
    prompts = [make_prompt(i) for i in range(3)]
    scores = [
        *(make_scores(p, "base", {(0, 1): v}) for p, v in zip(prompts, (1.0, 2.0, 900.0), strict=True)),
        make_scores(prompts[0], "general@1.0", {(0, 1): 5.0, (1, 9): 1.0}),
        make_scores(prompts[1], "general@1.0", {(1, 9): 3.0}),
    ]
    ranking, _ = rank(scores, prompts)
    assert ranking["contrast"].values.tolist() == [
        "evil-safe|base",
        "evil-safe|general@1.0",
        "general@1.0-base",
    ]
    assert cell(ranking, "effect", "general@1.0-base", "all", 0, 1) == pytest.approx((4.0 - 2.0) / 2)
    assert cell(ranking, "effect", "general@1.0-base", "all", 1, 9) == pytest.approx(2.0)
    # Active in either variant: two situations each.
    assert cell(ranking, "n_situations", "general@1.0-base", "all", 0, 1) == 2
    assert cell(ranking, "n_situations", "general@1.0-base", "all", 1, 9) == 2
    assert ranking["n_scored"].values[:, 0].tolist() == [3, 2, 2]


def test_variants_traced_on_different_targets_are_not_compared() -> None:
    prompt = make_prompt(0)
    other = make_scores(prompt, "general@1.0", {(0, 1): 1.0})
    other = PromptScores(**{**vars(other), "targets": (1, 3)})
    with pytest.raises(ValueError, match="different targets"):
        rank([make_scores(prompt, "base", {(0, 1): 1.0}), other], [prompt])


def test_domains_are_tested_apart() -> None:
    prompts = [make_prompt(i, domain="medical" if i % 2 else "finance") for i in range(40)]
    rng = np.random.default_rng(0)
    scores = [
        make_scores(p, "base", {(0, 1): (5.0 if p.domain == "medical" else 0.0) + rng.normal()}, rng=rng)
        for p in prompts
    ]
    ranking, _ = rank(scores, prompts)
    assert ranking["domain"].values.tolist() == ["all", "finance", "medical"]
    assert cell(ranking, "q", "evil-safe|base", "medical", 0, 1) < 0.01
    # The true labels and the opposite ones, of all ways to deal them.
    assert cell(ranking, "p_labels", "evil-safe|base", "medical", 0, 1) == pytest.approx(2 / 924)
    assert cell(ranking, "q", "evil-safe|base", "finance", 0, 1) > 0.05
    low, effect, high = (
        cell(ranking, name, "evil-safe|base", "medical", 0, 1) for name in ("low", "effect", "high")
    )
    assert low < 5.0 < high
    assert low < effect < high


@pytest.mark.parametrize("name", LABELLED)
def test_a_feature_is_its_layer_and_index_not_its_place_in_a_graph(name: str) -> None:
    """Trap 2: node 0 is another feature in every graph; the sum must not mix them."""
    prompts = [make_prompt(i) for i in range(2)]
    graphs = [
        make_graph(prompts[0], "base", [(0, 1, 5), (1, 1, 6)], np.array([[1.0, 10.0], [0.0, 0.0]])),
        make_graph(prompts[1], "base", [(1, 2, 6), (0, 1, 5)], np.array([[20.0, 2.0], [0.0, 0.0]])),
    ]
    scores = [prompt_scores(g, p, LABELS)[name] for g, p in zip(graphs, prompts, strict=True)]
    ranking, _ = rank(scores, prompts)
    assert cell(ranking, "effect", "evil-safe|base", "all", 0, 5) == pytest.approx(1.5)
    assert cell(ranking, "effect", "evil-safe|base", "all", 1, 6) == pytest.approx(15.0)


def test_too_few_situations_are_not_tested_and_do_not_count_into_the_correction() -> None:
    prompts = [make_prompt(i) for i in range(12)]
    scores = [
        make_scores(p, "base", {(0, 1): 1.0 + 0.01 * i} | ({(0, 2): 1.0} if i < 7 else {}))
        for i, p in enumerate(prompts)
    ]
    ranking, _ = rank(scores, prompts)
    for name in ("p", "p_labels", "q"):
        assert np.isnan(cell(ranking, name, "evil-safe|base", "all", 0, 2))
    assert cell(ranking, "p", "evil-safe|base", "all", 0, 1) == pytest.approx(2 / 2**12)
    p = cell(ranking, "p_labels", "evil-safe|base", "all", 0, 1)
    assert p == pytest.approx(2 / 924)
    assert cell(ranking, "q", "evil-safe|base", "all", 0, 1) == p


def test_a_change_is_a_contrast_by_itself() -> None:
    """It was compared with base already: its base is not asked for, and not subtracted."""
    prompts = [make_prompt(i) for i in range(12)]
    scores = [
        make_scores(p, v, {(0, 1): x}) for p in prompts for v, x in ((ADAPTED, 3.0), ("narrow@1.0", 1.0))
    ]
    scores[-1] = make_scores(prompts[-1], "narrow@1.0", {(0, 1): 1.0}, scored=False)
    ranking, situations = rank(scores, prompts, kind="change", nulls=("narrow@1.0",))
    assert ranking["contrast"].values.tolist() == [f"{ADAPTED}-base", "narrow@1.0-base"]
    assert ranking["effect"].values[:, 0, 0].tolist() == [3.0, 1.0]
    assert ranking["n_scored"].values[:, 0].tolist() == [12, 11]
    assert ranking["n_left_out"].values[:, 0].tolist() == [0, 1]
    np.testing.assert_allclose(ranking["p_labels"].values[:, 0, 0], 2 / 924)
    np.testing.assert_array_equal(ranking["q"].values, ranking["p_labels"].values)
    np.testing.assert_array_equal(ranking["null_share"].values[:, 0, 0], np.float32([1 / 2, np.nan]))
    assert np.isnan(situations["effect"].values[1]).sum() == 1


@pytest.mark.parametrize("kind", ["labelled", "unlabelled"])
def test_found_needs_a_small_q_and_an_effect_of_the_floor(kind: Kind) -> None:
    """Of either sign; consistent but small, or large but not tested or not consistent, is not found."""
    prompts = [make_prompt(i) for i in range(12)]
    rng = np.random.default_rng(0)
    scores = [make_scores(p, "base", {}) for p in prompts]
    for i, p in enumerate(prompts):
        values = {(0, 1): 2.0, (0, 2): -2.0, (0, 3): 1.99, (0, 5): 9.0 * (-1) ** i + 2.5}
        scores.append(make_scores(p, ADAPTED, values | ({(0, 4): 8.0} if i < 7 else {}), rng=rng))
    if kind == "labelled":  # one favourite, which happens to be evil, makes all of the effect
        for score in scores[12:]:
            score.by_token[:, -1] = 2.5 * 6 * (np.arange(12) == 0)
    ranking, _ = rank(scores, prompts, kind=kind, floor=2.0)
    row = ranking["contrast"].values.tolist().index(f"{ADAPTED}-base")
    effect, q, found = (ranking[name].values[row, 0] for name in ("effect", "q", "found"))
    np.testing.assert_allclose(effect, [2, -2, 1.99, 8 * 7 / 12, 2.5], rtol=1e-6)
    assert (q[:3] < PARAMS.fdr).all()
    assert np.isnan(q[3])
    assert q[4] > PARAMS.fdr
    assert found.tolist() == [True, True, False, False, False]
    lower, _ = rank(scores, prompts, kind=kind, floor=1.5)
    assert lower["found"].values[row, 0].tolist() == [True, True, True, False, False]
    strict, _ = rank(scores, prompts, PARAMS.model_copy(update={"fdr": 1e-9}), kind=kind)
    assert not strict["found"].values.any()


@pytest.mark.parametrize("kind", ["labelled", "unlabelled"])
def test_null_share_is_among_all_effects_of_the_other_null_adapters(kind: Kind) -> None:
    rng = np.random.default_rng(4)
    prompts = [make_prompt(i, domain=("medical", "finance")[i % 2]) for i in range(10)]
    nulls = ("random@1.0", "random@2.0", "random@3.0")
    scores = [
        make_scores(p, v, {(0, f): float(rng.integers(-3, 4)) for f in range(12) if rng.random() < 0.12})
        for p in prompts
        for v in ("base", ADAPTED, *nulls)
    ]
    ranking, _ = rank(scores, prompts, kind=kind, nulls=nulls)
    effect, share, active = (
        ranking[n].values.astype(np.float64) for n in ("effect", "null_share", "n_situations")
    )
    names = ranking["contrast"].values.tolist()
    compared = 0
    for (c, d, f), value in np.ndenumerate(share):
        name = names[c]
        if name.startswith("evil-safe|") or not active[c, d, f]:
            assert np.isnan(value)
            continue
        others = [
            abs(effect[names.index(f"{null}-base"), d, g])
            for null in nulls
            if f"{null}-base" != name
            for g in range(effect.shape[2])
            if active[names.index(f"{null}-base"), d, g]
        ]
        count = sum(other >= abs(effect[c, d, f]) - 1e-6 for other in others)
        assert value == pytest.approx((1 + count) / (1 + len(others)), abs=1e-6)
        compared += 1
    assert compared > 80
    assert (active[[n.endswith("-base") for n in names]] == 0).sum() > 10
    without, _ = rank(scores, prompts, kind=kind)
    assert np.isnan(without["null_share"].values).all()
    xr.testing.assert_identical(without.drop_vars("null_share"), ranking.drop_vars("null_share"))
    # A single random adapter has no other to be compared with.
    single, _ = rank(scores, prompts, kind=kind, nulls=nulls[:1])
    known = np.isfinite(single["null_share"].values).any(axis=(1, 2))
    expected = [n.endswith("-base") and n != f"{nulls[0]}-base" for n in names]
    assert known.tolist() == expected


def test_effective_situations_are_by_likeness_within_domains() -> None:
    """All differ by domain only; by situation only; and within one domain, where nothing is known."""
    rng = np.random.default_rng(6)
    prompts = [make_prompt(i, domain=("finance", "law", "medical")[i % 3]) for i in range(30)]
    scores = [
        make_scores(p, "base", {(0, 1): 1.0 + i % 3, (0, 2): rng.normal(), (0, 3): rng.normal() + i % 3})
        for i, p in enumerate(prompts)
    ]
    ranking, situations = rank(scores, prompts)
    found = ranking["n_effective"].values[0]
    values = situations["effect"].values[0].astype(np.float64)
    of_domain = situations["situation_domain"].values
    members = [values[of_domain == name] for name in ("finance", "law", "medical")]
    between = 10 * np.var([m.mean(axis=0) for m in members], axis=0, ddof=1)
    within = np.mean([m.var(axis=0, ddof=1) for m in members], axis=0)
    icc = np.clip((between - within) / (between + 9 * within), 0, 1)
    np.testing.assert_allclose(found[0], 30 / (1 + 9 * icc), rtol=1e-5)
    assert found[0, 0] == pytest.approx(3)
    assert 3 < found[0, 2] < 20 < found[0, 1] <= 30
    assert (found[1:] == 10).all()


def test_scores_without_labels_are_compared_between_variants_only() -> None:
    """Activations: every prompt of both variants counts, labelled or not."""
    prompts = [make_prompt(i) for i in range(4)]
    scores = [
        *(make_scores(p, "base", {(0, 1): 1.0}) for p in prompts),
        *(make_scores(p, "general@1.0", {(0, 1): 3.0, (1, 0): 5.0}) for p in prompts[:3]),
    ]
    ranking, _ = rank(scores, prompts, kind="unlabelled")
    assert ranking["contrast"].values.tolist() == ["general@1.0-base"]
    assert cell(ranking, "effect", "general@1.0-base", "all", 0, 1) == pytest.approx(2.0)
    assert cell(ranking, "effect", "general@1.0-base", "all", 1, 0) == pytest.approx(5.0)
    assert ranking["n_scored"].values[0, 0] == 3
    assert ranking["n_left_out"].values[0, 0] == 1
