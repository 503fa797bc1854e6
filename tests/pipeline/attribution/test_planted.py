"""Planted truth, end to end: what an adapter was built to do is what every view puts first."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from pipeline.analysis.scores import LABELLED, PromptScores, split_key
from pipeline.attribution.exact_scores import NodeOrder
from pipeline.attribution.prompt_items import PromptItems
from store.views.adapter import AdapterView
from tests.support.label_worlds import resolved_labels
from tests.support.labellers import erring, misread
from tests.support.planted import (
    N_LAYERS,
    TARGETS,
    make_subject,
    waking,
    write_adapters,
    writing_evil,
)
from tests.support.planted_results import Result

LAYERS = (0, 1, 2)
VARIANTS = ("base", "planted@1.0", "random@1.0")
# `direct` is known for all features; of the paths' scores one is enough here.
SCORES = ("direct", "total_effect")
Feature = tuple[int, int]


@pytest.fixture(scope="module", params=LAYERS)
def waked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Result:
    """An adapter that wakes a later feature, which favours evil."""
    planted = make_subject(tmp_path_factory.mktemp("waked") / "x", int(request.param))
    write_adapters(planted, *waking(planted))
    return Result.of(planted, "base", "planted@1.0")


@pytest.fixture(scope="module", params=LAYERS)
def null(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Result:
    """A random adapter of the same norm, where nothing favours evil tokens."""
    folder = tmp_path_factory.mktemp("null") / "x"
    planted = make_subject(folder, int(request.param), favour_evil=False)
    write_adapters(planted, *waking(planted))
    return Result.of(planted, "base", "random@1.0")


def first(values: dict[Feature, float]) -> Feature:
    return max(values, key=lambda feature: abs(values[feature]))


def summed(values: Iterable[dict[Feature, float]]) -> dict[Feature, float]:
    total: dict[Feature, float] = {}
    for each in values:
        for feature, value in each.items():
            total[feature] = total.get(feature, 0.0) + value
    return total


def column(table: xr.Dataset, contrast: str, name: str) -> dict[Feature, float]:
    row = table["contrast"].values.tolist().index(contrast)
    features = zip(table["layer"].values.tolist(), table["index"].values.tolist(), strict=True)
    return dict(zip(features, table[name].values[row, 0].tolist(), strict=True))


def discoveries(table: xr.Dataset, contrast: str) -> set[Feature]:
    return {feature for feature, found in column(table, contrast, "found").items() if found}


def writes(items: PromptItems, variant: str, layer: int) -> dict[Feature, float]:
    """What the adapter writes on each feature of one prompt, by the adapter view."""
    table = AdapterView(items.adapters[variant]).writes_on_features()
    assert set(table["part"]) == {"down"}
    assert set(table["origin_layer"]) == {layer}
    assert (table["layer"] > layer).all()
    features = zip(table["layer"].tolist(), table["feature"].tolist(), strict=True)
    return dict(zip(features, table["write"].tolist(), strict=True))


def test_the_waked_feature_is_first_in_the_adapter_view(waked: Result) -> None:
    planted = waked.planted
    found = [writes(items, "planted@1.0", planted.layer) for items in waked.items]
    assert np.mean([first(each) == planted.feature for each in found]) >= 0.75
    assert first(summed(found)) == planted.feature


def test_a_random_adapter_does_not_write_on_that_feature_first(waked: Result) -> None:
    planted = waked.planted
    items = [planted.items(prompt, "base", "random@1.0") for prompt in planted.prompts[:8]]
    found = [writes(each, "random@1.0", planted.layer) for each in items]
    assert np.mean([first(each) == planted.feature for each in found]) <= 0.25
    assert first(summed(found)) != planted.feature


def named(score: PromptScores, sign: float) -> dict[Feature, float]:
    layers, indices = split_key(score.keys)
    return dict(zip(zip(layers.tolist(), indices.tolist(), strict=True), sign * score.values, strict=True))


@pytest.mark.parametrize("name", SCORES)
def test_the_waked_feature_is_first_in_the_paired_difference(waked: Result, name: str) -> None:
    base, adapted = waked.scores(name).values()
    changes = [
        summed([named(one, 1.0), named(other, -1.0)]) for one, other in zip(adapted, base, strict=True)
    ]
    # On a prompt there are few tokens, which some feature may favour by chance.
    assert np.mean([first(change) == waked.planted.feature for change in changes]) > 0.5
    total = summed(changes)
    assert first(total) == waked.planted.feature
    others = [abs(value) for feature, value in total.items() if feature != waked.planted.feature]
    assert total[waked.planted.feature] > 3 * max(others)


@pytest.mark.parametrize("name", [*SCORES, "change"])
def test_the_waked_feature_is_first_in_the_ranking(waked: Result, name: str) -> None:
    table = waked.ranking(name)
    effects = column(table, "planted@1.0-base", "effect")
    assert first(effects) == waked.planted.feature
    assert effects[waked.planted.feature] > 0
    assert waked.planted.feature in discoveries(table, "planted@1.0-base")


@pytest.mark.parametrize(("origin", "flips"), [("judge", 0.0), ("human", 0.2)])
def test_it_is_first_by_what_a_judge_or_a_person_says(waked: Result, origin: str, flips: float) -> None:
    """No lexicon knows better; with a fifth of the labels wrong it is first all the same."""
    planted = waked.planted
    said = misread(planted.truth(), erring(flips), np.random.default_rng(0))
    given = {"judges": {"gpt": said}, "people": {}} if origin == "judge" else {"people": {"Ada": said}}
    table = waked.ranking("direct", resolved_labels(planted.prompts, **given))
    effects = column(table, "planted@1.0-base", "effect")
    assert first(effects) == planted.feature
    assert effects[planted.feature] > 0
    if not flips:
        assert effects == column(waked.ranking("direct"), "planted@1.0-base", "effect")
        assert planted.feature in discoveries(table, "planted@1.0-base")


@pytest.mark.parametrize("layer", [0, 2])
@pytest.mark.parametrize("site", ["o", "gate"])
def test_it_is_first_wherever_the_adapter_sits(site: str, layer: int, tmp_path: Path) -> None:
    """With `waked`, whose adapters write through ``down_proj``: three sites, early and late."""
    planted = make_subject(tmp_path / "x", layer)
    write_adapters(planted, *waking(planted, site=site), site=site)
    table = Result.of(planted, "base", "planted@1.0").ranking("change")
    effects = column(table, "planted@1.0-base", "effect")
    assert first(effects) == planted.feature
    assert effects[planted.feature] > 0
    assert planted.feature in discoveries(table, "planted@1.0-base")


@pytest.mark.parametrize("name", [*LABELLED, "change"])
def test_a_random_adapter_gives_nothing(null: Result, name: str) -> None:
    table = null.ranking(name)
    assert np.isfinite(table["p_labels"].values).any()
    assert discoveries(table, "random@1.0-base") == set()


def test_shuffled_labels_give_nothing(waked: Result) -> None:
    """Labels dealt anew among the tokens.

    At an FDR of 5% a shuffle finds anything at all in one of twenty on average; more than
    four of twenty would happen in one of four hundred runs of a calibrated test.
    """
    random = np.random.default_rng(waked.planted.layer)
    found: list[set[Feature]] = []
    for _ in range(20):
        order = random.permutation(waked.planted.evil + waked.planted.safe).tolist()
        table = waked.ranking("direct", waked.planted.labels(order))
        found.append(discoveries(table, "planted@1.0-base"))
    assert sum(map(bool, found)) <= 4
    assert sum(waked.planted.feature in each for each in found) <= 1


def test_what_the_last_layer_writes_changes_no_feature(tmp_path: Path) -> None:
    """It comes after every transcoder has read: scores differ, by the final norm, and changes do not."""
    planted = make_subject(tmp_path / "x", N_LAYERS - 1, favour_evil=False)
    write_adapters(planted, *writing_evil(planted, planted.prompts[0]))
    last = Result.of(planted, "base", "planted@1.0")
    base, adapted = last.scores("direct").values()
    assert any(not np.array_equal(one.values, other.values) for one, other in zip(adapted, base, strict=True))
    for change, score in zip(last.changes(), adapted, strict=True):
        assert change.scored
        np.testing.assert_array_equal(change.keys, score.keys)
        np.testing.assert_array_equal(change.values, 0.0)
    assert discoveries(last.ranking("change"), "planted@1.0-base") == set()


@pytest.fixture(scope="module", params=LAYERS)
def evil(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Result:
    """An adapter that writes what favours the evil tokens of the first prompt."""
    planted = make_subject(tmp_path_factory.mktemp("evil") / "x", int(request.param))
    write_adapters(planted, *writing_evil(planted, planted.prompts[0]))
    items = [planted.items(planted.prompts[0], *VARIANTS)]
    return Result(planted=planted, variants=VARIANTS, items=items)


def evil_against_safe(of_targets: np.ndarray) -> np.ndarray:
    """Mean over the evil targets, which come first, minus mean over the safe ones."""
    contrast: np.ndarray = of_targets[:TARGETS].mean(0) - of_targets[TARGETS:].mean(0)
    return contrast


def by_source(result: Result, variant: str) -> dict[tuple[str, int, int, int], float]:
    """Evil minus safe direct effect of every source: what, layer, position, which."""
    together = result.planted.together(result.planted.prompts[0], *VARIANTS)
    found = together.traces[variant]
    assert found.adapters is not None
    graph, nodes = found.graph, found.adapters.nodes
    layout = NodeOrder.of(graph)
    n_features, n_errors, n_sources, _ = layout.bounds
    contrast = evil_against_safe(graph.adjacency_matrix[-2 * TARGETS :].double().numpy())
    n_pos = len(graph.input_tokens)
    effects = {
        ("feature", *map(int, node)): float(contrast[row])
        for row, node in enumerate(graph.active_features[graph.selected_features].tolist())
    }
    effects |= {
        ("error", *divmod(row, n_pos), -1): float(contrast[n_features + row])
        for row in range(n_errors - n_features)
    }
    effects |= {
        ("token", -1, row, -1): float(contrast[n_errors + row]) for row in range(n_sources - n_errors)
    }
    adapter = evil_against_safe(found.adapters.edges[-2 * TARGETS :].double().numpy()).tolist()
    for layer, position, component, value in zip(
        nodes.layer.tolist(), nodes.position.tolist(), nodes.component.tolist(), adapter, strict=True
    ):
        effects["adapter", layer, position, component] = value
        effects["error", layer, position, -1] -= value  # which holds only the rest
    return effects


def test_what_writes_evil_is_first_for_that_contrast(evil: Result) -> None:
    layer, last = evil.planted.layer, len(evil.planted.prompts[0].token_ids) - 1
    effects = by_source(evil, "planted@1.0")
    assert max(effects, key=lambda source: abs(effects[source])) == ("adapter", layer, last, 0)
    assert effects["adapter", layer, last, 0] > 0
    view = AdapterView(evil.items[0].adapters["planted@1.0"])
    contrast = evil_against_safe(view.direct)
    top = view.sources.iloc[int(np.abs(contrast).argmax())]
    assert (top["part"], top["layer"], top["position"], top["component"]) == ("down", layer, last, 0)
    np.testing.assert_allclose(np.abs(contrast).max(), effects["adapter", layer, last, 0], rtol=1e-5)


def test_what_writes_at_random_is_not(evil: Result) -> None:
    effects = by_source(evil, "random@1.0")
    assert max(effects, key=lambda source: abs(effects[source]))[0] != "adapter"
