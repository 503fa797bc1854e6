"""The FEATURES dataset as a whole: written by the schema, rows by (layer, feature)."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from pipeline.analysis.activity import prompt_activity
from pipeline.analysis.feature_inputs import Contexts, histogram_edges
from pipeline.analysis.feature_tables import feature_groups
from pipeline.analysis.scores import LABELLED, activation_scores, feature_key
from pipeline.params.features import FeatureParams, FloorParams
from pipeline.text.token_labels import TokenLabels
from store.datasets.groups import open_dataset, write_dataset
from store.documents.prompts import Prompt
from store.schema.features import FEATURES
from store.schema.rankings import ranking_group
from store.schema.vocabulary import SCORES
from tests.support.feature_builders import (
    LABELS,
    NO_NULLS,
    PARAMS,
    edges_from,
    make_activations,
    make_change,
    make_edges,
    make_graph,
    make_prompt,
    promote,
)

PROMPTS = [make_prompt(i) for i in range(9)]


def built(
    prompts: Sequence[Prompt] = PROMPTS, labels: TokenLabels = LABELS, params: FeatureParams = PARAMS
) -> dict[str, xr.Dataset]:
    graphs = [
        make_graph(p, variant, [(0, 1, 7), (1, 2, 7)], np.array([[2.0, 1.0], [0.5, 1.0]]))
        for p in prompts
        for variant in ("base", "general@1.0")
    ]
    activations = [
        make_activations(p, variant, [(0, 1, 7, 2.0), (0, 2, 7, 4.0), (1, 2, 7, 1.0)])
        for p in prompts
        for variant in ("base", "general@1.0")
    ]
    activations.append(make_activations(prompts[0], "narrow@1.0", []))
    held_out = Contexts(
        variant="base",
        keys=feature_key(np.array([1, 1]), np.array([3, 7])),
        histogram=np.arange(8, dtype=np.int32).reshape(2, 4),
        text=np.array([[5, -1], [6, 2]], np.int32),
        peak=np.zeros((2, 2), np.int32),
        token=np.full((2, 2, 8), 9, np.int32),
        activation=np.ones((2, 2, 8), np.float32),
    )
    edge = {((0, 1, 7), (1, 2, 7)): 0.5}
    return feature_groups(
        graphs=graphs,
        graph_edges=edges_from(make_edges(p, v, edge) for p in prompts for v in ("base", "general@1.0")),
        activations=[activation_scores(item) for item in activations],
        changes=[make_change(p, "general@1.0", 0.25) for p in prompts],
        activity=prompt_activity(activations),
        contexts=[held_out],
        edges=histogram_edges(1.0, 4.0, 4),
        promoted=promote,
        null_changes=NO_NULLS,
        prompts=prompts,
        labels=labels,
        params=params,
        seed=0,
    )


@pytest.fixture(scope="module")
def groups() -> dict[str, xr.Dataset]:
    return built()


def rows(dataset: xr.Dataset) -> list[tuple[int, int]]:
    return list(zip(dataset["layer"].values.tolist(), dataset["index"].values.tolist(), strict=True))


def test_rows_are_what_fires_on_prompts_or_in_texts(groups: dict[str, xr.Dataset]) -> None:
    for name in groups.keys() - {"dictionary", "null_changes", "ranking_edges"}:
        assert rows(groups[name]) == [(0, 7), (1, 3), (1, 7)]


def test_cards(groups: dict[str, xr.Dataset]) -> None:
    cards = groups["cards"]
    assert cards["variant"].values.tolist() == ["base", "general@1.0", "narrow@1.0"]
    # Two tokens a prompt but BOS; feature L0/7 is 2 and 4 there.
    assert cards["mean_activation"].values[0].tolist() == [3.0, 0.0, 0.5]
    assert cards["frequency"].values[0].tolist() == [1.0, 0.0, 0.5]
    assert cards["n_prompts"].values[0].tolist() == [9, 0, 9]
    assert not cards["n_prompts"].values[2].any()
    assert cards["histogram"].values[0].tolist() == [[0, 0, 0, 0], [0, 1, 2, 3], [4, 5, 6, 7]]
    # These variants read no held-out text, which is not "never fires".
    assert (cards["histogram"].values[1:] == -1).all()
    assert cards["promoted_logit"].values[:, 0].tolist() == [7.0, 3.0, 7.0]


def test_contexts(groups: dict[str, xr.Dataset]) -> None:
    contexts = groups["contexts"]
    assert contexts["variant"].values.tolist() == ["base"]
    assert contexts["text"].values[0].tolist() == [[-1, -1], [5, -1], [6, 2]]
    assert (contexts["token"].values[0, 0] == -1).all()


def test_ranking(groups: dict[str, xr.Dataset]) -> None:
    ranking = groups["ranking"]
    assert ranking["effect"].values[0, 0].tolist() == [1.5, 0.0, 0.0]
    assert ranking["n_situations"].values[0, 0].tolist() == [9, 0, 9]
    assert ranking["p"].values[0, 0].tolist()[::2] == pytest.approx([2 / 2**9, 1.0])
    assert np.isnan(ranking["p"].values[0, 0, 1])
    # Of one evil and one safe token: exchanged, the effect only turns around.
    assert ranking["p_labels"].values[0, 0].tolist()[::2] == [1.0, 1.0]
    assert np.isnan(ranking["p_labels"].values[0, 0, 1])
    np.testing.assert_array_equal(ranking["q"].values, ranking["p_labels"].values)
    assert not ranking["found"].values.any()


def test_every_score_has_its_contrasts_and_test(groups: dict[str, xr.Dataset]) -> None:
    against = ["general@1.0-base"]
    for score in SCORES:
        ranking = groups[ranking_group(score)]
        one = ["evil-safe|base", "evil-safe|general@1.0"] if score in LABELLED else []
        assert ranking["contrast"].values.tolist() == one + (
            against if score != "activation" else [*against, "narrow@1.0-base"]
        )
        assert ("p_labels" in ranking) == (score != "activation")
        assert np.isnan(ranking["null_share"].values).all()


def test_each_score_has_the_floor_of_its_unit_and_the_random_adapters() -> None:
    """Eight times 3 against 1, in logits, dimensionless and activation; both adapters do the same."""
    sides = {"base": 1.0, "general@1.0": 3.0, "narrow@1.0": 3.0}
    floors = {"logits": 1.5, "dimensionless": 2.5, "activation": 2.0, "pre_activation": 0.0}
    tokens = tuple(range(10, 22))
    counted = {token: "evil" if place < 6 else "safe" for place, token in enumerate(tokens)}
    effect = (np.arange(12) < 6)[:, None]
    graphs = [
        make_graph(p, v, [(0, 1, 7)], effect * x, tokens, value=np.array([x]))
        for p in PROMPTS
        for v, x in sides.items()
    ]
    activations = [make_activations(p, v, [(0, 1, 7, x)]) for p in PROMPTS for v, x in sides.items()]
    groups = feature_groups(
        graphs=graphs,
        graph_edges=edges_from([]),
        activations=[activation_scores(item) for item in activations],
        changes=[],
        activity=prompt_activity(activations),
        contexts=[],
        edges=histogram_edges(1.0, 4.0, 4),
        promoted=promote,
        null_changes=NO_NULLS,
        prompts=PROMPTS,
        labels=TokenLabels(counted={prompt.hash: counted for prompt in PROMPTS}),
        params=PARAMS.model_copy(update={"floor": FloorParams(**floors)}),
        seed=0,
        nulls=["narrow@1.0"],
    )
    found = {}
    for score in SCORES:
        table = groups[ranking_group(score)].sel(contrast="general@1.0-base", domain="all")
        assert table["effect"].values.tolist() == [2.0], score
        assert table["q"].values[0] < PARAMS.fdr
        assert table["null_share"].values.tolist() == [1.0]
        found[score] = bool(table["found"].values[0])
        null = groups[ranking_group(score)].sel(contrast="narrow@1.0-base", domain="all")
        assert np.isnan(null["null_share"].values).all()
    assert found == dict.fromkeys(SCORES, True) | {"influence": False}


def test_edges_have_pairs_of_the_same_features(groups: dict[str, xr.Dataset]) -> None:
    edges = groups["ranking_edges"]
    ends = [
        edges[f"{end}_{name}"].values.tolist() for end in ("source", "target") for name in ("layer", "index")
    ]
    assert ends == [[0], [7], [1], [7]]
    assert edges["effect"].values[0, 0].tolist() == [0.0]
    assert edges["base_weight"].values[0, 0].tolist() == [0.5]


def test_it_is_what_the_schema_says(groups: dict[str, xr.Dataset], tmp_path: Path) -> None:
    write_dataset(tmp_path / "features", FEATURES, groups, provenance={})
    for name, group in groups.items():
        stored: Any = open_dataset(tmp_path / "features", name)
        for array in FEATURES.groups[name]:
            np.testing.assert_array_equal(stored[array].values, group[array].values)


def test_without_labels_texts_or_activity_there_are_still_tables(tmp_path: Path) -> None:
    graphs = [make_graph(p, "base", [(0, 1, 7)], np.ones((2, 1))) for p in PROMPTS]
    activity = prompt_activity(make_activations(p, "base", []) for p in PROMPTS)
    edges = histogram_edges(1.0, 4.0, 4)
    groups = feature_groups(
        graphs=graphs,
        graph_edges=edges_from(make_edges(p, "base", {}) for p in PROMPTS),
        activations=[],
        changes=[],
        activity=activity,
        contexts=[],
        edges=edges,
        promoted=promote,
        null_changes=NO_NULLS,
        prompts=PROMPTS,
        labels=TokenLabels(),
        params=PARAMS,
        seed=0,
    )
    write_dataset(tmp_path / "features", FEATURES, groups, provenance={})
    ranking = groups["ranking"]
    assert np.isnan(ranking["effect"].values).all()
    assert ranking["n_left_out"].values[0].tolist() == [9, 9]
    assert np.isnan(groups["situations"]["effect"].values).all()
    assert not groups["cards"]["frequency"].values.any()


LEFT_OUT = {
    "rejected": (replace(LABELS, rejected=frozenset({PROMPTS[0].hash})), PARAMS),
    "without the tag": (LABELS, PARAMS.model_copy(update={"tag": "asked"})),
    "not divergent": (
        replace(LABELS, divergent=frozenset(prompt.hash for prompt in PROMPTS[1:])),
        PARAMS.model_copy(update={"divergent_only": True}),
    ),
}


@pytest.mark.parametrize("why", LEFT_OUT)
def test_prompts_that_are_left_out_are_in_no_ranking_and_on_the_cards(why: str) -> None:
    """Its ranking is that of the others alone, to the bit; edges and activations, too."""
    labels, params = LEFT_OUT[why]
    prompts = [PROMPTS[0], *(replace(prompt, tags=("asked",)) for prompt in PROMPTS[1:])]
    found, alone = built(prompts, labels, params), built(prompts[1:], LABELS, PARAMS)
    for name in [*map(ranking_group, SCORES), "ranking_edges"]:
        if name == ranking_group("activation"):  # it has a contrast more where the first prompt is
            continue
        xr.testing.assert_identical(found[name], alone[name])
    assert found["ranking_activation"]["n_scored"].values.max() == len(PROMPTS) - 1
    assert found["cards"]["n_prompts"].values[0].tolist() == [9, 0, 9]


def test_prompts_of_acting_are_beside_the_ranking_and_not_in_it() -> None:
    """In the column alone, but for rejected ones; the ranking is that of the others, to the bit."""
    params = PARAMS.model_copy(update={"confound_tag": "neutral"})
    acts = [replace(make_prompt(i, domain="finance"), tags=("neutral",)) for i in range(20, 30)]
    labels = replace(LABELS, rejected=frozenset({acts[0].hash}))
    found, alone = built([*PROMPTS, *acts], labels, params), built(PROMPTS, labels, params)
    table = found["acting"]
    # One contrast is of activations alone: no graph is of its variant.
    assert table["contrast"].values.tolist() == [*found["ranking"]["contrast"].values, "narrow@1.0-base"]
    assert table["n_scored"].values.tolist() == table["n_situations"].values.tolist() == [9, 9, 9, 0]
    assert table["effect"].values[:3].tolist() == [[1.5, 0, 0], [1.5, 0, 0], [0, 0, 0]]
    assert np.isnan(table["effect"].values[3]).all()
    assert not alone["acting"]["n_scored"].values.any()
    assert np.isnan(alone["acting"]["effect"].values).all()
    for name in (*map(ranking_group, SCORES), "ranking_edges"):
        xr.testing.assert_identical(found[name], alone[name])


def test_features_of_excluded_layers_are_not_ranked(groups: dict[str, xr.Dataset]) -> None:
    """Nor are pairs with an end there; q is over those that are left."""
    found = built(params=PARAMS.model_copy(update={"excluded_layers": [1]}))
    for score in SCORES:
        table, whole = found[ranking_group(score)], groups[ranking_group(score)]
        assert np.isnan(table["effect"].values[..., 1:]).all()
        assert np.isnan(table["q"].values[..., 1:]).all()
        assert not table["found"].values[..., 1:].any()
        assert not table["n_situations"].values[..., 1:].any()
        np.testing.assert_array_equal(table["effect"].values[..., 0], whole["effect"].values[..., 0])
        np.testing.assert_array_equal(
            table["q"].values[..., 0], whole["p" if score == "activation" else "p_labels"].values[..., 0]
        )
    assert found["ranking_edges"].sizes["pair"] == 0
