"""What the organism's rankings count as found, and that they find nothing where nothing is (traps 29, 30)."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.analysis.ranking import Ranked, rank_features
from pipeline.analysis.scores import READ, PromptScores, prompt_scores
from pipeline.labels.published import read_labels
from pipeline.params.project import load_params
from store.collections.reader import open_collection
from store.documents.prompts import Prompt, read_prompts

pytestmark = pytest.mark.bars

FOLDER = Path("artifacts/organism")
FOCUS = "general@1.0"
SHUFFLES = 20
AGAINST_BASE = ("direct", "influence", "total_effect", "change", "activation", "edges")


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    counts: dict[str, Any] = json.loads((FOLDER / "metrics/features.json").read_text(encoding="utf-8"))
    return {
        score: {
            contrast: next(n for name, n in each.items() if name.startswith("found"))
            for contrast, each in of.items()
        }
        for score, of in counts.items()
    }


@cache
def scored() -> tuple[list[PromptScores], dict[str, Prompt]]:
    prompts = {prompt.hash: prompt for prompt in read_prompts(FOLDER / "prompts.json")}
    labels, graphs = read_labels(FOLDER), open_collection(FOLDER / "graphs")
    confounding = load_params().features.confounding
    ranked = [prompt for prompt in graphs.prompts() if not confounding(prompts[prompt].tags)]
    items = [graphs.item(prompt, FOCUS, READ) for prompt in ranked]
    return [prompt_scores(item, prompts[item.prompt_hash], labels)["direct"] for item in items], prompts


def relabelled(rng: np.random.Generator) -> list[PromptScores]:
    """The same effects of the same tokens, whose labels are dealt anew in each domain."""
    scores, prompts = scored()
    labels: dict[str, dict[int, bool]] = {}
    for score in scores:
        of_domain = labels.setdefault(prompts[score.prompt_hash].domain or "", {})
        of_domain |= dict(zip(score.tokens.tolist(), score.evil.tolist(), strict=True))
    dealt = {
        domain: dict(zip(of, rng.permutation(list(of.values())).tolist(), strict=True))
        for domain, of in labels.items()
    }
    out = []
    for score in scores:
        of_domain = dealt[prompts[score.prompt_hash].domain or ""]
        evil = np.array([of_domain[token] for token in score.tokens.tolist()], bool)
        both = bool(evil.any() and not evil.all())
        values = np.full(len(score.keys), np.nan)
        if both:
            values = score.by_token[evil].mean(axis=0) - score.by_token[~evil].mean(axis=0)
        out.append(replace(score, evil=evil, scored=both, values=values))
    return out


def n_found(scores: list[PromptScores]) -> int:
    params = load_params().features.model_copy(update={"permutations": 100, "bootstrap": 10})
    keys = np.unique(np.concatenate([score.keys for score in scores]))
    how = Ranked(name="direct", kind="labelled", floor=params.floor.logits)
    ranking, _ = rank_features(scores, scored()[1], keys, params, 0, how)
    return int(ranking["found"].sel(domain="all").values[0].sum())


def test_true_labels_find_features(found: dict[str, Any]) -> None:
    assert found["direct"][f"evil-safe|{FOCUS}"] >= 10
    assert found["change"][f"{FOCUS}-base"] >= 10
    assert n_found(scored()[0]) == found["direct"][f"evil-safe|{FOCUS}"]


def test_shuffled_labels_find_nothing() -> None:
    """At 5% a run: more than four of twenty would be seen once in four hundred times."""
    runs = [n_found(relabelled(np.random.default_rng(seed))) for seed in range(SHUFFLES)]
    assert sum(n > 0 for n in runs) <= 4, runs


@pytest.mark.parametrize("score", AGAINST_BASE)
def test_random_adapters_are_not_found(found: dict[str, Any], score: str) -> None:
    nulls = load_params().profile("organism").nulls
    counts = {name: found[score][f"{name}@1.0-base"] for name in nulls}
    assert len(counts) == 3
    assert max(counts.values()) <= 1, counts
