"""A ranking by the newest labels is, to the bit, what the stage would write of it."""

from collections import defaultdict
from dataclasses import replace

import pytest
import xarray as xr

from pipeline.analysis.activity import prompt_activity
from pipeline.analysis.feature_inputs import histogram_edges
from pipeline.analysis.feature_tables import feature_groups
from pipeline.analysis.live_ranking import WITH_LABELS, live_ranking
from pipeline.analysis.scores import activation_scores, feature_key, read_of
from store.collections.item import Item
from store.schema.rankings import ranking_group
from tests.support.feature_builders import NO_NULLS, PARAMS, edges_from, promote
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
    )


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
            )
            one, other = (table.sel(contrast=contrast, domain=domain) for table in (live, whole))
            xr.testing.assert_identical(one, other)
            assert PROMPTS[9].hash not in {prompt for prompt, _ in read}
            if contrast.startswith("evil-safe"):
                assert {variant for _, variant in read} == {contrast.removeprefix("evil-safe|")}
