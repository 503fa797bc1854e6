"""Sizes of a transcoder set: from headers alone, before weights are fetched, and how much of it is held."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.models import transcoders as loader
from pipeline.models.headers import read_npz_header
from pipeline.models.loading import load_transcoders
from pipeline.models.transcoders import read_transcoder_facts
from store.base.errors import UserError
from tests.support.builders import Checkpoint, make_transcoders
from tests.support.hub_server import HubServer
from tests.support.hub_subjects import one_sentence, upload_subject


def test_of_an_npz_file_only_headers_are_read(tmp_path: Path) -> None:
    path = tmp_path / "params.npz"
    np.savez_compressed(path, W_enc=np.zeros((512, 16_384), np.float32), b_dec=np.zeros(512, np.float32))
    tracemalloc.start()
    shapes = read_npz_header(path).shapes
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert shapes == {"W_enc": (512, 16_384), "b_dec": (512,)}
    assert peak < 2**20  # of an array of 32 MB


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 no zip", b"version https://git-lfs.github.com/spec/v1"]
)
def test_a_damaged_npz_file_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "params.npz"
    path.write_bytes(content)
    assert "params.npz is damaged" in one_sentence(lambda: read_npz_header(path))


def test_an_archive_of_something_else_is_told(tmp_path: Path) -> None:
    path = tmp_path / "params.npz"
    np.savez(path, a=np.zeros(3))
    path.write_bytes(path.read_bytes().replace(b"\x93NUMPY", b"\x93LUMPY"))
    assert "is damaged" in one_sentence(lambda: read_npz_header(path))


def asked_for(hub: HubServer, name: str) -> list[str]:
    return [path for method, path in hub.asked if method == "GET" and path.endswith(name)]


@pytest.mark.parametrize("listed", [True, False], ids=["by hf:// addresses", "by their names"])
def test_a_set_of_another_width_is_told_before_weights_are_fetched(
    hub: HubServer, checkpoint: Checkpoint, tmp_path: Path, listed: bool
) -> None:
    subject = upload_subject(hub, checkpoint)
    make_transcoders(tmp_path / "other", 3, 48, 64, generator=torch.Generator().manual_seed(0))
    if listed:
        layers = (tmp_path / "other").glob("*.safetensors")
        hub.upload("some/layers", {f"deep/{path.name}": path.read_bytes() for path in layers})
    else:
        config = tmp_path / "other" / "config.yaml"
        config.write_text(config.read_text().partition("transcoders:")[0])
        hub.upload("some/set", tmp_path / "other")
    hub.asked.clear()
    told = one_sentence(lambda: checkpoint.manifest(**subject))
    assert "layer 0" in told
    assert "has width 48, the model has 32" in told
    assert len(asked_for(hub, "layer_0.safetensors")) == 1  # of which the header is read
    for name in ("/model.safetensors", "layer_1.safetensors"):
        assert not asked_for(hub, name)


def test_sizes_of_a_set_on_the_hub_are_those_of_its_files(hub: HubServer, checkpoint: Checkpoint) -> None:
    local = read_transcoder_facts(checkpoint.manifest().transcoders)
    manifest = checkpoint.manifest(**upload_subject(hub, checkpoint))
    assert read_transcoder_facts(manifest.transcoders) == local
    assert (manifest.model.d_transcoder, local.n_layers, local.d_model) == (64, 3, 32)


def test_a_header_that_is_none_is_told(hub: HubServer, checkpoint: Checkpoint) -> None:
    subject = upload_subject(hub, checkpoint)
    hub.upload("some/layers", {f"deep/layer_{layer}.safetensors": b"no header" for layer in range(3)})
    assert "layer_0.safetensors is damaged" in one_sentence(lambda: checkpoint.manifest(**subject))


def test_what_is_streamed_has_the_bits_of_what_is_held(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, size = checkpoint.manifest(), 2 * 3 * 32 * 64 * 4
    monkeypatch.setattr(loader, "free_bytes", lambda device: 2 * size)
    held = load_transcoders(manifest, device=torch.device("cpu"))
    monkeypatch.setattr(loader, "free_bytes", lambda device: 2 * size - 1)
    streamed = load_transcoders(manifest, device=torch.device("cpu"))
    assert (held[0].lazy_encoder, streamed[0].lazy_encoder) == (False, True)
    asked = load_transcoders(manifest, device=torch.device("cpu"), streamed=True)
    assert asked[0].lazy_decoder
    x = torch.randn(3, 9, 32, generator=torch.Generator().manual_seed(0))
    first, second = (each.compute_attribution_components(x) for each in (held, streamed))
    assert first["activation_matrix"].values().any()
    for name in ("reconstruction", "encoder_vecs", "decoder_vecs"):
        assert torch.equal(first[name], second[name])


def test_a_set_without_biases_is_told(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    source = checkpoint.manifest().transcoders
    monkeypatch.setattr(loader, "_shapes", lambda *args: {"W_enc": (64, 32)})
    with pytest.raises(UserError, match=r"has no vector b_enc; they must be"):
        read_transcoder_facts(source)
