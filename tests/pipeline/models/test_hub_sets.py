"""Transcoder sets on the hub, whose files may lie in repositories of others: all are pinned."""

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.numpy import load_file

from pipeline.models.loading import load_transcoders
from pipeline.stages import models
from store.base.errors import UserError
from store.documents.manifest import read_manifest, write_manifest
from store.documents.variants import Variant
from tests.support.builders import Checkpoint
from tests.support.hub_server import HubServer
from tests.support.hub_subjects import upload_subject

GENERAL = Variant(name="general", scale=1.0)


def test_files_of_other_repositories_are_pinned(
    hub: HubServer, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    subject = upload_subject(hub, checkpoint)
    first = checkpoint.manifest(**subject)
    commit = hub.commit("some/layers", "main")
    assert first.transcoders.repositories == {"some/layers@main": commit}
    write_manifest(tmp_path / "models.json", first)
    assert read_manifest(tmp_path / "models.json") == first
    expected = load_transcoders(checkpoint.manifest())[1].W_dec
    assert torch.equal(load_transcoders(first)[1].W_dec, expected)
    # Uploaded again, with other weights: the old manifest loads the old ones, the new one differs.
    files = hub.files("some/layers", commit)
    hub.upload("some/layers", {name: content[:-4] + b"\0\0\x80\x3f" for name, content in files.items()})
    assert torch.equal(load_transcoders(first)[1].W_dec, expected)
    second = checkpoint.manifest(**subject)
    assert second.transcoders.revision == first.transcoders.revision
    assert second.transcoders.fingerprint != first.transcoders.fingerprint
    assert second.fingerprint(GENERAL) != first.fingerprint(GENERAL)
    changed = load_transcoders(second)
    stored = load_transcoders(first)
    pairs = zip(changed[1].state_dict().values(), stored[1].state_dict().values(), strict=True)
    assert not all(torch.equal(new, old) for new, old in pairs)


def test_a_folder_here_may_name_files_on_the_hub(
    hub: HubServer, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    upload_subject(hub, checkpoint)
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "config.yaml").write_bytes(
        hub.files("some/set", str(hub.commit("some/set", "main")))["config.yaml"]
    )
    manifest = checkpoint.manifest(transcoders=str(folder))
    assert models.commits(manifest) == [("some/layers@main", hub.commit("some/layers", "main"))]
    assert manifest.transcoders.revision is None
    assert manifest.transcoders.repositories == {"some/layers@main": hub.commit("some/layers", "main")}
    text = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(text.replace("revision=main", "revision=v2"))
    with pytest.raises(UserError, match=r"was not named when the models were looked at; run `dvc repro`"):
        load_transcoders(manifest)
    for wrong in ("hf://some", "hf:///x", "hf://some/layers", "hf://a/b/../../c.safetensors", "hf://[/a/b"):
        (folder / "config.yaml").write_text(re.sub(r"hf://\S+", wrong, text))
        with pytest.raises(UserError, match=r"is no address of a file on the hub; write `hf://owner/name"):
            checkpoint.manifest(transcoders=str(folder))


def test_gemma_scope_lists_arrays_of_another_repository(hub: HubServer, checkpoint: Checkpoint) -> None:
    config = yaml.safe_load((checkpoint.transcoders / "config.yaml").read_text())
    config["transcoders"] = [f"hf://google/scope/layer_{i}/params.npz?revision=v1" for i in range(3)]
    hub.upload("mntss/gemma-scope-transcoders", {"config.yaml": yaml.safe_dump(config).encode()})
    arrays = {}
    for layer in range(3):
        stored = load_file(checkpoint.transcoders / f"layer_{layer}.safetensors")
        threshold = stored.pop("activation_function.threshold")
        written = io.BytesIO()
        np.savez(written, **(stored | {"W_enc": stored["W_enc"].T, "threshold": threshold}))
        arrays[f"layer_{layer}/params.npz"] = written.getvalue()
    commit = hub.upload("google/scope", arrays, branch="v1")
    manifest = checkpoint.manifest(transcoders="mntss/gemma-scope-transcoders")
    assert manifest.transcoders.repositories == {"google/scope@v1": commit}
    found, expected = load_transcoders(manifest), load_transcoders(checkpoint.manifest())
    x = torch.randn(3, 5, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(found.encode(x), expected.encode(x))


def test_manifests_of_the_version_before_are_read(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "models.json"
    write_manifest(path, checkpoint.manifest())
    document = json.loads(path.read_text())
    del document["transcoders"]["repositories"]
    path.write_text(json.dumps(document | {"format_version": 1}))
    assert read_manifest(path) == checkpoint.manifest()
