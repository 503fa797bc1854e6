"""Total effects of adapter nodes: through every active feature, whichever of them are nodes."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.attribution.graph_items import graph_items
from pipeline.attribution.source_nodes import Block, ExtraSources
from pipeline.attribution.total_effects import total_effects
from pipeline.attribution.trace import Tracing, observe
from store.base.errors import PromptError
from tests.support.adapter_vectors import names_of, removal_effects, split, vectors_of
from tests.support.builders import Checkpoint
from tests.support.local_model import LocalModel
from tests.support.subjects import KINDS, TARGETS, Case, make_adapted, scores_of

VARIANT = "stabilised@2.0"
RULE = {"node_threshold": 0.8, "edge_threshold": 0.98, "keep_node_threshold": 0.98, "keep_edges": 1000}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return make_adapted(tmp_path_factory.mktemp("llama") / "x", "llama")


@pytest.mark.parametrize("kind", KINDS)
def test_a_quarter_of_the_nodes_changes_nothing(checkpoint: Checkpoint, kind: str) -> None:
    case = Case.of(checkpoint, kind)
    local = LocalModel(case.pool.replacement(VARIANT), case.ids)
    few = case.together("base", VARIANT, nodes=len(local.active) // 4).traces[VARIANT]
    assert len(few.graph.selected_features) < len(local.active) // 2
    assert few.adapters is not None
    vectors = vectors_of(*split(case.pool, case.ids, VARIANT))
    assert list(vectors) == names_of(few.adapters.nodes)
    measured = removal_effects(local, vectors, TARGETS)
    assert (few.adapters.total_effect + measured).abs().max() <= 1e-5 * measured.abs().max()

    # Without the features that are no nodes the number is another one: the case tells them apart.
    selected = few.graph.active_features[few.graph.selected_features]
    alone = removal_effects(
        LocalModel(case.pool.replacement(VARIANT), case.ids, live=selected), vectors, TARGETS
    )
    assert (alone - measured).norm() > 0.01 * measured.norm()


@pytest.mark.parametrize("kind", KINDS)
def test_features_as_extra_sources_have_their_exact_scores(checkpoint: Checkpoint, kind: str) -> None:
    """Another way to the same number: the sweep over a graph that holds every feature."""
    case = Case.of(checkpoint, kind)
    expected = scores_of(case.together("base").traces["base"]).features.total_effect
    tracing = _tracing(case)
    blocks, n_features = tracing.sources.blocks, len(tracing.sources.features)
    extra = ExtraSources(mlp=blocks, attention=[[] for _ in blocks], n_columns=n_features)
    effects = total_effects(
        tracing.attribution.frozen,
        replace(tracing.sources, extra=extra),
        tracing.attribution.targets.logit_vectors,
    )
    for found in effects:  # as features, and as extra sources that write what features write
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("kind", KINDS)
def test_unselected_features_have_the_influence_of_sources(checkpoint: Checkpoint, kind: str) -> None:
    """Trap 31, against a dense inverse in which they are columns without a row."""
    case = Case.of(checkpoint, kind)
    whole = case.together("base").traces["base"]
    n_active = len(whole.graph.active_features)
    few = case.together("base", nodes=n_active // 4).traces["base"]
    selected = few.graph.selected_features.numpy()
    others = np.setdiff1d(np.arange(n_active), selected)
    adjacency = whole.graph.adjacency_matrix.double().numpy()
    adjacency[others] = 0  # no row: nothing passes through them
    inputs = np.abs(np.delete(adjacency, others, axis=1)).sum(axis=1)
    scaled = adjacency / np.maximum(inputs, 1e-10)[:, None]
    reached = np.linalg.inv(np.eye(len(scaled)) - scaled) - np.eye(len(scaled))
    n_targets = len(TARGETS)
    expected = reached[-n_targets:][:, others]
    assert few.unselected_influence is not None
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(few.unselected_influence, expected, atol=1e-5 * np.abs(expected).max())
    # The same pull back without unselected ones is the sweep's: what the graph holds is not touched.
    item, _ = graph_items(few, own_candidates=TARGETS, key="k", prompt_hash="0" * 12, variant="base", **RULE)
    np.testing.assert_allclose(item.arrays["influence"], reached[-n_targets:][:, selected], atol=1e-6)
    np.testing.assert_allclose(item.arrays["unselected_influence"], few.unselected_influence, rtol=2**-10)
    assert few.total_effect is not None
    total = few.total_effect[:, others]
    np.testing.assert_allclose(item.arrays["unselected_total_effect"], total, rtol=2**-10)
    direct = np.abs(whole.direct.double().numpy())[:, others].sum(axis=1)
    share = direct / (direct + np.abs(np.delete(adjacency[-n_targets:], others, axis=1)).sum(axis=1))
    np.testing.assert_allclose(item.arrays["target_unselected_share"], share, rtol=1e-4)
    assert whole.unselected_influence is not None
    assert whole.unselected_influence.shape == (n_targets, 0)


def test_parts_of_a_source_add_up_to_it(checkpoint: Checkpoint) -> None:
    case = Case.of(checkpoint)
    tracing = _tracing(case)
    whole = torch.randn(1, tracing.sources.errors.shape[2], generator=torch.Generator().manual_seed(0))
    parts = torch.cat([whole, 0.3 * whole, 0.7 * whole])
    block = Block(position=3, start=0, stop=3, vectors=parts)
    extra = ExtraSources(mlp=[[block], [], []], attention=[[], [], []], n_columns=3)
    effects = total_effects(
        tracing.attribution.frozen,
        replace(tracing.sources, extra=extra),
        tracing.attribution.targets.logit_vectors,
    )
    whole_effect, *of_parts = effects.extra.T
    torch.testing.assert_close(sum(of_parts), whole_effect, rtol=1e-4, atol=1e-6)
    assert whole_effect.abs().max() > 0


def test_what_is_not_finite_is_refused(checkpoint: Checkpoint) -> None:
    case = Case.of(checkpoint)
    tracing = _tracing(case)
    vectors = torch.full((1, tracing.sources.errors.shape[2]), torch.inf)
    block = Block(position=3, start=0, stop=1, vectors=vectors)
    extra = ExtraSources(mlp=[[block], [], []], attention=[[], [], []], n_columns=1)
    with pytest.raises(PromptError, match="Effects along paths are NaN or infinite"):
        total_effects(
            tracing.attribution.frozen,
            replace(tracing.sources, extra=extra),
            tracing.attribution.targets.logit_vectors,
        )


def _tracing(case: Case) -> Tracing:
    model = case.pool.replacement("base")
    seen, sources = observe(model, case.ids)
    return Tracing(model, seen, seen.frozen, sources, None, TARGETS, batch_size=128)
