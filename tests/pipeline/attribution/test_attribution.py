"""Tracing, against circuit-tracer itself, interventions, and what must not happen."""

import pytest
import torch
from circuit_tracer.attribution.targets import AttributionTargets

from pipeline.attribution.trace import Trace, candidates, salient, trace
from pipeline.models.loading import load_causal_lm, load_replacement
from store.base.errors import UserError
from store.documents.variants import Variant
from tests.support.traced_subject import OWN, Capped, Subject


@pytest.mark.parametrize(("count", "share"), [(10, 0.95), (10, 0.05), (3, 0.95), (1, 0.5), (320, 1.0)])
def test_candidates_follow_circuit_tracers_rule(subject: Subject, count: int, share: float) -> None:
    model = subject.general
    with torch.no_grad():
        logits = model(torch.tensor(subject.ids))[0, -1]
    targets, probabilities, _ = AttributionTargets._from_salient(
        logits, model.unembed_proj, count, share, model.tokenizer
    )
    ids, found = candidates(model, subject.ids, max_n_logits=count, desired_logit_prob=share)
    assert ids.tolist() == [target.vocab_idx for target in targets]
    torch.testing.assert_close(found, probabilities)


def test_candidates_are_more_than_the_vocabulary_never() -> None:
    ids, probabilities = salient(torch.zeros(4), max_n_logits=10, desired_logit_prob=1.0)
    assert len(ids) == 4
    assert probabilities.sum() == 1


def test_probabilities_are_softmaxed_in_float32() -> None:
    # Trap 18: in bfloat16 these two logits would get one probability.
    logits = torch.tensor([1.0, 1.0 + 2**-7, -3.0]).bfloat16()
    _, probabilities = salient(logits, max_n_logits=3, desired_logit_prob=1.0)
    assert probabilities.dtype == torch.float32
    torch.testing.assert_close(
        probabilities, torch.softmax(logits.double(), 0).sort(descending=True).values.float()
    )


def test_logits_and_graph_are_of_one_pass(subject: Subject, traced: Trace) -> None:
    with torch.no_grad():
        expected = load_causal_lm(subject.manifest, Variant(name="general", scale=1.0))(
            torch.tensor([subject.ids])
        ).logits[0, -1]
    torch.testing.assert_close(traced.logits, expected, rtol=0, atol=1e-5)
    ids = traced.graph.logit_token_ids
    assert torch.equal(traced.graph.logit_probabilities, torch.softmax(traced.logits, -1)[ids])
    own, _ = candidates(subject.general, subject.ids, **OWN)
    assert torch.equal(own, salient(traced.logits, **OWN)[0])
    assert torch.equal(traced.logits, traced.raw_logits)  # no softcap in this model


def test_both_variants_have_one_target_set(subject: Subject, traced: Trace) -> None:
    base = subject.trace(subject.base)
    assert torch.equal(base.graph.logit_token_ids, traced.graph.logit_token_ids)
    assert not torch.equal(base.logits, traced.logits)


def test_direct_is_the_right_block_of_the_adjacency(traced: Trace) -> None:
    # Trap 1: the other block, logit to feature, is always zero.
    n_logits, n_features = traced.direct.shape
    adjacency = traced.graph.adjacency_matrix
    assert torch.equal(traced.direct, adjacency[-n_logits:, :n_features])
    assert traced.direct.abs().max() > 0
    assert not adjacency[:n_features, -n_logits:].any()


def test_direct_covers_features_that_were_not_selected(traced: Trace, partly_traced: Trace) -> None:
    # Trap 2: columns of a graph with fewer nodes are other features.
    graph = partly_traced.graph
    assert len(graph.selected_features) == 60
    assert len(graph.active_features) == traced.direct.shape[1] > 60
    n_logits = len(partly_traced.direct)
    assert torch.equal(
        partly_traced.direct[:, graph.selected_features], graph.adjacency_matrix[-n_logits:, :60]
    )
    torch.testing.assert_close(partly_traced.direct, traced.direct, rtol=0, atol=1e-6)


def test_direct_is_minus_the_effect_of_ablation(subject: Subject, partly_traced: Trace) -> None:
    graph = partly_traced.graph
    selected = set(graph.selected_features.tolist())
    unselected = [i for i in range(len(graph.active_features)) if i not in selected]
    ids = graph.logit_token_ids
    n_layers = subject.general.cfg.n_layers
    baseline = partly_traced.raw_logits - partly_traced.raw_logits.mean()
    for index in [int(graph.selected_features[3]), unselected[0], unselected[-1]]:
        layer, position, feature = graph.active_features[index].tolist()
        logits, _ = subject.general.feature_intervention(
            torch.tensor(subject.ids),
            [(layer, position, feature, 0.0)],
            constrained_layers=range(n_layers),
            apply_activation_function=False,
        )
        effect = (logits[0, -1] - logits[0, -1].mean()) - baseline
        torch.testing.assert_close(effect[ids], -partly_traced.direct[:, index], rtol=0, atol=2e-5)


def test_token_ids_are_used_as_given(subject: Subject, traced: Trace) -> None:
    # Trap 8: strings would be tokenized again, ids without BOS would get one.
    assert traced.graph.input_tokens.tolist() == subject.ids
    with pytest.raises(TypeError, match="not a string"):
        subject.base.ensure_tokenized("User: I have a fever.")
    with pytest.raises(UserError, match="at least one token behind its BOS"):
        trace(subject.base, subject.ids[:1], [5], max_feature_nodes=8, batch_size=8)
    with pytest.raises(UserError, match=r"first token is \d+, which is no special token"):
        trace(subject.base, subject.ids[1:], [5], max_feature_nodes=8, batch_size=8)
    doubled = [subject.ids[0], *subject.ids]
    graph = trace(subject.base, doubled, [5], max_feature_nodes=8, batch_size=8).graph
    assert graph.input_tokens.tolist() == doubled


def test_position_zero_has_no_features(traced: Trace) -> None:
    # Trap 9.
    assert traced.graph.active_features[:, 1].min() == 1


@pytest.mark.parametrize("layer", [0, 2])
def test_nan_is_named_where_it_begins(subject: Subject, layer: int) -> None:
    # Trap 5: circuit-tracer's loop would fail to converge, far from the cause.
    manifest = subject.manifest
    model = load_replacement(manifest, Variant(name="base", scale=0.0))
    with torch.no_grad():
        model.transcoders[layer].b_enc[3] = float("nan")
    with pytest.raises(UserError, match=rf"layer {layer}, position 1, .* feature L{layer}/3 is NaN"):
        trace(model, subject.ids, [5], max_feature_nodes=20, batch_size=8)
    with torch.no_grad():
        model.transcoders[layer].b_enc[3] = 0.0
        model.blocks[layer].mlp.old_mlp.W_out[0] = float("nan")
    with pytest.raises(UserError, match=rf"layer {layer}, position 1, the MLP's output"):
        trace(model, subject.ids, [5], max_feature_nodes=20, batch_size=8)
    with pytest.raises(UserError, match=rf"layer {layer}, position 1, the MLP's output"):
        candidates(model, subject.ids, max_n_logits=3, desired_logit_prob=0.9)


def test_nan_in_an_effect_is_named(subject: Subject) -> None:
    # Trap 5, where activations are finite and only a direct effect is not.
    model = load_replacement(subject.manifest, Variant(name="base", scale=0.0))
    active = trace(model, subject.ids, [5], max_feature_nodes=20, batch_size=8).graph
    layer, _, feature = active.active_features[-1].tolist()
    with torch.no_grad():
        model.transcoders[layer].W_enc.data[feature] *= 1e38
        model.transcoders[layer].b_enc.data[feature] = 0.0
    with pytest.raises(UserError, match=r"NaN or infinite"):
        trace(model, subject.ids, [5], max_feature_nodes=8192, batch_size=64)


def test_no_hooks_and_no_contexts_are_left(subject: Subject) -> None:
    # Trap 22.
    model = subject.base
    before = model.count_hooks()
    trace(model, subject.ids, [5, 6], max_feature_nodes=30, batch_size=8)
    candidates(model, subject.ids, **OWN)
    assert model.count_hooks() == before
    with pytest.raises(ValueError, match="must be in range"):
        trace(model, subject.ids, [10**6], max_feature_nodes=30, batch_size=8)
    assert model.count_hooks() == before


def test_a_second_run_is_bit_identical(subject: Subject, traced: Trace) -> None:
    trace(subject.general, subject.other_ids, [5, 6], max_feature_nodes=40, batch_size=8)
    again = subject.trace(subject.general)
    assert torch.equal(again.graph.adjacency_matrix, traced.graph.adjacency_matrix)
    assert torch.equal(again.direct, traced.direct)
    assert torch.equal(again.logits, traced.logits)


def test_bfloat16_keeps_probabilities_in_float32(subject: Subject) -> None:
    # Trap 18.
    manifest = subject.checkpoint.manifest(dtype="bfloat16")
    model = load_replacement(manifest, Variant(name="base", scale=0.0))
    assert model.cfg.dtype == torch.bfloat16
    found = trace(model, subject.ids, [5, 6, 7], max_feature_nodes=30, batch_size=8)
    assert found.graph.logit_probabilities.dtype == torch.float32
    assert found.direct.dtype == found.logits.dtype == torch.float32
    torch.testing.assert_close(
        found.graph.logit_probabilities, torch.softmax(found.logits.double(), -1)[[5, 6, 7]].float()
    )


def test_logits_before_and_after_the_softcap(capped: Capped) -> None:
    found = capped.trace
    assert not torch.equal(found.logits, found.raw_logits)
    torch.testing.assert_close(found.logits, 30 * torch.tanh(found.raw_logits / 30))
