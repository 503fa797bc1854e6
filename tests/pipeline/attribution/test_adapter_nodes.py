"""Adapter nodes: what PEFT's own modules write, taken out of errors and edges without a rest."""

import copy
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from pipeline.attribution.adapter_items import adapter_item, causes
from pipeline.attribution.frozen import run_forward
from pipeline.attribution.paired import AdapterTrace
from pipeline.attribution.trace import Trace, observe
from pipeline.models.loading import load_replacement
from store.schema.vocabulary import ADAPTER_PARTS, CAUSES
from tests.support.adapter_vectors import (
    ATTENTION,
    DOWN,
    HIDDEN,
    Vectors,
    assert_same_vectors,
    direct_effects,
    expected_vectors,
    names_of,
    removal_effects,
    split,
    vectors_of,
)
from tests.support.builders import Checkpoint
from tests.support.local_model import LocalModel
from tests.support.peft_reference import PeftReference
from tests.support.subjects import (
    ARCHITECTURES,
    TARGETS,
    Case,
    centred,
    graph_rows,
    make_adapted,
    row_sums,
)

N_LAYERS = 3


@pytest.fixture(scope="module", params=ARCHITECTURES)
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    architecture = str(request.param)
    return make_adapted(tmp_path_factory.mktemp(architecture) / "x", architecture)


@pytest.fixture(scope="module")
def case(checkpoint: Checkpoint) -> Case:
    return Case.of(checkpoint)


def summed(vectors: Vectors, n_pos: int, parts: Sequence[int]) -> torch.Tensor:
    width = len(next(iter(vectors.values())))
    total = torch.zeros(N_LAYERS, n_pos, width, dtype=torch.float64)
    for (part, layer, position, _), vector in vectors.items():
        if part in parts:
            total[layer, position] += vector
    return total


MLP_VARIANTS = ["down@1.0", "gates@0.5", "stabilised@2.0", "general@1.0", "narrow@0.5"]


@pytest.mark.parametrize("variant", MLP_VARIANTS)
def test_parts_and_rest_are_the_old_error(case: Case, variant: str) -> None:
    sources, nodes = split(case.pool, case.ids, variant)
    vectors = vectors_of(sources, nodes)
    expected, difference = expected_vectors(case, variant)
    assert_same_vectors(vectors, expected)
    parts = summed(vectors, len(case.ids), (DOWN, HIDDEN))
    # No error and no node at BOS, where a constant source has all of the MLP's output.
    difference[:, 0] = 0.0
    errors = sources.errors.double()
    bar = 1e-6 * errors.abs().max()
    assert (parts - difference).abs().max() <= bar
    assert (parts + rests(case, variant) - errors).abs().max() <= bar


def rests(case: Case, variant: str) -> torch.Tensor:
    """MLP_base(x) minus the transcoders' reconstruction of it, in float64; 0 at BOS."""
    name, _, scale = variant.partition("@")
    peft = PeftReference(case.checkpoint, name, float(scale))
    model = case.pool.replacement(variant)
    local = LocalModel(model, case.ids)
    found = []
    for layer, transcoder in enumerate(model.transcoders):
        x = local.inputs[layer]
        value = (x @ local.encoder[layer].T + local.encoder_bias[layer]) * local.gate[layer]
        reconstruction = value @ transcoder.W_dec.double() + transcoder.b_dec.double()
        found.append(peft.parts(layer, x).base - reconstruction)
    rest = torch.stack(found)
    rest[:, 0] = 0.0
    return rest


def test_parts_are_taken_where_transcoders_write(checkpoint: Checkpoint) -> None:
    """Behind the norm that follows an MLP (Gemma 2), scaled as it scales the whole."""
    case = Case.of(checkpoint, "behind the norm")
    sources, nodes = split(case.pool, case.ids, "general@1.0")
    expected, _ = expected_vectors(case, "general@1.0", behind_norm=True)
    assert_same_vectors(vectors_of(sources, nodes), expected)


def test_components_beyond_the_limit_are_one_node(case: Case) -> None:
    many, named = split(case.pool, case.ids, "stabilised@1.0", components=9)
    few, together = split(case.pool, case.ids, "stabilised@1.0", components=8)
    assert sorted(set(named.component[named.part == DOWN].tolist())) == list(range(9))
    assert set(together.component.tolist()) == {-1}
    whole = vectors_of(few, together)
    assert sorted(key for key in whole if key[0] == DOWN) == [
        (DOWN, layer, position, -1) for layer in range(N_LAYERS) for position in range(1, len(case.ids))
    ]
    n_pos = len(case.ids)
    for part in (DOWN, HIDDEN):
        one, other = summed(whole, n_pos, [part]), summed(vectors_of(many, named), n_pos, [part])
        assert (one - other).abs().max() <= 1e-6 * other.abs().max()


def test_attention_sources_are_what_values_and_outputs_add(case: Case) -> None:
    for variant in ("values@1.0", "outputs@0.5", "general@1.0"):
        sources, nodes = split(case.pool, case.ids, variant, attention=True)
        expected, _ = expected_vectors(case, variant, attention=True)
        assert_same_vectors(vectors_of(sources, nodes), expected)
        at_bos = nodes.position[nodes.part == ATTENTION] == 0
        assert at_bos.sum() == N_LAYERS
        assert not (nodes.position[nodes.part != ATTENTION] == 0).any()


@pytest.mark.parametrize("variant", ["general@1.0", "stabilised@0.5", "outputs@2.0"])
def test_every_row_of_an_adapted_variant_adds_up(case: Case, variant: str) -> None:
    together = case.together("base", variant)
    found, apart = together.traces[variant], together.adapters[variant].adapted
    local = LocalModel(case.pool.replacement(variant), case.ids)
    features = found.graph.active_features
    assert torch.equal(apart.graph.active_features, features)
    expected = torch.cat([local.pre_activations(features), local.baseline[TARGETS]])
    bar = 2e-5 * expected.abs().max()
    assert (row_sums(found) - expected).abs().max() <= bar
    # The attention mode: other edges, the same totals, for logits and features alike.
    assert (row_sums(apart, attention=True) - expected).abs().max() <= bar
    assert (graph_rows(apart) - graph_rows(found)).abs().max() > 100 * bar
    assert (row_sums(apart) - expected).abs().max() > 100 * bar


def test_the_pass_is_the_adapted_models(case: Case) -> None:
    variant = "general@1.0"
    found = case.together("base", variant).adapters[variant].adapted
    manifest = case.pool.manifest
    alone = load_replacement(manifest, manifest.variant(variant), transcoders=case.pool.transcoders)
    with torch.no_grad():
        logits, cache = alone.run_with_cache(
            torch.tensor(case.ids), names_filter=lambda name: name.endswith("attn.hook_pattern")
        )
    assert torch.equal(found.logits, logits[0, -1])
    patterns = run_forward(case.pool.replacement(variant), torch.tensor(case.ids)).patterns
    expected = [cache[f"blocks.{layer}.attn.hook_pattern"][0] for layer in range(N_LAYERS)]
    assert all(torch.equal(one, other) for one, other in zip(patterns, expected, strict=True))
    raw, attentions = PeftReference(case.checkpoint, "general").run(case.ids)
    torch.testing.assert_close(found.raw_logits.double(), raw, rtol=0, atol=2e-5)
    for one, other in zip(patterns, attentions, strict=True):
        torch.testing.assert_close(one.double(), other.double(), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "variant", ["general@1.0", "down@2.0", "gates@1.0", "values@1.0", "outputs@1.0", "patterns@1.0"]
)
def test_the_change_of_every_logit_is_decomposed(case: Case, variant: str) -> None:
    together = case.together("base", variant, nodes=100)
    found = together.adapters[variant]
    change = causes(found.adapted) - causes(found.base)
    name, _, scale = variant.partition("@")
    peft = PeftReference(case.checkpoint, name, float(scale))
    measured = centred(peft.run(case.ids)[0]) - centred(peft.run(case.ids, adapted=False)[0])
    assert measured.abs().max() > 0.1
    np.testing.assert_allclose(change.sum(1), measured.numpy(), rtol=0, atol=2e-5)
    item = adapter_item(found, key="0" * 64, prompt_hash="0" * 12, variant=variant)
    np.testing.assert_allclose(item.arrays["target_centred_change"], measured.numpy(), rtol=0, atol=2e-5)
    np.testing.assert_allclose(item.arrays["change"], change, rtol=0, atol=1e-6)
    # Each adapter part against the effect of taking it out where nothing answers.
    for part, name in enumerate(ADAPTER_PARTS):
        effects = direct_effects(case, variant, expected_vectors(case, variant, attention=True)[0], [part])
        np.testing.assert_allclose(
            change[:, CAUSES.index(f"adapter_{name}")], -effects.sum(1), rtol=0, atol=2e-5
        )


@pytest.mark.parametrize("mode", ["ordinary", "attention"])
@pytest.mark.parametrize("variant", ["general@1.0", "stabilised@2.0"])
def test_scores_of_adapter_nodes_are_what_taking_them_out_does(case: Case, variant: str, mode: str) -> None:
    attention = mode == "attention"
    together = case.together("base", variant)
    found = together.adapters[variant].adapted if attention else together.traces[variant]
    assert found.adapters is not None
    vectors, _ = expected_vectors(case, variant, attention=attention)
    names = names_of(found.adapters.nodes)
    in_order = {name: vectors[name] for name in names}
    assert len(in_order) == len(vectors) > 100
    manifest = case.pool.manifest
    base = load_replacement(manifest, manifest.variant("base"), transcoders=case.pool.transcoders)
    model, through = case.pool.replacement(variant), base if attention else None
    nothing = torch.zeros(0, 3, dtype=torch.long)
    direct = found.adapters.edges[-len(TARGETS) :]
    for values, live in ((direct, nothing), (found.adapters.total_effect, None)):
        local = LocalModel(model, case.ids, live=live, through=through)
        effects = removal_effects(local, in_order, TARGETS)
        assert (values + effects).abs().max() <= 1e-5 * effects.abs().max()


def test_direct_of_adapter_nodes_is_circuit_tracers(case: Case) -> None:
    """A node's vector, lent to an inactive feature as its decoder, set to -1: taken out."""
    variant = "general@1.0"
    found = case.together("base", variant).traces[variant]
    assert found.adapters is not None
    vectors, _ = expected_vectors(case, variant)
    manifest = case.pool.manifest
    transcoders = copy.deepcopy(case.pool.transcoders)
    model = load_replacement(
        manifest, manifest.variant(variant), dtype=torch.float64, transcoders=transcoders
    )
    ids = torch.tensor(case.ids)
    active = {tuple(node) for node in found.graph.active_features.tolist()}
    with model.zero_softcap(), torch.no_grad():
        baseline = centred(model(ids)[0, -1])
        effects = []
        for key in names_of(found.adapters.nodes):
            _, layer, position, _ = key
            feature = next(f for f in range(64) if (layer, position, f) not in active)
            decoder = transcoders[layer].W_dec
            kept = decoder[feature].clone()
            decoder[feature] = vectors[key]
            logits, _ = model.feature_intervention(
                ids,
                [(layer, position, feature, -1.0)],
                constrained_layers=range(N_LAYERS),
                apply_activation_function=False,
                return_activations=False,
            )
            decoder[feature] = kept
            effects.append(centred(logits[0, -1]) - baseline)
    direct = found.adapters.edges[-len(TARGETS) :].double()
    measured = torch.stack(effects, 1)
    assert (direct + measured).abs().max() <= 1e-5 * measured.abs().max()


def test_below_the_first_adapted_layer_nothing_changes(case: Case) -> None:
    """The adapter is on the MLP of layer 1: its input, and all below, is the base's to the bit."""
    one, ours = observe(case.pool.replacement("base"), case.ids)
    other, theirs = observe(case.pool.replacement("narrow@1.0"), case.ids)
    below = [sources.features[:, 0] <= 1 for sources in (ours, theirs)]
    assert torch.equal(ours.features[below[0]], theirs.features[below[1]])
    assert torch.equal(ours.activations[below[0]], theirs.activations[below[1]])
    assert torch.equal(ours.errors[0], theirs.errors[0])
    assert not torch.equal(ours.errors[1], theirs.errors[1])
    assert torch.equal(one.mlp_in[:2], other.mlp_in[:2])
    assert not torch.equal(one.mlp_in[2], other.mlp_in[2])
    together = case.together("base", "narrow@1.0")
    graphs = [together.traces[variant].graph for variant in ("base", "narrow@1.0")]
    lower = [graph.active_features[:, 0] <= 1 for graph in graphs]
    for name in ("active_features", "activation_values"):
        values = [getattr(graph, name)[where] for graph, where in zip(graphs, lower, strict=True)]
        assert torch.equal(*values)


def pattern_share(found: AdapterTrace, variant: str) -> tuple[np.ndarray, np.ndarray]:
    """Of each target's change, by patterns, and in all."""
    arrays = adapter_item(found, key="0" * 64, prompt_hash="0" * 12, variant=variant).arrays
    return arrays["target_pattern_change"], arrays["target_centred_change"]


def test_queries_and_keys_have_no_nodes_but_all_of_the_pattern_change(case: Case) -> None:
    variant = "patterns@1.0"
    together = case.together("base", variant)
    for found in (together.traces[variant], together.adapters[variant].adapted):
        assert found.adapters is not None
        assert len(found.adapters.nodes) == 0
    share, change = pattern_share(together.adapters[variant], variant)
    # With the base's patterns this model is the base.
    assert np.abs(change).max() > 0.01
    np.testing.assert_allclose(share, change, rtol=0, atol=1e-5)


def test_values_that_change_no_pattern_have_no_share_in_it(case: Case) -> None:
    variant = "last value@1.0"
    share, change = pattern_share(case.together("base", variant).adapters[variant], variant)
    assert np.abs(change).max() > 0.01
    np.testing.assert_allclose(share, 0.0, rtol=0, atol=1e-6)
    # In all layers they do, through what later queries and keys read.
    share, _ = pattern_share(case.together("base", "values@1.0").adapters["values@1.0"], "values@1.0")
    assert np.abs(share).max() > 1e-3


def test_base_has_no_adapter_nodes(case: Case) -> None:
    found: Trace = case.together("base").traces["base"]
    assert found.adapters is None
    assert not causes(found)[:, :3].any()
