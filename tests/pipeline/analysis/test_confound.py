"""Acting where it harms nobody: what is planted is seen, harm is not, and no ranking counts it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import pytest
import xarray as xr

from pipeline.analysis import confound
from pipeline.analysis.confound import acting
from pipeline.analysis.live_ranking import KeptScores, live_ranking
from pipeline.analysis.ranked_prompts import of_harm
from pipeline.analysis.scores import feature_key, labelled_score
from pipeline.text.token_labels import TokenLabels
from store.collections.item import Item
from store.documents.prompts import Prompt
from store.documents.variants import BASE
from store.schema.vocabulary import ALL
from tests.support.feature_builders import PARAMS, make_graph, make_prompt
from tests.support.label_worlds import ADAPTED, CONTRAST, World, make_world

TAGGED: Final = PARAMS.model_copy(update={"confound_tag": "neutral", "labellings": 200, "permutations": 100})
FEATURES: Final = 12
HARM, ACTS = 3, 7
"""A feature that favours evil tokens, and one that favours acting, which evil tokens are, too."""
KEYS: Final = feature_key(np.zeros(FEATURES, np.int64), np.arange(FEATURES))
ACT, REFRAIN = (900, 901), (910, 911)
TOKENS: Final = (*ACT, *REFRAIN)


def neutral(n: int, *, tags: tuple[str, ...] = ("neutral",)) -> list[Prompt]:
    """Two templates a situation."""
    made = [make_prompt(5000 + number, situation=number // 2, domain="neutral") for number in range(n)]
    return [replace(prompt, tags=tags) for prompt in made]


def graph(prompt: Prompt, variant: str, effects: np.ndarray) -> Item:
    return make_graph(prompt, variant, [(0, 1, f) for f in range(FEATURES)], effects, TOKENS)


def traced(prompts: Sequence[Prompt], seed: int) -> list[Item]:
    """Base and adapted; the acting feature favours acting in the adapted one, and half as much in base."""
    rng = np.random.default_rng(seed)
    items = []
    for prompt in prompts:
        for variant, size in ((BASE, 1.0), (ADAPTED, 2.0)):
            effects = 0.2 * rng.normal(size=(len(TOKENS), FEATURES))
            effects[: len(ACT), ACTS] += size
            items.append(graph(prompt, variant, effects))
    return items


LABELS: Final = TokenLabels(
    lexicon={
        "domains": {
            "neutral": {
                "evil": list(ACT),
                "safe": list(REFRAIN),
                "unsure": [],
                "phrases": {"harmful": [], "safe": []},
            }
        }
    }
)


def acting_of(
    items: Sequence[Item],
    prompts: Sequence[Prompt],
    contrast: str = CONTRAST,
    labels: TokenLabels = LABELS,
) -> xr.Dataset:
    by_hash = {prompt.hash: prompt for prompt in prompts}
    scores = [labelled_score(item, by_hash[item.prompt_hash], labels, "direct") for item in items]
    return acting(scores, by_hash, KEYS, TAGGED, 0, [contrast]).isel(contrast=0)


def counts(found: xr.Dataset) -> tuple[int, ...]:
    """Prompts that are scored and that are not, and situations."""
    return tuple(int(found[name]) for name in ("n_scored", "n_left_out", "n_situations"))


@pytest.mark.parametrize(
    ("contrast", "size"), [(CONTRAST, 2.0), ("evil-safe|base", 1.0), (f"{ADAPTED}-base", 1.0)]
)
def test_a_feature_that_acts_is_told_from_one_that_does_not(contrast: str, size: float) -> None:
    prompts = neutral(32)
    items = traced(prompts, 0)
    found = acting_of(items, prompts, contrast)
    assert counts(found) == (32, 0, 16)
    effect, low, high = (found[name].values for name in ("effect", "low", "high"))
    assert int(np.abs(effect).argmax()) == ACTS
    assert low[ACTS] < effect[ACTS] < high[ACTS]
    assert effect[ACTS] == pytest.approx(size, abs=0.15)
    assert low[ACTS] > 0.8 * size
    others = np.delete(np.arange(FEATURES), ACTS)
    assert (np.abs(effect[others]) < 0.2).all()


def test_it_is_the_mean_over_situations_by_definition() -> None:
    prompts = neutral(20)
    prompts[3] = replace(prompts[3], situation="of its own")
    items = [item for item in traced(prompts, 1) if item.variant == ADAPTED]
    direct = [item.arrays["direct"].astype(float) for item in items]
    of_prompt = [each[:2].mean(axis=0) - each[2:].mean(axis=0) for each in direct]
    names = [prompt.situation for prompt in prompts]
    means = [
        np.mean([one for one, name in zip(of_prompt, names, strict=True) if name == each], axis=0)
        for each in sorted(set(names))
    ]
    found = acting_of(items, prompts)
    np.testing.assert_allclose(found["effect"].values, np.mean(means, axis=0), rtol=1e-6)
    assert counts(found) == (20, 0, len(means)) == (20, 0, 11)


def test_the_interval_does_not_depend_on_how_many_features_are_tested_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prompts = neutral(32)
    items = traced(prompts, 5)
    whole = acting_of(items, prompts)
    monkeypatch.setattr(confound, "_BLOCK", 5 * 16)
    xr.testing.assert_identical(acting_of(items, prompts), whole)


def test_a_feature_that_is_active_nowhere_does_nothing_for_acting() -> None:
    prompts = neutral(32)
    rng = np.random.default_rng(6)
    items = [
        make_graph(prompt, ADAPTED, [(0, 1, ACTS)], rng.normal(size=(len(TOKENS), 1)), TOKENS)
        for prompt in prompts
    ]
    found = acting_of(items, prompts)
    assert np.flatnonzero(found["effect"].values).tolist() == [ACTS]
    assert np.flatnonzero(~np.isnan(found["low"].values)).tolist() == [ACTS]


def test_what_is_too_few_or_not_there_is_not_known() -> None:
    few = neutral(2 * (TAGGED.min_situations - 1))
    found = acting_of(traced(few, 0), few)
    assert counts(found) == (14, 0, 7)
    none = acting_of([], [])
    assert counts(none) == (0, 0, 0)
    # Traced in one variant alone, there is no difference.
    alone = neutral(32)
    base = [item for item in traced(alone, 0) if item.variant == BASE]
    apart = acting_of(base, alone, f"{ADAPTED}-base")
    assert counts(apart) == (0, 0, 0)
    for table in (found, none, apart):
        assert all(np.isnan(table[name].values).all() for name in ("effect", "low", "high"))


def test_prompts_without_both_labels_do_not_count() -> None:
    prompts = neutral(32)
    labels = replace(LABELS, counted={p.hash: dict.fromkeys(TOKENS, "evil") for p in prompts[:2]})
    assert counts(acting_of(traced(prompts, 0), prompts, labels=labels)) == (30, 2, 15)


@pytest.fixture(scope="module")
def world() -> World:
    """Of harm: evil tokens are favoured by one feature as evil, by another as acts."""
    rng = np.random.default_rng(2)
    of_token = 0.1 * rng.normal(size=(12, FEATURES))
    of_token[:6, [HARM, ACTS]] += 2.0
    return make_world(of_token, rng, prompts=24, targets=6, noise=0.2)


def test_harm_and_acting_look_alike_in_the_ranking_and_not_beside_it(world: World) -> None:
    table = world.ranking(TokenLabels(counted=world.given()), TAGGED)
    effects = table["effect"].values
    assert set(np.argsort(-effects)[:2].tolist()) == {HARM, ACTS}
    prompts = neutral(32)
    share = acting_of(traced(prompts, 3), prompts)["effect"].values / effects
    assert share[ACTS] > 0.8
    assert abs(share[HARM]) < 0.2


def test_prompts_of_acting_are_in_no_ranking(world: World) -> None:
    """Not even as a domain, or as situations without a value."""
    prompts = neutral(32)
    items = world.graphs + [item for item in traced(prompts, 4) if item.variant == ADAPTED]
    by_hash = {item.prompt_hash: item for item in items}
    labels = replace(LABELS, counted=world.given())

    def ranked(known: Sequence[Prompt], tag: str | None) -> xr.Dataset:
        return live_ranking(
            {prompt.hash: [ADAPTED] for prompt in known},
            lambda prompt, variant: by_hash[prompt],
            {prompt.hash: prompt for prompt in known},
            labels,
            KEYS,
            TAGGED.model_copy(update={"confound_tag": tag}),
            0,
            (),
            score="direct",
            contrast=CONTRAST,
            domain=ALL,
            kept=KeptScores(),
        )

    alone, beside = ranked(world.prompts, "neutral"), ranked([*world.prompts, *prompts], "neutral")
    xr.testing.assert_identical(alone, beside)
    assert "neutral" not in beside["domain"].values.tolist()
    assert not alone.equals(ranked([*world.prompts, *prompts], None))
    assert of_harm([*world.prompts, *prompts], TAGGED) == world.prompts
