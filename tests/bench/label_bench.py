"""What labels with errors leave of a ranking; how much sooner a new one counts on the page than by the stage.

The worlds are `tests.support.noisy_rankings`: 200 features of known aims, 40 prompts, one of the features
aimed at evil tokens most. Errors are anew on each prompt, or of a token on all prompts: the second leave
much less of the ranking, for nothing averages them away.
"""

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Any, Final

import numpy as np

from pipeline.analysis.activity import prompt_activity
from pipeline.analysis.feature_inputs import histogram_edges
from pipeline.analysis.feature_tables import feature_groups
from pipeline.analysis.live_ranking import KeptScores, live_ranking
from pipeline.analysis.scores import activation_scores, feature_key, read_of
from pipeline.params.project import load_params
from pipeline.stages.features import scored_graphs
from pipeline.text.token_labels import TokenLabels
from store.collections.reader import open_collection
from store.collections.writer import write_collection
from store.documents.variants import BASE
from store.schema.graphs import GRAPHS
from store.schema.vocabulary import ALL
from tests.bench.store_bench import synthetic_graph
from tests.support.feature_builders import NO_NULLS, edges_from, make_activations, promote
from tests.support.label_worlds import ADAPTED, CONTRAST, World, make_world, resolved_labels
from tests.support.labellers import erring, misread
from tests.support.noisy_rankings import aimed_world, likeness

ERRORS: Final = (0.0, 0.1, 0.2, 0.3)
WORLDS: Final = 30
PROMPTS: Final = 1000
_FEATURES: Final = 20
_TARGETS: Final = 6


def noise_figures(folder: Path) -> dict[str, Any]:
    """In how many worlds the aimed feature is first by labels of which a fifth are wrong; the rest is raw."""
    params = load_params().features.model_copy(
        update={"permutations": 100, "labellings": 20, "bootstrap": 20}
    )
    kinds = {"on each prompt": False, "on all prompts": True}
    rows = defaultdict(list)
    for seed in range(WORLDS):
        world = aimed_world(seed)
        reference = world.ranking(TokenLabels(counted=world.given()), params)
        for (kind, once), error in product(kinds.items(), ERRORS):
            said = misread(world.given(), erring(error), np.random.default_rng([seed, 1]), once=once)
            labels = resolved_labels(world.prompts, judges={"judge": said}, people={})
            rows[kind, error].append(asdict(likeness(world, reference, labels, params)))
    found: dict[str, dict[str, dict[str, float]]] = {kind: {} for kind in kinds}
    for (kind, error), of_worlds in rows.items():
        found[kind][f"{error:g}"] = {
            name: round(float(np.mean([row[name] for row in of_worlds])), 3)
            for name in ("first", "spearman", "top")
        }
        told = ", ".join(f"{name} {value:.2f}" for name, value in found[kind][f"{error:g}"].items())
        print(f"  {error:.0%} wrong, {kind}: {told}", flush=True)
    return {
        "aimed_first_by_noisy_labels": found["on each prompt"]["0.2"]["first"],
        "raw": {"noisy_labels": found},
    }


def label_figures(folder: Path) -> dict[str, Any]:
    """Time from a label on one of 1,000 prompts to the table: by stage `features`, over that on the page.

    Both read their graphs from disk, and draw a tenth of what ``params.yaml`` says, for the bench's sake;
    with all of it, and 60 features, the stage took 193 seconds and the page 9. The stage's contexts,
    promoted tokens and edges, its start, and the stages before and after it are not counted.
    """
    world = _world(folder)
    found = open_collection(folder / "labelled")
    prompts = {prompt.hash: prompt for prompt in world.prompts}
    chosen, seed = load_params().features, load_params().runtime.seed
    draws = {name: getattr(chosen, name) // 10 for name in ("permutations", "labellings", "bootstrap")}
    params = chosen.model_copy(update=draws)
    one = world.prompts[PROMPTS // 2].hash
    token = world.targets[one][0]
    before = world.given()
    after = before | {one: before[one] | {token: "unsure"}}
    items = [
        make_activations(prompt, variant, [(0, 1, feature, 1.0) for feature in range(_FEATURES)])
        for variant in (BASE, ADAPTED)
        for prompt in world.prompts
    ]
    activations, activity = [activation_scores(item) for item in items], prompt_activity(items)
    kept = KeptScores()

    def page(labels: TokenLabels) -> object:
        return live_ranking(
            {prompt: found.variants(prompt) for prompt in found.prompts()},
            lambda prompt, variant: found.item(prompt, variant, read_of("direct")),
            prompts,
            labels,
            feature_key(np.zeros(_FEATURES, np.int64), np.arange(_FEATURES)),
            params,
            seed,
            (),
            score="direct",
            contrast=CONTRAST,
            domain=ALL,
            kept=kept,
        )

    def stage(labels: TokenLabels) -> object:
        return feature_groups(
            graphs=scored_graphs(found),
            graph_edges=edges_from([]),
            activations=activations,
            changes=[],
            activity=activity,
            contexts=[],
            edges=histogram_edges(params.bin_low, params.bin_high, params.bins),
            promoted=promote,
            null_changes=NO_NULLS,
            prompts=world.prompts,
            labels=labels,
            params=params,
            seed=seed,
        )

    first = _seconds(page, TokenLabels(counted=before))
    of_page = _seconds(page, TokenLabels(counted=after))
    of_stage = _seconds(stage, TokenLabels(counted=after))
    return {
        "label_page_speedup": of_stage / of_page,
        "raw": {
            "label": {"stage": of_stage, "page": of_page, "page, first label": first, "prompts": PROMPTS}
        },
    }


def _world(folder: Path) -> World:
    """1,000 prompts of two variants, whose graphs are in the store."""
    rng = np.random.default_rng(0)
    of_token = 0.5 * rng.normal(size=(24, _FEATURES))
    variants = (BASE, ADAPTED)
    world = make_world(of_token, rng, prompts=PROMPTS, targets=_TARGETS, noise=0.5, variants=variants)
    # What is not ranked is made up, once for all.
    filling = synthetic_graph(0, BASE, n_active=_FEATURES, n_nodes=40, n_edges=200)
    items = [
        replace(item, arrays=dict(filling.arrays) | dict(item.arrays), scalars=filling.scalars)
        for item in world.graphs
    ]
    write_collection(folder / "labelled", GRAPHS, items, provenance={})
    return world


def _seconds(rank: Callable[[TokenLabels], object], labels: TokenLabels) -> float:
    begun = time.perf_counter()
    rank(labels)
    return time.perf_counter() - begun
