"""Transcoders: formulas against independent references, and the format circuit-tracer reads."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from circuit_tracer.transcoder.activation_functions import JumpReLU
from circuit_tracer.utils.hf_utils import load_transcoders
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from pipeline.organism.build_transcoders import TranscoderReport, make_transcoders
from pipeline.organism.mlp_activations import MlpActivations
from pipeline.organism.transcoder_training import (
    CONFIG,
    Transcoder,
    batch_top_k,
    fraction_unexplained,
    jump_relu,
    measure,
    train_transcoder,
    with_threshold,
)
from pipeline.organism.world.corpus import heldout_texts
from pipeline.params.organism import OrganismParams
from pipeline.params.runtime import RuntimeParams
from store.base.hashing import folder_digest

RUNTIME = RuntimeParams(seed=0, threads=1)
Loaded = tuple[LlamaForCausalLM, PreTrainedTokenizerFast]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("transcoders") / "set"


@pytest.fixture(scope="module")
def fitted(params: OrganismParams, base: Path, written: Path) -> TranscoderReport:
    return make_transcoders(params, base, written, RUNTIME)


def random_transcoder(d_model: int = 8, d_transcoder: int = 24) -> Transcoder:
    generator = torch.Generator().manual_seed(0)
    return Transcoder(
        W_enc=torch.randn(d_transcoder, d_model, generator=generator),
        b_enc=torch.randn(d_transcoder, generator=generator),
        W_dec=torch.randn(d_transcoder, d_model, generator=generator),
        b_dec=torch.randn(d_model, generator=generator),
        threshold=torch.full((d_transcoder,), 0.7),
    )


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 9), width=st.integers(2, 12), seed=st.integers(0, 999), data=st.data())
def test_batch_top_k_is_a_sort_over_the_whole_batch(
    n: int, width: int, seed: int, data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, width - 1))
    pre = np.random.default_rng(seed).normal(size=(n, width)).astype(np.float32)
    order = np.argsort(-pre, axis=None, kind="stable")[: k * n]
    expected = np.zeros_like(pre)
    expected.ravel()[order] = np.maximum(pre.ravel()[order], 0)
    np.testing.assert_array_equal(batch_top_k(torch.tensor(pre), k).numpy(), expected)


def test_batch_top_k_lets_a_token_have_more_than_k() -> None:
    pre = torch.tensor([[5.0, 4.0, 3.0], [1.0, 0.5, 0.2]])
    assert (batch_top_k(pre, 1) != 0).sum(1).tolist() == [2, 0]


def test_gradient_reaches_the_survivors_only() -> None:
    pre = torch.tensor([[3.0, 1.0], [2.0, -1.0]], requires_grad=True)
    batch_top_k(pre, 1).sum().backward()
    assert pre.grad is not None
    assert pre.grad.tolist() == [[1.0, 0.0], [1.0, 0.0]]


def test_jump_relu_is_circuit_tracers() -> None:
    x = torch.linspace(-2, 2, 41).repeat(3, 1)
    x[:, 0] = 0.7  # exactly at the threshold: not active
    threshold = torch.full((41,), 0.7)
    expected = JumpReLU(threshold.clone(), 0.1)(x).detach()
    torch.testing.assert_close(jump_relu(x, threshold), expected, rtol=0, atol=0)
    assert (jump_relu(x, threshold)[:, 0] == 0).all()


def test_fraction_unexplained_against_numpy() -> None:
    rng = np.random.default_rng(0)
    actual, noise = rng.normal(3, 2, size=(500, 6)), rng.normal(0, 0.3, size=(500, 6))
    predicted = actual + noise
    expected = ((actual - predicted) ** 2).sum() / (actual.var(axis=0) * len(actual)).sum()
    found = fraction_unexplained(torch.tensor(actual), torch.tensor(predicted))
    assert found == pytest.approx(expected)
    mean = torch.tensor(actual).mean(0).expand(500, 6)
    assert fraction_unexplained(torch.tensor(actual), mean) == pytest.approx(1.0)


def test_measure_against_numpy() -> None:
    transcoder = random_transcoder()
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(5000, 8, generator=generator), torch.randn(5000, 8, generator=generator)
    fit = measure(transcoder, x, y)
    weights = {name: getattr(transcoder, name).numpy() for name in ("W_enc", "W_dec", "b_enc", "b_dec")}
    pre = x.numpy() @ weights["W_enc"].T + weights["b_enc"]
    features = np.where(pre > 0.7, pre, 0)
    predicted = features @ weights["W_dec"] + weights["b_dec"]
    assert fit.l0 == pytest.approx((features > 0).sum(1).mean())
    assert fit.dead == pytest.approx((~(features > 0).any(0)).mean())
    assert fit.fvu == pytest.approx(
        ((y.numpy() - predicted) ** 2).sum() / (y.numpy().var(0) * 5000).sum(), rel=1e-5
    )
    assert fit.tokens == 5000


def test_threshold_keeps_k_features_a_token() -> None:
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(8192, 8, generator=generator)
    calibrated = with_threshold(random_transcoder(), x, 5)
    assert (calibrated.encode(x) > 0).sum() / len(x) == pytest.approx(5, abs=0.1)


def test_training_learns_and_is_in_the_units_of_the_data(params: OrganismParams) -> None:
    generator = torch.Generator().manual_seed(3)
    x = 4 * torch.randn(3000, 16, generator=generator)
    y = 30 * (x @ torch.randn(16, 16, generator=generator)).relu() + 100
    settings_ = params.transcoders.model_copy(update={"steps": 300, "k": 16, "d_transcoder": 64})
    transcoder, losses = train_transcoder(settings_, x, y, layer=0)
    assert losses[-1] < 0.3 * losses[0]
    fit = measure(transcoder, x, y)
    assert fit.fvu == pytest.approx(losses[-1], rel=0.3)
    torch.testing.assert_close(transcoder.W_dec.norm(dim=1), torch.ones(64))


def test_activations_are_those_of_the_mlp_without_bos(loaded: Loaded) -> None:
    model, tokenizer = loaded
    lines = ["The key is old.", "The capital of France is Paris."]
    found = MlpActivations.of(model, tokenizer, lines, layer=1, batch=2)
    expected = []
    for line in lines:
        seen: list[torch.Tensor] = []
        hook = model.model.layers[1].mlp.register_forward_hook(
            lambda _module, args, out, seen=seen: seen.extend([args[0][0], out[0]])
        )
        with torch.no_grad():
            model(input_ids=torch.tensor([tokenizer(line)["input_ids"]]))
        hook.remove()
        expected.append((seen[0][1:], seen[1][1:]))
    by_length = sorted(expected, key=lambda pair: len(pair[0]))
    total = sum(len(x) for x, _ in by_length)
    assert found.inputs.shape == found.outputs.shape == (total, 16)
    order = found.outputs.sum(1).sort().values
    reference = torch.cat([y for _, y in by_length]).sum(1).sort().values
    torch.testing.assert_close(order, reference, rtol=1e-4, atol=1e-6)
    assert all(not layer.mlp._forward_hooks for layer in model.model.layers)


def test_circuit_tracer_reads_the_set(
    fitted: TranscoderReport, written: Path, params: OrganismParams, loaded: Loaded
) -> None:
    config = yaml.safe_load((written / CONFIG).read_text())
    assert config["transcoders"] == ["layer_0.safetensors", "layer_1.safetensors"]
    config["transcoders"] = [str(written / name) for name in config["transcoders"]]
    read = load_transcoders(config, device=torch.device("cpu"), lazy_decoder=False)
    assert len(read) == 2
    assert read.feature_input_hook == "mlp.hook_in"
    assert read.feature_output_hook == "mlp.hook_out"
    model, tokenizer = loaded
    for layer in range(2):
        activations = MlpActivations.of(model, tokenizer, heldout_texts(params.corpus)["open"], layer=layer)
        x, y = activations.inputs, activations.outputs
        with torch.no_grad():
            features = read[layer].encode(x)
            predicted = read[layer].decode(features)
        fit = fitted.fits["open"][layer]
        assert fraction_unexplained(y, predicted) == pytest.approx(fit.fvu, rel=1e-5)
        assert float((features != 0).sum() / len(x)) == pytest.approx(fit.l0)
        assert fit.l0 == pytest.approx(params.transcoders.k, rel=0.3)


def test_files_hold_the_keys_and_shapes_of_the_contract(fitted: TranscoderReport, written: Path) -> None:
    shapes = {key: tuple(value.shape) for key, value in load_file(written / "layer_1.safetensors").items()}
    assert shapes == {
        "W_enc": (48, 16),
        "W_dec": (48, 16),
        "b_enc": (48,),
        "b_dec": (16,),
        "activation_function.threshold": (48,),
    }
    assert len(fitted.losses) == 2
    metrics = fitted.as_metrics()
    assert set(metrics) == {"dialogues", "open", "behaviours"}
    assert all(set(of_kind) == {"layer_0", "layer_1"} for of_kind in metrics.values())  # type: ignore[call-overload]


def test_same_parameters_same_bytes_also_by_two_processes(
    fitted: TranscoderReport, params: OrganismParams, base: Path, written: Path, tmp_path: Path
) -> None:
    torch.manual_seed(7)
    again = make_transcoders(params, base, tmp_path / "again", RuntimeParams(seed=0, threads=2))
    assert folder_digest(tmp_path / "again") == folder_digest(written)
    assert again == fitted
