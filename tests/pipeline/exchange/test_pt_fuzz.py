"""Three hundred files that somebody has been at: each is a graph, or refused in one sentence."""

import io
import json
import pickletools
import random
import re
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch
from circuit_tracer.attribution.targets import LogitTarget
from circuit_tracer.graph import Graph

from pipeline.exchange.conversion import content_digest
from pipeline.exchange.graph_metadata import facts_of_graph
from pipeline.exchange.safe_pt import read_graph
from store.base.errors import UserError
from tests.support.pt_files import bounded_memory, small_graph, written

FILES = 300
Records = list[tuple[str, bytes]]
NUMBERS = (0, 1, -1, 2, 255, 2**16, 2**31 - 1, 2**31, -(2**31), 2**62, 2**63, -(2**63), 10**400)
NAMES = (
    b"cposix\nsystem\n",
    b"c__builtin__\nbytearray\n",
    b"ctorch\nfloat64\n",
    b"ctorch\nDoubleStorage\n",
    b"ctorch\nFloatStorage\n",
    b"ccollections\nOrderedDict\n",
    b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"ccircuit_tracer.attribution.targets\nLogitTarget\n",
    b"ccircuit_tracer.utils.tl_nnsight_mapping\nUnifiedConfig\n",
)
SNIPPETS = (
    *(code.code.encode("latin-1") for code in pickletools.opcodes),
    *NAMES,
    b"c__builtin__\nbytearray\n\x8a\x05\0\0\0\0\x01\x85R",
    b")" + b"q\xffh\xff\x86" * 50,
    b"X\xff\xff\xff\x7f",
    b"X\x03\0\0\0\xed\xa0\xbd",
    b"\x8b\xff\xff\xff\x7f",
    b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"I" + b"9" * 5000 + b"\n",
    b"h\xfe",
    b"j\xff\xff\xff\x7f",
    b"r\xff\xff\xff\x7f",
)


def records_of(content: bytes) -> Records:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def packed(records: Records, kind: int = zipfile.ZIP_STORED) -> bytes:
    """An archive whose checksums are right."""
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", kind) as archive:
        warnings.simplefilter("ignore")  # a name that comes twice
        for name, record in records:
            archive.writestr(name, record)
    return file.getvalue()


def number(value: int) -> bytes:
    """The instruction for a number."""
    content = value.to_bytes((value.bit_length() + 8) // 8, "little", signed=True)
    return b"\x8a" + bytes([len(content)]) + content


def bytes_anywhere(chance: random.Random, content: bytes) -> bytes:
    altered = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        # The directory, at the end, is as likely as all the rest.
        place = chance.randrange(len(altered)) if chance.random() < 0.5 else -chance.randint(1, 1500)
        altered[place] = chance.choice((0, 1, 0x7F, 0xFF, altered[place] ^ 1 << chance.randrange(8)))
    return bytes(altered)


def length(chance: random.Random, content: bytes) -> bytes:
    place = chance.randrange(len(content))
    rest = chance.choice((b"", bytes(64), content[place // 2 :], chance.randbytes(100)))
    return chance.choice((content[:place] + rest, rest + content, content + rest))


def bytes_of_pickle(chance: random.Random, content: bytes) -> bytes:
    def alter(pickle: bytes) -> bytes:
        altered = bytearray(pickle)
        for _ in range(chance.randint(1, 3)):
            altered[chance.randrange(len(altered))] = chance.randrange(256)
        return bytes(altered)

    return with_pickle(content, alter)


def instructions(chance: random.Random, content: bytes) -> bytes:
    def alter(pickle: bytes) -> bytes:
        starts = [place for _, _, place in pickletools.genops(pickle)]
        codes = [pickle[a:b] for a, b in zip(starts, [*starts[1:], len(pickle)], strict=True)]
        for _ in range(chance.randint(1, 3)):
            place = chance.randrange(len(codes))
            code = codes[place][:1]
            if code in b"KMJ\x8a" and chance.random() < 0.8:
                codes[place] = number(chance.choice(NUMBERS))
            elif code == b"c" and chance.random() < 0.8:
                codes[place] = chance.choice(NAMES)
            else:
                other = chance.choice((chance.choice(SNIPPETS), chance.choice(codes), b""))
                codes[place : place + chance.randint(0, 1)] = [other]
        return b"".join(codes)

    return with_pickle(content, alter)


def with_pickle(content: bytes, alter: Callable[[bytes], bytes]) -> bytes:
    return packed(
        [
            (name, alter(record) if name.endswith("data.pkl") else record)
            for name, record in records_of(content)
        ]
    )


def members(chance: random.Random, content: bytes) -> bytes:
    records = records_of(content)
    place = chance.randrange(len(records))
    name, record = records[place]
    other = chance.choice(records)
    records[place : place + 1] = chance.choice(
        (
            [],
            [(name, record), (name, other[1])],
            [(chance.choice(("x", "/", "../" + name, "x/" + name, name + "\n\x1b[2K")), record)],
            [(name, b"")],
            [(name, record + bytes(chance.randint(1, 9)))],
            [(name, record[:-1])],
            [(name, other[1])],
            [(name, chance.randbytes(len(record)))],
            [(name, record), ("archive/data/99", bytes(1000))],
            [(name, bytes(2**16))],
        )
    )
    return packed(records, chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))


def directory(chance: random.Random, content: bytes) -> bytes:
    """Other claims in the directory: sizes, flags, places, kinds."""
    altered = bytearray(content)
    heads = [match.start() for match in re.finditer(rb"PK\x01\x02|PK\x03\x04|PK\x05\x06|PK\x06\x06", content)]
    place = chance.choice(heads) + chance.randrange(4, 46, 2)
    value = chance.choice((0, 1, 8, 12, 99, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF))
    size = chance.choice("HI")
    altered[place : place + struct.calcsize(size)] = struct.pack(
        "<" + size, value & (2**16 - 1 | -(size == "I"))
    )
    return bytes(altered)


MUTATIONS = (bytes_anywhere, length, bytes_of_pickle, instructions, instructions, members, directory)


def bases() -> list[bytes]:
    targets = [LogitTarget(token_str=f" {n}", vocab_idx=n) for n in range(40)]
    adjacency = torch.zeros(48, 48)
    adjacency[-1, 0] = 1.0
    many = {
        "logit_targets": targets,
        "logit_probabilities": torch.full((40,), 0.025),
        "adjacency_matrix": adjacency,
    }
    graphs = (small_graph(), small_graph(scan=["a", "b"]), small_graph(**many), small_graph(vocab_size=2**17))
    return [written(graph) for graph in graphs]


def is_sound(graph: Graph) -> bool:
    """Whether what comes after reading takes it."""
    json.dumps(facts_of_graph(graph).as_json()).encode("ascii")
    return len(content_digest(graph)) == 64


def test_every_file_is_a_graph_or_refused_in_one_sentence(tmp_path: Path) -> None:
    chance = random.Random(0)
    originals, path = bases(), tmp_path / "theirs.pt"
    said: set[str] = set()
    for each in range(FILES):
        mutation = chance.choice(MUTATIONS)
        content = mutation(chance, chance.choice(originals))
        path.write_bytes(content)
        try:
            with bounded_memory(2**29):
                graph = read_graph(path)
        except UserError as error:
            sentence = str(error)
            assert re.fullmatch(rf"{re.escape(str(path))} was not read: [^\n]+\.", sentence), sentence
            assert sentence.isprintable(), (each, mutation.__name__)
            said.add(sentence)
        except Exception as error:
            error.add_note(f"file {each}, made by {mutation.__name__}")
            raise
        else:
            assert is_sound(graph), (each, mutation.__name__)
    assert len(said) > 30, "all of the reader's checks are met"
