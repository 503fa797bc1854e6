"""What circuit-tracer writes is read, whatever a graph holds; no file costs more than it holds."""

import io
import os
import pickle  # noqa: TID251  read by nobody: it writes what is to be refused
import pickletools
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from circuit_tracer.attribution.targets import LogitTarget
from circuit_tracer.graph import Graph
from circuit_tracer.utils.tl_nnsight_mapping import UnifiedConfig

from pipeline.exchange.conversion import content_digest
from pipeline.exchange.pt_archive import RefusedError
from pipeline.exchange.pt_pickle import read_pickle
from pipeline.exchange.safe_pt import read_graph
from store.base.errors import UserError
from tests.support.pt_files import bounded_memory, small_graph, written

MANY = 400


def with_targets(targets: list[LogitTarget]) -> Graph:
    """A graph of so many logits."""
    adjacency = torch.zeros(8 + len(targets), 8 + len(targets))
    adjacency[-1, 0] = 1.0
    probabilities = torch.rand(len(targets))
    return small_graph(logit_targets=targets, adjacency_matrix=adjacency, logit_probabilities=probabilities)


def configured(**entries: Any) -> Graph:
    """A graph of another model."""
    graph = small_graph()
    return small_graph(cfg=UnifiedConfig(**vars(graph.cfg) | entries))


WRITTEN: dict[str, Callable[[], Graph]] = {
    "as traced": small_graph,
    "no scan": lambda: small_graph(scan=None),
    "one transcoder of its own": lambda: small_graph(scan=["one/set"]),
    "a set of two": lambda: small_graph(scan=["one/set", "another/set"]),
    "no dtype": lambda: configured(dtype=None),
    "a dtype's name": lambda: configured(dtype="float32"),
    "bfloat16": lambda: configured(dtype=torch.bfloat16),
    "float16": lambda: configured(dtype=torch.float16),
    "no key and value heads": lambda: configured(n_key_value_heads=None),
    "sizes of two and four bytes": lambda: configured(d_model=4096, d_mlp=2**20),
    "a large vocabulary": lambda: small_graph(vocab_size=262_144),
    "no text": lambda: small_graph(input_string=""),
    "a long text": lambda: small_graph(input_string="日本語 🙂\n" * 5000),
    "half a character in its text": lambda: small_graph(input_string="\ud83d"),
    "custom targets": lambda: with_targets([LogitTarget("cats - dogs", 100), LogitTarget("", 101)]),
    "many targets": lambda: with_targets([LogitTarget(f" word{n}", n * 70) for n in range(MANY)]),
    "one target again and again": lambda: with_targets([LogitTarget("a", 3)] * MANY),
    "activations in bfloat16": lambda: small_graph(activation_values=torch.tensor([0.5, 1.0]).bfloat16()),
    "probabilities in float16": lambda: small_graph(logit_probabilities=torch.tensor([0.5]).half()),
    "gradients": lambda: small_graph(logit_probabilities=torch.tensor([0.5], requires_grad=True)),
    "a part of a tensor": lambda: small_graph(activation_values=torch.arange(1.0, 9.0)[3:7:2]),
    "one of many": lambda: small_graph(logit_probabilities=torch.arange(1.0, 9.0)[3::8]),
    "two of one tensor": lambda: (lambda one: small_graph(input_tokens=one, selected_features=one))(
        torch.tensor([0, 1])
    ),
    "targets as a tensor": lambda: small_graph(logit_targets=torch.tensor([7])),
}


@pytest.mark.parametrize("which", WRITTEN)
def test_what_circuit_tracer_writes_is_read(tmp_path: Path, which: str) -> None:
    path = tmp_path / "graph.pt"
    path.write_bytes(written(WRITTEN[which]()))
    found, wanted = read_graph(path), Graph.from_pt(str(path))
    assert content_digest(found) == content_digest(wanted)
    assert not any(each.requires_grad for each in vars(found).values() if isinstance(each, torch.Tensor))


def test_no_instruction_is_followed_that_circuit_tracer_never_writes() -> None:
    seen = {"BININT", "LONG_BINGET", "LONG_BINPUT"}  # of graphs larger than these
    for each in WRITTEN.values():
        with zipfile.ZipFile(io.BytesIO(written(each()))) as archive:
            (name,) = [name for name in archive.namelist() if name.endswith("data.pkl")]
            seen |= {code.name for code, _, _ in pickletools.genops(archive.read(name))}
    for code in pickletools.opcodes:
        argument = (
            b"" if code.arg is None else {"I": b"00\n", "L": b"0L\n"}.get(code.code, b"0" * 8 + b"\n0\n")
        )
        if code.name not in seen and code.arg not in (pickletools.stringnl, pickletools.unicodestring8):
            with pytest.raises(RefusedError, match=rf"the instruction {code.name}|damaged"):
                read_pickle(b"\x80\x02(]" + code.code.encode("latin-1") + argument + b"l.")


def archive_of(content: bytes, **records: bytes) -> bytes:
    """An archive as torch lays it out, around a pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        for name, record in records.items():
            archive.writestr(f"archive/data/{name}", record)
    return file.getvalue()


def nested(depth: int = 60) -> bytes:
    """A pair of twice the same pair, and so on: whoever looks at all of it never ends."""
    return b")" + b"q\0h\0\x86" * depth


def tensor(record: bytes, storage: bytes = b"ctorch\nFloatStorage\n", count: bytes = b"K\x01") -> bytes:
    """Instructions for a tensor of one number."""
    hooks = b"ccollections\nOrderedDict\n)R"
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storage" + storage + b"X\x01\0\0\0" + record
        + b"X\x03\0\0\0cpu" + count + b"tQK\0K\x01\x85K\x01\x85\x89" + hooks + b"tR"
    )  # fmt: skip


class Bytes:
    """Two gigabytes of zeros when it is unpickled, even by torch's own restricted reader."""

    def __reduce__(self) -> Any:
        return bytearray, (2**31,)


BOMBS: dict[str, Callable[[], bytes]] = {
    "two gigabytes": lambda: archive_of(pickle.dumps(Bytes(), 2)),
    "two gigabytes in an entry": lambda: archive_of(pickle.dumps({"scan": Bytes()}, 2)),
    "a key without end": lambda: archive_of(b"\x80\x02}(" + nested() + b"Nu."),
    "a storage without end": lambda: archive_of(b"\x80\x02" + tensor(b"0", storage=nested()) + b"."),
    "a target without end": lambda: archive_of(
        b"\x80\x02ccircuit_tracer.attribution.targets\nLogitTarget\n" + nested() + b"\x81."
    ),
    "a list of itself": lambda: archive_of(b"\x80\x02]q\0h\0a."),
    "four million lists": lambda: archive_of(b"\x80\x02(" + b"]" * (2**22 - 4) + b"l."),
    "a pickle too long": lambda: archive_of(b"\x80\x02" + b"N" * 2**22 + b"."),
    "numbers that are not there": lambda: archive_of(b"\x80\x02" + tensor(b"7") + b"."),
    "a text of four gigabytes": lambda: archive_of(b"\x80\x02X\xff\xff\xff\xffabc."),
    "nothing": lambda: archive_of(b""),
    "no end": lambda: archive_of(b"\x80\x02N"),
}


@pytest.mark.parametrize("which", BOMBS)
def test_a_file_costs_no_more_than_it_holds(tmp_path: Path, which: str) -> None:
    path = tmp_path / "bomb.pt"
    path.write_bytes(BOMBS[which]())
    with bounded_memory(), pytest.raises(UserError, match=r"^[^\n]+ was not read: [^\n]+\.$"):
        read_graph(path)


@pytest.mark.parametrize("count", [b"\x8a\x05\0\0\0\0\x01", b"Kp", b"KR"], ids=["2^32", "112", "82"])
def test_a_tensor_holds_as_many_numbers_as_its_record(tmp_path: Path, count: bytes) -> None:
    path, file, last = tmp_path / "claims.pt", io.BytesIO(), b"cpuq\x08"
    with (
        zipfile.ZipFile(io.BytesIO(written(small_graph()))) as sound,
        zipfile.ZipFile(file, "w") as archive,
    ):
        for name in sound.namelist():
            # The adjacency's 81 numbers are the first count.
            archive.writestr(name, sound.read(name).replace(last + b"KQ", last + count))
    path.write_bytes(file.getvalue())
    with bounded_memory(), pytest.raises(UserError, match="longer or shorter than its numbers"):
        read_graph(path)


def test_a_directory_of_too_many_records_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "many.pt"
    path.write_bytes(archive_of(b"N.", **{str(number): b"" for number in range(30_000)}))
    with pytest.raises(UserError, match="it is no archive of torch's"):
        read_graph(path)


def test_a_record_far_beyond_the_file(tmp_path: Path) -> None:
    content = bytearray(written(small_graph()))
    end = content.rindex(b"PK\x06\x06")
    content[end + 48 : end + 56] = (2**64 - 1).to_bytes(8, "little")  # where the directory is
    (tmp_path / "far.pt").write_bytes(content)
    with pytest.raises(UserError, match=r"far.pt was not read: [^\n]+\.$"):
        read_graph(tmp_path / "far.pt")


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pt")
    for path in (tmp_path / "pipe.pt", tmp_path, Path("/dev/zero")):
        with pytest.raises(UserError, match="it is no file"):
            read_graph(path)
