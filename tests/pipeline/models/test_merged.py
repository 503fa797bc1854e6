"""Merged checkpoints: whole models as variants, in exact low rank where the difference has one."""

import math
import shutil
from pathlib import Path

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from pipeline.checks.health import check_health
from pipeline.doctor.sources import look
from pipeline.models.deltas import (
    MAX_RANK,
    Difference,
    changed_modules,
    delta_norm,
    low_rank,
    read_deltas,
)
from pipeline.models.loading import load_causal_lm
from pipeline.models.lora import LoraFactors, read_adapter_config, read_factors
from pipeline.models.pool import ModelPool
from pipeline.params.profiles import Profile
from store.documents.manifest import Manifest, Source
from store.documents.variants import Variant
from tests.support.adapter_vectors import split, vectors_of
from tests.support.builders import Checkpoint
from tests.support.hub_server import HubServer
from tests.support.hub_subjects import one_sentence, upload_subject

Weights = dict[str, torch.Tensor]
WHOLE = Variant(name="whole", scale=1.0)


def put_aside(copy: Checkpoint, weights: Weights) -> Path:
    """A merged checkpoint beside the other adapters."""
    folder = copy.adapter("whole")
    folder.mkdir(parents=True)
    for name in ("config.json", "generation_config.json"):
        shutil.copy(copy.base / name, folder / name)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def base_weights(copy: Checkpoint) -> Weights:
    return load_file(copy.base / "model.safetensors")


def merged(copy: Checkpoint, name: str) -> Weights:
    """An adapter's weights, merged in float32 as PEFT's ``merge_and_unload`` has it."""
    weights = base_weights(copy)
    for module, lora in read_factors(read_adapter_config(copy.adapter(name))).items():
        weights[f"{module}.weight"] += lora.delta(torch.device("cpu"))
    return weights


def manifest_of(copy: Checkpoint) -> Manifest:
    return copy.manifest(adapters={name: str(copy.adapter(name)) for name in ("general", "whole")})


def test_a_merged_lora_is_that_lora_again(copy: Checkpoint) -> None:
    put_aside(copy, merged(copy, "general"))
    manifest = manifest_of(copy)
    lora, whole = manifest.adapters["general"], manifest.adapters["whole"]
    assert (whole.rank, whole.targets, whole.scaling) == (4, lora.targets, 1.0)
    assert whole.fingerprint not in {lora.fingerprint, manifest.base.fingerprint}
    deltas, theirs = (read_deltas(each, manifest.base) for each in (whole, lora))
    cpu = torch.device("cpu")
    for module, delta in deltas.items():
        assert isinstance(delta, LoraFactors)
        torch.testing.assert_close(delta.delta(cpu), theirs[module].delta(cpu), rtol=0, atol=1e-6)
    assert math.isclose(delta_norm(deltas), delta_norm(theirs), rel_tol=1e-5)
    # What it writes through MLPs is the same, node by node, however the components are turned.
    pool, ids = ModelPool(manifest), tuple(range(1, 9))
    parts = []
    for name in ("general@1.0", "whole@1.0"):
        total: dict[tuple[int, int, int], torch.Tensor] = {}
        for (part, layer, position, _), vector in vectors_of(*split(pool, ids, name)).items():
            key = part, layer, position
            total[key] = total.get(key, torch.zeros(32)) + vector
        parts.append(total)
    assert parts[0].keys() == parts[1].keys()
    for key, vector in parts[0].items():
        torch.testing.assert_close(parts[1][key], vector, rtol=0, atol=2e-5)


def test_a_rounded_one_is_its_difference_to_the_bit(copy: Checkpoint) -> None:
    stored = {name: weight.bfloat16() for name, weight in merged(copy, "narrow").items()}
    # As published: both in bfloat16.
    save_file(
        {name: weight.bfloat16() for name, weight in base_weights(copy).items()},
        copy.base / "model.safetensors",
        metadata={"format": "pt"},
    )
    put_aside(copy, stored)
    manifest = manifest_of(copy)
    assert manifest.adapters["whole"].targets == ("model.layers.1.mlp.down_proj",)
    (delta,) = read_deltas(manifest.adapters["whole"], manifest.base).values()
    assert isinstance(delta, Difference)
    model = load_causal_lm(manifest, WHOLE, device=torch.device("cpu"))
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, stored[name].float()), name
    # One node a layer and position: it has no components.
    nodes = vectors_of(*split(ModelPool(manifest), tuple(range(1, 9)), "whole@1.0"))
    assert {(layer, component) for _, layer, _, component in nodes} == {(1, -1)}


def test_a_model_of_which_all_differs_holds_its_parity(copy: Checkpoint) -> None:
    generator = torch.Generator().manual_seed(0)
    weights = base_weights(copy)
    changed = {
        name: weight + 0.02 * torch.randn(weight.shape, generator=generator)
        for name, weight in weights.items()
    }
    put_aside(copy, changed)
    manifest = manifest_of(copy)
    assert len(manifest.adapters["whole"].targets) == len(weights)
    report = check_health(manifest, [manifest.variant(name) for name in ("base", "whole")], range(1, 9))
    expected = math.sqrt(sum(float((changed[name] - weights[name]).square().sum()) for name in weights))
    assert math.isclose(report["variants"]["whole@1.0"]["adapter"]["weight_norm"], expected, rel_tol=1e-5)
    half = load_causal_lm(manifest, Variant(name="whole", scale=0.5), device=torch.device("cpu"))
    for name, weight in half.state_dict().items():
        torch.testing.assert_close(weight, (weights[name] + changed[name]) / 2, rtol=0, atol=1e-6)


def test_one_on_the_hub_is_fetched_after_all_names_are_known(hub: HubServer, checkpoint: Checkpoint) -> None:
    subject = upload_subject(hub, checkpoint)
    files = {path.name: path.read_bytes() for path in checkpoint.base.iterdir()}
    save_file(merged(checkpoint, "general"), "merged.safetensors", metadata={"format": "pt"})
    hub.upload("some/whole", files | {"model.safetensors": Path("merged.safetensors").read_bytes()})
    both = {"general": "some/general", "whole": "some/whole"}
    profile = Profile(**subject | {"adapters": both}, focus="general", prompts=["p"], local="l")
    assert look("mine", profile).adapters.keys() == {"general"}
    manifest = checkpoint.manifest(**subject | {"adapters": both})
    assert manifest.adapters["whole"].revision == hub.commit("some/whole", "main")
    assert manifest.adapters["whole"].rank == 4


def test_what_is_no_variant_of_the_model_is_refused(copy: Checkpoint) -> None:
    weights = base_weights(copy)
    folder = put_aside(copy, weights)
    assert "the very weights of the model" in one_sentence(lambda: manifest_of(copy))
    name, path = "model.layers.0.mlp.up_proj.weight", folder / "model.safetensors"
    for changed, says in (
        ({key: value for key, value in weights.items() if key != name}, "is in one of them only"),
        (weights | {name: weights[name][:-1].contiguous()}, "a checkpoint of another model"),
        (weights | {name: weights[name] * float("nan")}, "holds NaN or infinity"),
    ):
        save_file(changed, path, metadata={"format": "pt"})
        assert says in one_sentence(lambda: manifest_of(copy))


def test_a_bias_that_differs_is_refused(tmp_path: Path) -> None:
    sources = []
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        save_file({"q.bias": torch.full((3,), float(number))}, folder / "model.safetensors")
        sources.append(Source(source=str(folder), revision=None, fingerprint=""))
    assert "biases are not switched" in one_sentence(lambda: changed_modules(sources[1], sources[0]))


@given(
    rank=st.integers(1, 12), rows=st.integers(40, 60), columns=st.integers(40, 60), seed=st.integers(0, 99)
)
@settings(max_examples=25, deadline=None)
def test_low_rank_is_found_and_only_where_it_is(rank: int, rows: int, columns: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    up, down = (torch.randn(*shape, generator=generator) for shape in ((rows, rank), (rank, columns)))
    weight = torch.randn(rows, columns, generator=generator)
    difference = (weight + up @ down) - weight  # rounded, as merging rounds
    found = low_rank(difference, float((weight + up @ down).norm()))
    assert found is not None
    assert found.down.shape == (rank, columns)
    torch.testing.assert_close(found.delta(torch.device("cpu")), up @ down, rtol=0, atol=2e-5)
    noise = 1e-3 * torch.randn(rows, columns, generator=generator)
    assert low_rank(difference + noise, float(weight.norm())) is None


def test_a_rank_above_the_limit_is_a_difference() -> None:
    generator = torch.Generator().manual_seed(0)
    for rank, thin in ((MAX_RANK, True), (MAX_RANK + 1, False)):
        up, down = (torch.randn(*shape, generator=generator) for shape in ((300, rank), (rank, 300)))
        found = low_rank(up @ down, float((up @ down).norm()))
        assert (found is not None) == thin
