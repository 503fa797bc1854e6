"""A ranking by the newest labels is, to the bit, what the stage would write of it."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import xarray as xr

from pipeline.analysis.activity import prompt_activity
from pipeline.analysis.feature_inputs import histogram_edges
from pipeline.analysis.feature_tables import feature_groups
from pipeline.analysis.live_ranking import WITH_LABELS, KeptScores, live_ranking
from pipeline.analysis.scores import (
    PromptScores,
    activation_scores,
    feature_key,
    read_of,
    unlabelled_scores,
)
from pipeline.text.lexicon import TokenLabel
from pipeline.text.token_labels import TokenLabels
from store.collections.item import Item
from store.schema.rankings import ranking_group
from store.schema.vocabulary import ALL
from tests.support.feature_builders import NO_NULLS, PARAMS, edges_from, promote
from tests.support.label_worlds import CONTRAST, World, make_world
from tests.support.planted_features import ADAPTED, LABELS, PROMPTS, TOKENS, activations, graphs, noise, plant

NULL = "null-1@1.0"
FEW = PARAMS.model_copy(update={"permutations": 200, "labellings": 200, "bootstrap": 50})
NEWEST = replace(
    LABELS,
    counted={
        PROMPTS[0].hash: {TOKENS[0]: "safe", TOKENS[-1]: "evil"},
        PROMPTS[5].hash: {TOKENS[1]: "unsure"},
    },
    rejected=frozenset({PROMPTS[9].hash}),
)
KNOWN = {prompt.hash: prompt for prompt in PROMPTS}


@pytest.fixture(scope="module")
def items() -> dict[str, dict[str, Item]]:
    """By prompt and variant; the random adapter was traced on a third of the prompts."""
    found: dict[str, dict[str, Item]] = defaultdict(dict)
    for seed, variant in enumerate(("base", ADAPTED, NULL)):
        values = plant(noise(seed)) if variant == ADAPTED else noise(seed)
        for row, item in enumerate(graphs(values, variant)):
            if variant != NULL or row % 3 == 0:
                found[item.prompt_hash][variant] = item
    return dict(sorted(found.items()))


@pytest.fixture(scope="module")
def stored(items: dict[str, dict[str, Item]]) -> dict[str, xr.Dataset]:
    return as_stored(items)


def as_stored(
    items: dict[str, dict[str, Item]], weights: dict[str, float] | None = None
) -> dict[str, xr.Dataset]:
    """What the stage writes."""
    of_each = [item for variant in ("base", ADAPTED) for item in activations(noise(0), variant)]
    return feature_groups(
        graphs=[item for of in items.values() for item in of.values()],
        graph_edges=edges_from([]),
        activations=[activation_scores(item) for item in of_each],
        changes=[],
        activity=prompt_activity(of_each),
        contexts=[],
        edges=histogram_edges(1.0, 4.0, 4),
        promoted=promote,
        null_changes=NO_NULLS,
        prompts=PROMPTS,
        labels=NEWEST,
        params=FEW,
        seed=0,
        nulls=[NULL],
        weights=weights,
    )


def test_prompts_weigh_as_they_do_in_the_store(
    items: dict[str, dict[str, Item]], stored: dict[str, xr.Dataset]
) -> None:
    """In scores of labels; activations and edges stay as they are. One prompt has no weight."""
    weights = {prompt.hash: 0.5 + number % 3 / 2 for number, prompt in enumerate(PROMPTS[1:])}
    whole = as_stored(items, weights)
    for name in ("ranking_activation", "ranking_edges"):
        xr.testing.assert_identical(whole[name], stored[name])
    for score in WITH_LABELS:
        table, alike = whole[ranking_group(score)], stored[ranking_group(score)]
        assert not np.allclose(table["effect"], alike["effect"], equal_nan=True)
        assert (table["n_scored"].values[:, 0] < alike["n_scored"].values[:, 0]).any()
    whole_direct = whole[ranking_group("direct")]
    contrast = whole_direct["contrast"].values.tolist()[0]
    live = live_ranking(
        {prompt: list(of) for prompt, of in items.items()},
        lambda prompt, variant: items[prompt][variant],
        KNOWN,
        NEWEST,
        feature_key(whole_direct["layer"].values, whole_direct["index"].values),
        FEW,
        0,
        [NULL],
        score="direct",
        contrast=contrast,
        domain=ALL,
        kept=KeptScores(),
        weights=weights,
    )
    one, other = (table.sel(contrast=contrast, domain=ALL) for table in (live, whole_direct))
    xr.testing.assert_identical(one, other)


@pytest.mark.parametrize("score", WITH_LABELS)
def test_every_contrast_and_domain_is_as_stored(
    items: dict[str, dict[str, Item]], stored: dict[str, xr.Dataset], score: str
) -> None:
    whole = stored[ranking_group(score)]
    keys = feature_key(whole["layer"].values, whole["index"].values)
    for contrast in whole["contrast"].values.tolist():
        for domain in whole["domain"].values.tolist():
            read: list[tuple[str, str]] = []

            def item(prompt: str, variant: str, read: list[tuple[str, str]] = read) -> Item:
                read.append((prompt, variant))
                item = items[prompt][variant]
                return replace(item, arrays={name: item.arrays[name] for name in read_of(score)})

            live = live_ranking(
                {prompt: list(of) for prompt, of in items.items()},
                item,
                KNOWN,
                NEWEST,
                keys,
                FEW,
                0,
                [NULL],
                score=score,
                contrast=contrast,
                domain=domain,
                kept=KeptScores(),
            )
            one, other = (table.sel(contrast=contrast, domain=domain) for table in (live, whole))
            xr.testing.assert_identical(one, other)
            assert PROMPTS[9].hash not in {prompt for prompt, _ in read}
            if contrast.startswith("evil-safe"):
                assert {variant for _, variant in read} == {contrast.removeprefix("evil-safe|")}


@pytest.fixture(scope="module")
def thousand() -> World:
    return make_world(
        np.random.default_rng(0).normal(size=(12, 20)),
        np.random.default_rng(1),
        prompts=1000,
        targets=4,
        noise=0.3,
    )


@pytest.mark.parametrize("change", ["label", "back", "rejection"])
def test_a_label_on_one_of_a_thousand_prompts_scores_that_one_alone(thousand: World, change: str) -> None:
    kept, few = KeptScores(), FEW.model_copy(update={"permutations": 20, "labellings": 20, "bootstrap": 10})
    by_hash = {item.prompt_hash: item for item in thousand.graphs}
    keys = feature_key(np.zeros(20, np.int64), np.arange(20))
    read: list[str] = []

    def item(prompt: str, variant: str) -> Item:
        read.append(prompt)
        return by_hash[prompt]

    def ranked(labels: TokenLabels, kept: KeptScores) -> xr.Dataset:
        read.clear()
        return live_ranking(
            {prompt: [ADAPTED] for prompt in by_hash},
            item,
            {prompt.hash: prompt for prompt in thousand.prompts},
            labels,
            keys,
            few,
            0,
            (),
            score="direct",
            contrast=CONTRAST,
            domain=ALL,
            kept=kept,
        )

    given = thousand.given()
    ranked(TokenLabels(counted=given), kept)
    assert sorted(read) == sorted(by_hash)
    one = thousand.prompts[700].hash
    token = thousand.targets[one][0]
    other: TokenLabel = "safe" if given[one][token] == "evil" else "evil"
    newer = TokenLabels(counted=given | {one: given[one] | {token: other}})
    if change == "rejection":
        newer = TokenLabels(counted=given, rejected=frozenset({one}))
    now = ranked(newer, kept)
    assert read == ([] if change == "rejection" else [one])
    xr.testing.assert_identical(now, ranked(newer, KeptScores()))
    if change == "back":
        before = ranked(TokenLabels(counted=given), kept)
        assert read == [one]
        xr.testing.assert_identical(before, ranked(TokenLabels(counted=given), KeptScores()))


def test_what_is_too_much_to_keep_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    score = unlabelled_scores("a", "base", np.arange(10), np.zeros(10))  # 160 bytes
    monkeypatch.setattr("pipeline.analysis.live_ranking._MOST", 200)
    kept, made = KeptScores(), list[str]()

    def make(prompt: str) -> Iterator[PromptScores]:
        made.append(prompt)
        yield score

    for prompt in ("a", "b", "a", "b"):
        assert kept.of(prompt, {7: "evil"}, partial(make, prompt)) == (score,)
    assert made == ["a", "b", "b"]
    kept.of("a", {7: "safe"}, partial(make, "a"))
    kept.of("a", {7: "safe"}, partial(make, "a"))
    assert made == ["a", "b", "b", "a"]
