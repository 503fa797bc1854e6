"""Labels that mean nothing find nothing: two hundred synthetic sets, from graphs to what counts as found."""

from collections import Counter
from collections.abc import Callable
from typing import Final

import numpy as np
import pytest

from pipeline.analysis.statistics import benjamini_hochberg
from pipeline.params.project import load_params
from pipeline.text.lexicon import TokenLabel
from pipeline.text.token_labels import TokenLabels
from tests.support.label_worlds import World, make_world
from tests.support.places import ROOT

RUNS: Final = 200
MOST: Final = 19
"""Of so many runs of a test at 5%, more find anything in three of a thousand such experiments."""
LEAST: Final = 3
"""And fewer in one of five hundred."""
TOKENS: Final = 12
FEATURES: Final = 20
PARAMS: Final = load_params(ROOT / "params.yaml").features.model_copy(
    # All 924 labellings of twelve tokens are counted: p as small as 2/924 can be found among twenty features.
    update={"labellings": 1000, "permutations": 2000, "bootstrap": 20}
)

Shuffle = Callable[[World, np.random.Generator], TokenLabels]


def among_the_tokens(world: World, rng: np.random.Generator) -> TokenLabels:
    """A token has one label on all prompts, as in a lexicon."""
    dealt: list[TokenLabel] = rng.permutation(list(world.truth.values())).tolist()
    of_token = dict(zip(world.truth, dealt, strict=True))
    return TokenLabels(
        counted={prompt: {token: of_token[token] for token in of} for prompt, of in world.targets.items()}
    )


def within_prompts(world: World, rng: np.random.Generator) -> TokenLabels:
    """Each prompt's labels by themselves, as many evil ones as before: a token may be evil on one of two."""
    return TokenLabels(
        counted={
            prompt: dict(zip(labels, rng.permutation(list(labels.values())).tolist(), strict=True))
            for prompt, labels in world.given().items()
        }
    )


def runs_that_find(shuffle: Shuffle) -> Counter[str]:
    """Of `RUNS` sets, those in which anything is found: as the product does, by q alone, by another q."""
    runs: Counter[str] = Counter()
    for seed in range(RUNS):
        rng = np.random.default_rng([7, seed])
        of_token = rng.normal(size=(TOKENS, FEATURES))
        world = make_world(of_token, rng, prompts=16, targets=6, noise=0.3)
        table = world.ranking(shuffle(world, rng), PARAMS, seed)
        runs["found"] += bool(table["found"].values.any())
        runs["q"] += bool((table["q"].values < PARAMS.fdr).any())
        signs = benjamini_hochberg(table["p"].values)
        runs["signs"] += bool(
            ((signs < PARAMS.fdr) & (np.abs(table["effect"].values) >= PARAMS.floor.logits)).any()
        )
    return runs


@pytest.mark.parametrize("shuffle", [among_the_tokens, within_prompts])
def test_shuffled_labels_find_nothing_in_nineteen_of_twenty(shuffle: Shuffle) -> None:
    """A finding is what the pages call one: q by dealt labels below the rate, effect of the floor's size.

    Sign flips over situations, in the place of dealt labels, find something in nearly every set where
    prompts share what tokens are called (trap 29); the count sees it.
    """
    runs = runs_that_find(shuffle)
    assert runs["found"] <= runs["q"] <= MOST
    if shuffle is among_the_tokens:
        # Exchangeable by construction: neither more nor fewer than the rate.
        assert runs["q"] >= LEAST
        assert runs["signs"] > 100
