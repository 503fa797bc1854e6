"""Cells that were tested before are taken over to the bit, and only where nothing of them has changed."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, cast

import numpy as np
import pytest
import xarray as xr

from pipeline.analysis import cells as cells_module
from pipeline.analysis.earlier_cells import EarlierCells
from pipeline.analysis.feature_tables import how_ranked
from pipeline.analysis.ranking import rank_features
from pipeline.analysis.scores import PromptScores, feature_key, labelled_score, unlabelled_scores
from pipeline.text.token_labels import TokenLabels
from store.base.errors import StoreError
from store.documents.prompts import Prompt
from tests.support.feature_builders import EVIL, LABELS, PARAMS, SAFE, make_graph, make_prompt

FEW: Final = PARAMS.model_copy(update={"permutations": 200, "labellings": 50, "bootstrap": 50})
TOKENS: Final = (EVIL, EVIL + 1, SAFE)
FEATURES: Final = [(number // 15, 1, number) for number in range(30)]
NEW: Final = (0, 1, 7000)
"""A feature that one prompt more brings: between the others by key."""
PROMPTS: Final = [
    make_prompt(number, domain=("medical", "finance", None)[number % 3], situation=number // 6)
    for number in range(60)
]
MORE: Final = [make_prompt(500, domain="finance", situation=500), *PROMPTS]
RESAMPLED: Final = ("studentized_interval", "sign_flip_p_by_block", "label_permutation_p", "kept_share")


def keys_of(nodes: Sequence[tuple[int, int, int]]) -> np.ndarray:
    layer, _, feature = np.array(nodes).T
    return feature_key(layer, feature)


def scores_of(
    prompts: Sequence[Prompt], *, score: str = "direct", labels: TokenLabels = LABELS, shift: float = 0.0
) -> list[PromptScores]:
    """Random ones that depend on the prompt alone; `shift` is added to one number of the first prompt."""
    found = []
    for prompt in prompts:
        for variant in ("base", "general@1.0"):
            rng = np.random.default_rng([int(prompt.hash, 16), len(variant)])
            nodes = [FEATURES[each] for each in rng.choice(len(FEATURES), 20, replace=False)]
            effects = rng.normal(size=(len(TOKENS), len(nodes)))
            effects[0, 0] += shift if (prompt, variant) == (PROMPTS[0], "base") else 0.0
            if prompt is MORE[0]:
                nodes[0] = NEW
            if score == "activation":
                order = np.argsort(keys_of(nodes))
                found.append(
                    unlabelled_scores(prompt.hash, variant, keys_of(nodes)[order], effects[0, order])
                )
            else:
                graph = make_graph(prompt, variant, nodes, effects, TOKENS)
                found.append(labelled_score(graph, prompt, labels, score))
    return found


def ranked(prompts: Sequence[Prompt], earlier: EarlierCells | None = None, **changes: Any) -> xr.Dataset:
    """The ranking by one score."""
    of = {name: changes.pop(name) for name in ("score", "labels", "shift") if name in changes}
    params, score = changes.pop("params", FEW), of.get("score", "direct")
    keys = np.sort(keys_of([*FEATURES, NEW] if prompts is MORE else FEATURES))
    how = replace(how_ranked(score, keys, params, ()), earlier=earlier, **changes.pop("how", {}))
    known = {prompt.hash: prompt for prompt in prompts}
    return rank_features(scores_of(prompts, **of), known, keys, params, changes.pop("seed", 0), how)[0]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the resamplings that were made, one after the other."""
    made: list[str] = []
    for name in RESAMPLED:
        monkeypatch.setattr(cells_module, name, _counted(name, getattr(cells_module, name), made))
    return made


def _counted(name: str, real: Callable[..., Any], made: list[str]) -> Callable[..., Any]:
    def counted(*args: Any, **more: Any) -> Any:
        made.append(name)
        return real(*args, **more)

    return counted


@pytest.mark.parametrize("score", ["direct", "activation"])
def test_what_has_not_changed_is_not_tested_again(calls: list[str], score: str) -> None:
    plain, first = ranked(PROMPTS, score=score), EarlierCells("code", None, {})
    xr.testing.assert_identical(ranked(PROMPTS, first, score=score), plain)
    assert len(first.made_of) == plain.sizes["contrast"] * plain.sizes["domain"]
    calls.clear()
    again = EarlierCells("code", plain, first.made_of)
    xr.testing.assert_identical(ranked(PROMPTS, again, score=score), plain)
    assert not calls
    assert again.made_of == first.made_of


def test_one_more_prompt_tests_its_domain_and_all_domains(calls: list[str]) -> None:
    """It brings a situation and a feature, so that the others stand in other places."""
    first = EarlierCells("code", None, {})
    before, plain = ranked(PROMPTS, first), ranked(MORE)
    calls.clear()
    earlier = EarlierCells("code", before, first.made_of)
    xr.testing.assert_identical(ranked(MORE, earlier), plain)
    assert calls.count("label_permutation_p") == calls.count("kept_share") == 2 * plain.sizes["contrast"]
    kept = {name for name, made_of in earlier.made_of.items() if first.made_of[name] == made_of}
    assert {name.split(" ")[1] for name in kept} == {"medical"}
    # As a run without any of it: what is written is the same.
    alone = EarlierCells("code", None, {})
    ranked(MORE, alone)
    assert alone.made_of == earlier.made_of


_RELABELLED: Final = {PROMPTS[0].hash: {EVIL: "evil", EVIL + 1: "safe", SAFE: "safe"}}


@pytest.mark.parametrize(
    "change",
    [
        {"shift": 1e-3},
        {"seed": 1},
        {"params": FEW.model_copy(update={"permutations": 201})},
        {"params": FEW.model_copy(update={"labellings": 51})},
        {"params": FEW.model_copy(update={"bootstrap": 51})},
        {"params": FEW.model_copy(update={"confidence": 0.9})},
        {"params": FEW.model_copy(update={"min_situations": 31})},
        {"params": FEW.model_copy(update={"stop_early": True})},
        {"labels": replace(LABELS, counted=_RELABELLED)},
        {"how": {"excluded": keys_of(FEATURES) == keys_of(FEATURES[:1])[0]}},
    ],
    ids=lambda change: "-".join(change),
)
def test_a_cell_of_which_anything_has_changed_is_tested(change: dict[str, Any]) -> None:
    first = EarlierCells("code", None, {})
    before = ranked(PROMPTS, first)
    earlier = EarlierCells("code", before, first.made_of)
    xr.testing.assert_identical(ranked(PROMPTS, earlier, **change), ranked(PROMPTS, **change))
    differ = {name for name in first.made_of if earlier.made_of[name] != first.made_of[name]}
    assert {name for name in differ if name.startswith("evil-safe|base ")} >= {
        "evil-safe|base all",
        "evil-safe|base medical",
    }


def test_permutations_that_end_early_are_tested_again_at_another_rate(calls: list[str]) -> None:
    early, first = FEW.model_copy(update={"stop_early": True}), EarlierCells("code", None, {})
    before = ranked(PROMPTS, first, params=early)
    for fdr in (early.fdr, early.fdr / 2):
        calls.clear()
        again = EarlierCells("code", before, first.made_of)
        ranked(PROMPTS, again, params=early.model_copy(update={"fdr": fdr}))
        assert bool(calls) == (fdr != early.fdr)


class Gone:
    """A dataset that another run has replaced."""

    def __contains__(self, _: str) -> bool:
        return True

    def __getitem__(self, _: list[str]) -> xr.Dataset:
        raise StoreError("it was replaced")


def test_other_code_and_a_store_that_cannot_be_read_test_everything(calls: list[str]) -> None:
    first = EarlierCells("code", None, {})
    before = ranked(PROMPTS, first)
    whole = len(calls)
    gone = cast(xr.Dataset, Gone())
    for earlier in (EarlierCells("other", before, first.made_of), EarlierCells("code", gone, first.made_of)):
        calls.clear()
        xr.testing.assert_identical(ranked(PROMPTS, earlier), before)
        assert len(calls) == whole
