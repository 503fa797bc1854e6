"""Any variant from one loaded base, bit by bit what loading that variant gives."""

import gc
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from pipeline.models import switching
from pipeline.models.loading import DTYPES, load_causal_lm, load_replacement, load_switchable
from pipeline.models.pool import ModelPool
from tests.support.builders import PROJECTIONS, Checkpoint, add_adapter, add_head_adapter, make_checkpoint

IDS = torch.tensor([[1, 5, 9, 13, 200, 31, 7]])
# Adapters one after another, in and out of base, over modules that only some of them change.
TOUR = (
    "base",
    "general@1.0",
    "narrow@1.0",
    "general@0.25",
    "head@1.0",
    "general@-2.0",
    "base",
    "patterns@1.0",
    "base",
)


@pytest.fixture(
    scope="module",
    params=["llama", "llama ungrouped", "qwen2", "qwen3", "gemma2"],
)
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """Read-only; every projection and the unembedding is changed by some adapter."""
    architecture, _, ungrouped = request.param.partition(" ")
    checkpoint = make_checkpoint(
        tmp_path_factory.mktemp(architecture) / "x",
        architecture=architecture,
        n_layers=2,
        n_key_value_heads=4 if ungrouped else 2,
    )
    add_head_adapter(checkpoint)
    add_adapter(
        checkpoint,
        "patterns",
        r=4,
        lora_alpha=8,
        target_modules=list(PROJECTIONS),
        use_rslora=True,
        rank_pattern={"o_proj": 9},
        alpha_pattern={"down_proj": 5},
    )
    return checkpoint


def assert_same_weights(got: torch.nn.Module, expected: torch.nn.Module) -> None:
    found, wanted = dict(got.named_parameters()), dict(expected.named_parameters())
    assert found.keys() == wanted.keys()
    for name, parameter in wanted.items():
        assert torch.equal(found[name], parameter), name
        # A product's last bits depend on how its factors lie in memory.
        assert found[name].stride() == parameter.stride(), name
        assert found[name].dtype == parameter.dtype, name
        assert not found[name].requires_grad, name


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_every_variant_is_what_loading_it_gives(subject: Checkpoint, dtype: str) -> None:
    manifest = subject.manifest(dtype=dtype)
    pool = ModelPool(manifest)
    for name in TOUR:
        variant = manifest.variant(name)
        model, expected = pool.replacement(name), load_replacement(manifest, variant)
        assert_same_weights(model, expected)
        lm, expected_lm = pool.causal_lm(name), load_causal_lm(manifest, variant)
        assert_same_weights(lm, expected_lm)
        with torch.no_grad():
            assert torch.equal(model(IDS), expected(IDS))
            assert torch.equal(lm(IDS).logits, expected_lm(IDS).logits)


@pytest.mark.parametrize("name", ["general@0.0", "patterns@-0.0"])
def test_scale_zero_is_base_to_the_bit(subject: Checkpoint, name: str) -> None:
    pool = ModelPool(subject.manifest())
    pool.causal_lm("general@1.5")
    stored = load_file(subject.base / "model.safetensors")
    weights = pool.causal_lm(name).state_dict()
    assert all(torch.equal(weights[key], tensor) for key, tensor in stored.items())


def test_value_biases_are_folded_through_the_adapted_output(tmp_path: Path) -> None:
    # Qwen2's b_O is made of its value bias and W_O: it changes with an adapter on o_proj.
    checkpoint = make_checkpoint(tmp_path / "x", architecture="qwen2", n_layers=2)
    pool = ModelPool(checkpoint.manifest())
    base = pool.replacement("base").blocks[1].attn.b_O
    assert base.abs().max() > 0
    assert not torch.equal(pool.replacement("general").blocks[1].attn.b_O, base)


def test_a_variant_is_set_inside_inference_mode(checkpoint: Checkpoint) -> None:
    # Autograd tells which weights change; inference mode switches it off.
    manifest = checkpoint.manifest()
    pool = ModelPool(manifest)
    pool.replacement("base")
    with torch.inference_mode():
        model = pool.replacement("general")
    assert_same_weights(model, load_replacement(manifest, manifest.variant("general")))


def test_nothing_is_loaded_when_the_variant_changes(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Trap 22.
    loaded = []
    load = AutoModelForCausalLM.from_pretrained

    def count(*args: Any, **kwargs: Any) -> Any:
        loaded.append(args)
        return load(*args, **kwargs)

    monkeypatch.setattr("pipeline.models.loading.AutoModelForCausalLM.from_pretrained", count)
    pool = ModelPool(checkpoint.manifest())
    models = {id(pool.replacement(name)) for name in ("general", "base", "narrow@2", "general@0.5")}
    assert len(models) == len(loaded) == 1
    lms = {id(pool.causal_lm(name)) for name in ("general", "base", "narrow@2", "general@0.5")}
    assert len(lms) == 1
    assert len(loaded) == 2


def test_the_same_variant_again_changes_nothing(checkpoint: Checkpoint) -> None:
    pool = ModelPool(checkpoint.manifest())
    before = dict(pool.replacement("general").named_parameters())
    assert all(before[name] is p for name, p in pool.replacement("general@1").named_parameters())


def test_what_was_made_of_the_old_weights_stays_true(checkpoint: Checkpoint) -> None:
    # Replaced, not added to: who holds a weight, or a graph through it, has what it was.
    pool = ModelPool(checkpoint.manifest())
    model = pool.replacement("general")
    held = dict(model.named_parameters())
    views = {name: parameter.detach() for name, parameter in held.items()}
    values = {name: parameter.clone() for name, parameter in held.items()}
    seen: list[torch.Tensor] = []
    with model.hooks([("hook_embed", lambda value, hook: seen.append(value))]):
        logits = model(IDS)[0, -1]
    (expected,) = torch.autograd.grad(logits[5], seen[0], retain_graph=True)
    for name in ("base", "narrow", "general@0.5"):
        pool.replacement(name)
    assert all(torch.equal(held[name], value) for name, value in values.items())
    assert all(torch.equal(views[name], value) for name, value in values.items())
    assert torch.equal(torch.autograd.grad(logits[5], seen[0])[0], expected)


def test_only_the_adapters_modules_are_replaced(checkpoint: Checkpoint) -> None:
    pool = ModelPool(checkpoint.manifest())
    before = dict(pool.replacement("base").named_parameters())
    after = dict(pool.replacement("narrow").named_parameters())
    replaced = [name for name, parameter in after.items() if parameter is not before[name]]
    assert replaced == ["blocks.1.mlp.old_mlp.W_out"]


def tensor_bytes() -> int:
    """Of all tensors alive, each storage once."""
    gc.collect()
    found = {}
    for thing in gc.get_objects():
        if isinstance(thing, torch.Tensor) and thing.layout is torch.strided:
            found[thing.untyped_storage().data_ptr()] = thing.untyped_storage().nbytes()
    return sum(found.values())


@pytest.fixture
def few_objects() -> Iterator[None]:
    """Tensors of other tests may die at any time; those that are there now are left out."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.usefixtures("few_objects")
def test_twenty_switches_leave_no_hooks_and_no_memory(checkpoint: Checkpoint, dtype: str) -> None:
    # Trap 22.
    pool = ModelPool(checkpoint.manifest(dtype=dtype))
    names = ["base", "general@1.0", "narrow@1.0", "general@0.5"]
    counted: dict[str, set[tuple[int, int]]] = {name: set() for name in names}
    for name in names:  # loads, and reads each adapter
        pool.replacement(name)
        pool.causal_lm(name)
    for step in range(20):
        model = pool.replacement(names[step % 4])
        pool.causal_lm(names[step % 4])
        counted[names[step % 4]].add((model.count_hooks(), tensor_bytes()))
    assert all(len(counts) == 1 for counts in counted.values()), counted
    assert len({hooks for counts in counted.values() for hooks, _ in counts}) == 1


def test_exact_weights_are_kept_of_changed_modules_and_only_where_they_say_more(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    module = "model.layers.1.mlp.down_proj"
    coarse = tmp_path / "base"
    shutil.copytree(checkpoint.base, coarse)
    weights = load_file(coarse / "model.safetensors")
    rounded = {name: tensor.bfloat16().float() for name, tensor in weights.items()}
    save_file(rounded, coarse / "model.safetensors", metadata={"format": "pt"})
    narrow = {"narrow": str(checkpoint.adapter("narrow"))}
    for model, dtype, expected in (
        (checkpoint.base, "float32", torch.float32),
        (checkpoint.base, "bfloat16", torch.float32),
        (coarse, "bfloat16", torch.bfloat16),
    ):
        manifest = checkpoint.manifest(dtype=dtype, model=str(model), adapters=narrow, focus="narrow")
        switchable = load_switchable(manifest, manifest.adapters)
        assert {name: kept.dtype for name, kept in switchable._base.items()} == {module: expected}
        if expected == DTYPES[dtype]:  # the model's own weight, not a copy of it
            own = switchable.model.get_submodule(module).weight
            assert switchable._base[module].data_ptr() == own.data_ptr()


def test_a_failure_half_way_is_mended_by_the_next_variant(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = checkpoint.manifest()
    pool = ModelPool(manifest)
    pool.replacement("general")
    calls = []

    def full(*args: Any) -> None:
        calls.append(args)
        if len(calls) == 3:
            raise MemoryError
        assign(*args)

    assign = switching._assign
    monkeypatch.setattr(switching, "_assign", full)
    with pytest.raises(MemoryError):
        pool.replacement("general@0.5")
    assert_same_weights(pool.replacement("general"), load_replacement(manifest, manifest.variant("general")))
