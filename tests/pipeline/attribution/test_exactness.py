"""Identities of the local replacement model: rows add up, and scores are what interventions do.

References: circuit-tracer's constrained intervention for `direct`, our own forward pass
(`LocalModel`) for `total_effect` and pre-activations, both in float64.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import torch

from pipeline.attribution.paired import Together
from pipeline.attribution.trace import Trace, trace
from pipeline.models.loading import load_replacement
from pipeline.models.replacement import ReplacementModel
from tests.support.builders import Checkpoint, make_checkpoint
from tests.support.local_model import LocalModel
from tests.support.subjects import (
    ARCHITECTURES,
    KINDS,
    TARGETS,
    Case,
    centred,
    graph_rows,
    row_sums,
    scores_of,
)

VARIANTS = ("base", "general@1.0")
N_LAYERS = 3
PROBES = 200
# Interventions are slow; with other transcoders a few show what those change.
FEWER = 15


@dataclass(frozen=True, kw_only=True)
class Traced:
    """A case with everything selected, and the reference of each variant."""

    case: Case
    together: Together
    local: dict[str, LocalModel]

    def probes(self, variant: str, count: int) -> torch.Tensor:
        """Random active features, (count,) indices into them."""
        n_active = len(self.local[variant].active)
        return torch.randperm(n_active, generator=torch.Generator().manual_seed(n_active))[:count]


@pytest.fixture(scope="module", params=ARCHITECTURES)
def architecture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def checkpoint(architecture: str, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return make_checkpoint(tmp_path_factory.mktemp(architecture) / "x", architecture=architecture)


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def traced(checkpoint: Checkpoint, kind: str) -> Traced:
    case = Case.of(checkpoint, kind)
    local = {variant: LocalModel(case.pool.replacement(variant), case.ids) for variant in VARIANTS}
    return Traced(case=case, together=case.together(*VARIANTS), local=local)


def assert_conserved(
    sums: torch.Tensor, local: LocalModel, features: torch.Tensor, terms: torch.Tensor
) -> None:
    """Rows of features add up to pre-activations, those of logits to centred logits."""
    for found, expected, size in (
        (sums[: len(features)], local.pre_activations(features), terms[: len(features)]),
        (sums[len(features) :], local.baseline[TARGETS], terms[len(features) :]),
    ):
        wrong = (found - expected).abs()
        assert wrong.max() <= 2e-5 * expected.abs().max()
        assert (wrong <= 1e-4 * size).all()
        # Row by row where terms do not cancel to less than a tenth.
        plain = expected.abs() > 0.1 * size
        assert (wrong[plain] <= 2e-5 * expected[plain].abs()).all()


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_reference_is_the_model(traced: Traced, variant: str) -> None:
    local, found = traced.local[variant], traced.together.traces[variant]
    torch.testing.assert_close(local.baseline[TARGETS], centred(found.raw_logits), rtol=0, atol=1e-5)
    assert torch.equal(local.active, found.graph.active_features)
    assert len(local.active) > 200
    values = found.graph.activation_values.double()
    layer, _, index = local.active.T
    expected = local.pre_activations(local.active) + local.encoder_bias[layer, index]
    torch.testing.assert_close(values, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
def test_rows_add_up_to_what_the_target_reads(traced: Traced, variant: str) -> None:
    found = traced.together.traces[variant]
    assert not found.unselected.any()
    terms = graph_rows(found).abs().sum(1) + found.constant.abs()
    assert_conserved(row_sums(found), traced.local[variant], found.graph.active_features, terms)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_third_of_a_row_is_missing_without_constants(traced: Traced, variant: str) -> None:
    found, local = traced.together.traces[variant], traced.local[variant]
    without = row_sums(found) - found.constant
    terms = graph_rows(found).abs().sum(1)
    expected = local.pre_activations(found.graph.active_features)
    large = expected.abs() > 0.1 * expected.abs().max()
    missing = found.constant[: len(expected)].abs() / expected.abs()
    assert missing[large].max() > 1 / 3
    with pytest.raises(AssertionError):
        assert_conserved(without, local, found.graph.active_features, terms)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_remainder_of_unselected_features_closes_the_sum(traced: Traced, variant: str) -> None:
    case, local = traced.case, traced.local[variant]
    found = _trace(case, variant, nodes=60)
    graph = found.graph
    assert len(graph.selected_features) == 60
    selected = graph.active_features[graph.selected_features]
    terms = graph_rows(found).abs().sum(1) + found.constant.abs() + found.unselected.abs()
    assert_conserved(row_sums(found), local, selected, terms)
    with pytest.raises(AssertionError):
        assert_conserved(row_sums(found) - found.unselected, local, selected, terms)


@pytest.mark.parametrize("variant", VARIANTS)
def test_direct_is_minus_circuit_tracers_constrained_ablation(
    traced: Traced, kind: str, variant: str
) -> None:
    case, found = traced.case, traced.together.traces[variant]
    model = _in_float64(case, variant)
    probes = traced.probes(variant, PROBES if kind == "per layer" else FEWER)
    nodes = [
        (layer, position, feature, 0.0)
        for layer, position, feature in traced.local[variant].active[probes].tolist()
    ]
    effects = _constrained(model, case.ids, nodes)
    assert_scores_are_effects(found.direct[:, probes].double(), -effects)


@pytest.mark.parametrize("variant", VARIANTS)
def test_total_effect_is_minus_ablation_in_the_local_model(traced: Traced, variant: str) -> None:
    probes = traced.probes(variant, PROBES)
    local = traced.local[variant]
    effects = local.ablated(local.active[probes])[:, TARGETS].T
    scores = torch.from_numpy(scores_of(traced.together.traces[variant]).features.total_effect)
    assert_scores_are_effects(scores[:, probes], -effects)


@pytest.mark.parametrize("variant", VARIANTS)
def test_unselected_features_are_frozen_in_total_effect(traced: Traced, variant: str) -> None:
    case = traced.case
    found = _trace(case, variant, nodes=len(traced.local[variant].active) // 4)
    selected = found.graph.active_features[found.graph.selected_features]
    local = LocalModel(case.pool.replacement(variant), case.ids, live=selected)
    effects = local.ablated(selected)[:, TARGETS].T
    assert_scores_are_effects(torch.from_numpy(scores_of(found).features.total_effect), -effects)


def assert_scores_are_effects(scores: torch.Tensor, effects: torch.Tensor) -> None:
    """1e-5 of the largest effect that was measured."""
    assert scores.shape == effects.shape
    largest = effects.abs().max()
    assert largest > 0.01
    assert (scores - effects).abs().max() <= 1e-5 * largest


def _trace(case: Case, variant: str, nodes: int) -> Trace:
    model = case.pool.replacement(variant)
    return trace(model, case.ids, TARGETS, max_feature_nodes=nodes, batch_size=16)


def _in_float64(case: Case, variant: str) -> ReplacementModel:
    manifest = case.pool.manifest
    transcoders = copy.deepcopy(case.pool.transcoders)  # which is cast in place
    return load_replacement(manifest, manifest.variant(variant), dtype=torch.float64, transcoders=transcoders)


def _constrained(
    model: ReplacementModel, ids: Sequence[int], nodes: Sequence[tuple[int, int, int, float]]
) -> torch.Tensor:
    """Effects of setting one feature each on the targets' centred logits; (target, node) float64."""
    tokens = torch.tensor(ids)
    found = []
    with model.zero_softcap(), torch.no_grad():
        baseline = centred(model(tokens)[0, -1])
        for node in nodes:
            logits, _ = model.feature_intervention(
                tokens,
                [node],
                constrained_layers=range(N_LAYERS),
                apply_activation_function=False,
                return_activations=False,
            )
            found.append(centred(logits[0, -1]) - baseline)
    return torch.stack(found, 1)
