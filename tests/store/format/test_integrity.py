"""Every kind of damage is found, and errors say which array and which prompt it hits."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from store import DamagedArtifactError, UnknownFormatError, open_collection, open_dataset
from store.__main__ import main
from store.base.errors import ArtifactMissingError
from store.collections.writer import partition_of, write_collection
from store.datasets.groups import write_dataset
from store.format.chunks import CHUNK_ELEMENTS
from store.format.integrity import find_artifacts, verify
from store.schema.activations import ACTIVATIONS
from store.schema.graphs import GRAPHS
from store.schema.rates import RATES
from store.schema.specs import FORMAT_VERSION
from tests.support.places import ROOT
from tests.support.random_items import make_groups, make_item, make_items


@pytest.fixture
def activations(tmp_path) -> Path:
    path = tmp_path / "activations"
    write_collection(path, ACTIVATIONS, make_items(ACTIVATIONS, 3), provenance={"a": 1})
    return path


@pytest.fixture
def rates(tmp_path) -> Path:
    path = tmp_path / "rates"
    write_dataset(path, RATES, make_groups(RATES), provenance={})
    return path


def _files(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file())


def _read_all(path: Path) -> None:
    if path.name == "activations":
        collection = open_collection(path)
        assert len(collection.index) > 0
        list(collection.items())
    else:
        for group in RATES.groups:
            open_dataset(path, group).compute()


@pytest.mark.parametrize("kind", ["activations", "rates"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "delete"])
def test_damage_to_any_file_is_found(request, kind, damage) -> None:
    path = request.getfixturevalue(kind)
    random = np.random.default_rng(0)
    assert verify(path) == []
    for file in _files(path):
        whole = file.read_bytes()
        broken = bytearray(whole)
        broken[random.integers(len(whole))] ^= 1 << int(random.integers(8))
        content = {"flip": bytes(broken), "truncate": whole[:-1], "empty": b""}.get(damage)
        if content is None:
            file.unlink()
        else:
            file.write_bytes(content)
        lines = _verified(path)
        assert lines, file
        # The line names the array that was hit, unless the root itself was.
        part = file.relative_to(path).parts
        assert len(part) < 3 or any(part[1] in line for line in lines), (file, lines)
        with pytest.raises((DamagedArtifactError, UnknownFormatError)):
            _read_all(path)
        file.write_bytes(whole)
    assert verify(path) == []


def _verified(path: Path) -> list[str]:
    try:
        return verify(path)
    except UnknownFormatError as error:  # a flip in the version's own digits
        return [str(error)]


def test_a_file_too_many_is_found(activations) -> None:
    (activations / "index" / "stray").write_text("?")
    (activations / "more").mkdir()
    (activations / "more" / "zarr.json").write_text("{}")
    lines = verify(activations)
    assert len(lines) == 2
    assert all("no part of the artifact" in line for line in lines)


def test_errors_name_array_and_prompt_and_leave_others_readable(tmp_path) -> None:
    items = [
        make_item(GRAPHS, prompt, "base", seed=seed, lengths={"edge": CHUNK_ELEMENTS})
        for seed, prompt in enumerate(["a00000000000", "a10000000000", "c00000000000"])
    ]
    path = tmp_path / "graphs"
    write_collection(path, GRAPHS, items, provenance={})
    shard = next(file for file in (path / "101" / "edge_weight").iterdir() if file.name != "zarr.json")
    content = bytearray(shard.read_bytes())
    content[100] ^= 1  # in the first of two chunks
    shard.write_bytes(content)
    collection = open_collection(path)
    with pytest.raises(DamagedArtifactError, match=r"edge_weight .*prompt a00000000000, base.*dvc"):
        collection.item("a00000000000", "base")
    collection.item("a10000000000", "base")
    collection.item("c00000000000", "base")
    (line,) = verify(path)
    assert "edge_weight" in line
    assert line.endswith("of prompt a00000000000")
    shard.unlink()
    with pytest.raises(DamagedArtifactError, match=r"edge_weight .*prompt a10000000000.*missing"):
        open_collection(path).item("a10000000000", "base")
    (line,) = verify(path)
    assert line.endswith("is missing: array edge_weight of prompts a00000000000, a10000000000")


def test_a_dataset_names_array_and_file(rates) -> None:
    chunk = next(file for file in (rates / "rates" / "low").iterdir() if file.name != "zarr.json")
    whole = chunk.read_bytes()
    chunk.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    found = open_dataset(rates, "rates")
    found["rate"].compute()
    with pytest.raises(DamagedArtifactError, match=r"array low of .*rates.* is altered"):
        found["low"].compute()


def test_another_version_says_what_to_do(activations) -> None:
    root = activations / "zarr.json"
    document = json.loads(root.read_text())
    document["attributes"]["format_version"] = 99
    root.write_text(json.dumps(document))
    reads = f"this code reads 1 to {FORMAT_VERSION}"
    for read in (open_collection, verify):
        with pytest.raises(UnknownFormatError, match=rf"version 99, {reads}; run `dvc repro`"):
            read(activations)


def test_what_is_no_artifact_is_said_to_be_none(tmp_path) -> None:
    with pytest.raises(ArtifactMissingError):
        verify(tmp_path / "nothing")
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ArtifactMissingError):
        open_collection(tmp_path / "file")


def test_the_command_finds_every_damaged_artifact(tmp_path, activations, rates, capsys) -> None:
    (tmp_path / "models.json").write_text("{}")
    assert find_artifacts(tmp_path) == [activations, rates]
    assert main(["verify", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{activations}: ok\n{rates}: ok\n"
    (rates / "zarr.json").unlink()
    victim = open_collection(activations).prompts()[0]
    next((activations / partition_of(victim, 3) / "value").glob("c*")).unlink()
    assert main(["verify", str(activations), str(rates)]) == 1
    out = capsys.readouterr().out
    assert f"{rates}: damaged" in out
    assert f"array value of prompt {victim}" in out
    assert main(["verify", str(tmp_path / "nothing")]) == 2
    assert "dvc repro" in capsys.readouterr().err


def test_the_command_lists(activations, rates, capsys) -> None:
    assert main(["list", str(activations)]) == 0
    prompt = open_collection(activations).prompts()[0]
    assert capsys.readouterr().out.splitlines()[0] == f"{prompt} base general@1.0"
    assert main(["list", str(rates)]) == 0
    assert capsys.readouterr().out.split() == ["rates", "situations"]
    assert main(["list", str(rates / "nothing")]) == 2


def test_the_command_runs_as_a_module(activations) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "store", "verify", str(activations)],
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{activations}: ok\n", "")
