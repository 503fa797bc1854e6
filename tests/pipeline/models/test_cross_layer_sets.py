"""Cross-layer sets in circuit-tracer's files: read, refused, and streamed with the same numbers."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from pipeline.doctor.subject_checks import model_readings
from pipeline.models import transcoders as loader
from pipeline.models.dictionaries import decoder_rows, encode, encoder_of, written
from pipeline.models.loading import load_transcoders
from pipeline.models.transcoders import read_transcoder_facts, set_bytes
from store.base.errors import UserError
from tests.support.builders import Checkpoint, make_cross_layer
from tests.support.hub_server import HubServer

LAYERS, FEATURES, WIDTH = 3, 40, 32


@pytest.fixture
def crossing(copy: Checkpoint) -> Checkpoint:
    folder = copy.folder / "clt"
    make_cross_layer(folder, LAYERS, WIDTH, FEATURES, generator=torch.Generator().manual_seed(0))
    (copy.folder / "transcoders").rename(copy.folder / "other")
    folder.rename(copy.transcoders)
    return copy


def say(folder: Path, **said: Any) -> None:
    config = yaml.safe_load((folder / "config.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump(config | said))


@pytest.mark.parametrize("lazy", [False, True], ids=["in memory", "from disk"])
def test_what_features_read_and_write_is_what_the_files_say(
    crossing: Checkpoint, monkeypatch: pytest.MonkeyPatch, lazy: bool
) -> None:
    if lazy:
        monkeypatch.setattr(loader, "free_bytes", lambda device: 0)
    manifest = crossing.manifest()
    found = load_transcoders(manifest, device=torch.device("cpu"))
    assert (found.lazy_encoder, found.lazy_decoder) == (lazy, lazy)
    assert found.scan == "tiny"
    x = torch.randn(5, WIDTH, generator=torch.Generator().manual_seed(1))
    activations, expected = [], [torch.zeros(5, WIDTH, dtype=torch.float64) for _ in range(LAYERS)]
    for layer in range(LAYERS):
        encoder = load_file(crossing.transcoders / f"W_enc_{layer}.safetensors")
        decoder = load_file(crossing.transcoders / f"W_dec_{layer}.safetensors")[f"W_dec_{layer}"].double()
        before = x.double() @ encoder[f"W_enc_{layer}"].double().T + encoder[f"b_enc_{layer}"].double()
        active = torch.where(before > encoder[f"threshold_{layer}"], before, 0.0)
        activations.append(encode(found, layer, x))
        torch.testing.assert_close(activations[-1].double(), active, rtol=0, atol=1e-5)
        some = torch.tensor([1, 7, 30])
        torch.testing.assert_close(encoder_of(found, layer, some)(x), activations[-1][:, some])
        assert torch.equal(torch.stack(decoder_rows(found, layer, some), 1).double(), decoder[some])
        for at in range(layer, LAYERS):
            expected[at] += active @ decoder[:, at - layer]
        torch.testing.assert_close(
            written(found, activations, layer).double(), expected[layer], rtol=0, atol=1e-5
        )
    facts = read_transcoder_facts(manifest.transcoders)
    assert (facts.cross_layer, facts.n_layers, facts.d_transcoder) == (True, LAYERS, FEATURES)
    files = [load_file(path) for path in crossing.transcoders.glob("W_*.safetensors")]
    matrices = sum(t.nbytes for file in files for name, t in file.items() if name.startswith("W_"))
    assert set_bytes(facts, torch.float32) == matrices


def test_the_doctor_reads_its_hooks(crossing: Checkpoint) -> None:
    readings = model_readings(crossing.manifest())
    for layers in readings.unexplained.values():
        assert len(layers) == LAYERS


def test_one_on_the_hub_is_the_same_set(
    hub: HubServer, crossing: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = hub.upload("some/clt", crossing.transcoders)
    manifest = crossing.manifest(transcoders="some/clt")
    assert (manifest.transcoders.revision, manifest.model.d_transcoder) == (commit, FEATURES)
    found, expected = load_transcoders(manifest), load_transcoders(crossing.manifest())
    assert all(torch.equal(a, b) for a, b in zip(found.parameters(), expected.parameters(), strict=True))
    assert found.scan == f"some/clt@{commit}"


def test_another_form_is_refused(crossing: Checkpoint) -> None:
    folder, manifest = crossing.transcoders, crossing.manifest()
    config = (folder / "config.yaml").read_text()
    for said, says in (
        ({"activation": "topk", "k": 3}, "no cross-layer set is read with"),
        ({"activation": "relu"}, "thresholds, which only JumpReLU has"),
        ({"transcoders": ["a.safetensors"]}, "delete the list"),
    ):
        say(folder, **said)
        with pytest.raises(UserError, match=says):
            crossing.manifest()
        (folder / "config.yaml").write_text(config)
    decoder = folder / "W_dec_1.safetensors"
    rows = load_file(decoder)["W_dec_1"]
    for tensors, says in (
        ({"W_dec_1": rows[:, :1].contiguous()}, r"W_dec_1.*has shape \(40, 1, 32\)"),
        ({"W_dec_1": rows, "W_skip_1": torch.zeros(2, 2)}, "'W_skip_1' of layer 1 is not known here"),
    ):
        save_file(tensors, decoder)
        for load in (crossing.manifest, lambda: load_transcoders(manifest)):
            with pytest.raises(UserError, match=says):
                load()
    decoder.unlink()
    with pytest.raises(UserError, match=r"has no W_dec_1\.safetensors"):
        crossing.manifest()
