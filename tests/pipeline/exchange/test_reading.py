"""Files of unknown origin: whatever is wrong is refused in one sentence, and nothing is run."""

import copy
import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from circuit_tracer.attribution.targets import LogitTarget
from circuit_tracer.utils.tl_nnsight_mapping import UnifiedConfig
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.exchange.__main__ import main
from pipeline.exchange.conversion import content_digest
from pipeline.exchange.safe_pt import read_graph
from store.base.errors import UserError
from tests.support.exchange_project import PROFILE, Project

Content = dict[str, Any]


class Malicious:
    """Runs a command when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


def content_of(project: Project) -> Content:
    """What a sound file of the base's graph holds; tensors are copies."""
    graph = project.graph("base")
    content = {name: value for name, value in vars(graph).items() if name != "n_pos"}
    content["cfg"] = UnifiedConfig(**vars(graph.cfg))
    return {
        name: value.clone() if isinstance(value, torch.Tensor) else value for name, value in content.items()
    }


def bytes_of(content: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def refused(project: Project, content: bytes, capsys: pytest.CaptureFixture[str]) -> str:
    """Import a file through the command, which must refuse it; returns its one sentence."""
    path = project.root / "theirs.pt"
    path.write_bytes(content)
    assert main(["import", str(path), "--profile", PROFILE]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("Error: ")
    assert said.err.count("\n") == 1
    assert not (project.root / "artifacts" / PROFILE / "imported").exists()
    return said.err


@pytest.fixture
def sound(project: Project) -> Path:
    """A file that nothing is wrong with."""
    path = project.root / "sound.pt"
    path.write_bytes(bytes_of(content_of(project)))
    return path


def test_a_sound_file_is_read(project: Project, sound: Path) -> None:
    assert content_digest(read_graph(sound)) == content_digest(project.graph("base"))


@pytest.mark.parametrize("where", ["alone", "beside", "in cfg", "in targets"])
def test_code_in_a_file_is_never_run(
    project: Project, capsys: pytest.CaptureFixture[str], where: str
) -> None:
    marker = project.root / "pwned"
    bad, content = Malicious(marker), content_of(project)
    if where == "in cfg":
        content["cfg"].model_name = bad
    elif where == "in targets":
        content["logit_targets"] = [LogitTarget(token_str="a", vocab_idx=bad)]  # type: ignore[arg-type]
    else:
        content["more"] = bad
    said = refused(project, bytes_of(bad if where == "alone" else content), capsys)
    assert "`posix.system`" in said
    assert not marker.exists()
    torch.load(project.root / "theirs.pt", weights_only=False)  # the file does what it threatens
    assert marker.exists()


def test_code_is_not_run_even_if_nobody_looked_for_it(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.serialization, "get_unsafe_globals_in_checkpoint", lambda path: [])
    marker = project.root / "pwned"
    said = refused(project, bytes_of(content_of(project) | {"more": Malicious(marker)}), capsys)
    assert "weights_only" not in said  # torch's own message advises to switch that off
    assert not marker.exists()


def test_a_bare_pickle_is_no_archive(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    file = io.BytesIO()
    torch.save(Malicious(project.root / "pwned"), file, _use_new_zipfile_serialization=False)
    assert "no archive of torch's" in refused(project, file.getvalue(), capsys)
    assert not (project.root / "pwned").exists()


def test_a_compressed_archive_is_refused_before_it_unfolds(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    file = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(bytes_of(content_of(project)))) as sound,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for name in sound.namelist():
            archive.writestr(name, sound.read(name))
    assert "compressed" in refused(project, file.getvalue(), capsys)


def test_records_that_share_their_bytes(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    file = io.BytesIO(bytes_of(content_of(project)))
    with zipfile.ZipFile(file, "a") as archive:
        first = archive.infolist()[0]
        for number in range(500):
            again = copy.copy(first)
            again.filename = f"archive/data/{number + 100}"
            archive.filelist.append(again)
        archive._didModify = True  # type: ignore[attr-defined]
    assert "more than it is long" in refused(project, file.getvalue(), capsys)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_file(project: Project, capsys: pytest.CaptureFixture[str], share: float) -> None:
    whole = bytes_of(content_of(project))
    assert "truncated" in refused(project, whole[: int(share * len(whole))], capsys)


def test_a_flipped_bit(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    # torch.load itself hands out the other number.
    content = content_of(project)
    damaged = bytearray(bytes_of(content))
    at = damaged.index(content["adjacency_matrix"].numpy().tobytes()[:64])
    damaged[at + 2] ^= 1
    assert "is damaged" in refused(project, bytes(damaged), capsys)


def test_a_file_that_is_not_there(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "nowhere.pt", "--profile", PROFILE]) == 1
    assert "nowhere.pt does not exist" in capsys.readouterr().err


def change(name: str, make: Callable[[Any], Any]) -> Callable[[Content], None]:
    """Put something else in the place of an entry."""

    def apply(content: Content) -> None:
        content[name] = make(content[name])

    return apply


def set_at(name: str, where: Any, value: Any) -> Callable[[Content], None]:
    """Put a value into a tensor."""

    def apply(content: Content) -> None:
        content[name][where] = value

    return apply


def sizes(content: Content) -> tuple[int, int, int, int]:
    """Features, layers, positions, logits."""
    return (
        len(content["selected_features"]),
        content["cfg"].n_layers,
        len(content["input_tokens"]),
        len(content["logit_targets"]),
    )


def edge(target: str, source: str) -> Callable[[Content], None]:
    """An edge between two kinds of nodes."""

    def apply(content: Content) -> None:
        features, layers, positions, _ = sizes(content)
        layer = content["active_features"][content["selected_features"], 0]
        nodes = {
            "low": int((layer == 0).nonzero()[0]),
            "low too": int((layer == 0).nonzero()[1]),
            "high": int((layer == layers - 1).nonzero()[0]),
            "error": features + (layers - 1) * positions,
            "token": features + layers * positions,
            "logit": -1,
        }
        content["adjacency_matrix"][nodes[target], nodes[source]] = 1.0

    return apply


def configured(**values: Any) -> Callable[[Content], None]:
    """Other entries of the model's configuration."""

    def apply(content: Content) -> None:
        for name, value in values.items():
            setattr(content["cfg"], name, value)

    return apply


def without(name: str) -> Callable[[Content], None]:
    """An entry missing."""

    def apply(content: Content) -> None:
        del content[name]

    return apply


def more(content: Content) -> None:
    """An entry that nobody knows."""
    content["notes"] = "mine"


CONTRADICTIONS: dict[str, tuple[Callable[[Content], None], str]] = {
    "no scan": (without("scan"), "it has no scan"),
    "an unknown entry": (more, "notes, which circuit-tracer 0.5.0 does not write"),
    "a list": (change("activation_values", torch.Tensor.tolist), "activation_values is no plain tensor"),
    "a huge tensor of one number": (
        change("adjacency_matrix", lambda _: torch.zeros(1).expand(10**6, 10**6)),
        "adjacency_matrix is no plain tensor",
    ),
    "a sparse tensor": (change("adjacency_matrix", torch.Tensor.to_sparse), "is no plain tensor"),
    "a tensor without data": (
        change("adjacency_matrix", lambda tensor: tensor.to("meta")),
        "is no plain tensor",
    ),
    "float64": (change("adjacency_matrix", torch.Tensor.double), "is float64 with 2 dims, not float32"),
    "int32": (change("input_tokens", torch.Tensor.int), "is int32 with 1 dims, not int64"),
    "dims": (change("input_tokens", lambda tensor: tensor[None]), "is int64 with 2 dims, not int64 with 1"),
    "text": (change("input_string", lambda _: 5), "input_string is no text"),
    "vocab_size": (change("vocab_size", float), "vocab_size no whole number"),
    "scan": (change("scan", lambda _: [1]), "scan is no name"),
    "targets": (change("logit_targets", lambda _: ["a"]), "logit_targets are not texts"),
    "a dict for cfg": (change("cfg", vars), "cfg is no model configuration"),
    "an entry more in cfg": (configured(extra=1), "cfg is no model configuration"),
    "negative layers": (configured(n_layers=-1), "cfg has a size"),
    "layers as text": (configured(n_layers="3"), "cfg has a size"),
    "another number of layers": (configured(n_layers=2), "but 60 features, 2 layers"),
    "adjacency not square": (change("adjacency_matrix", lambda tensor: tensor[1:]), "make "),
    "a probability less": (change("logit_probabilities", lambda tensor: tensor[1:]), "probabilities"),
    "an activation less": (change("activation_values", lambda tensor: tensor[1:]), "activations"),
    "no target": (change("logit_targets", lambda _: []), "no logit"),
    "two columns": (
        change("active_features", lambda tensor: tensor[:, :2]),
        "not layer, position and feature",
    ),
    "a layer too high": (set_at("active_features", (0, 0), 99), "a layer or at a position"),
    "a position too high": (set_at("active_features", (0, 1), 99), "a layer or at a position"),
    "a negative feature": (set_at("active_features", (0, 2), -1), "a layer or at a position"),
    "a feature twice": (
        change("active_features", lambda tensor: torch.cat([tensor[:1], tensor[:-1]])),
        "listed twice",
    ),
    "selected beyond": (set_at("selected_features", -1, 10**6), "in ascending order"),
    "selected out of order": (change("selected_features", lambda t: t.flip(0)), "in ascending order"),
    "selected twice": (
        change("selected_features", lambda tensor: torch.cat([tensor[:1], tensor[:-1]])),
        "in ascending order",
    ),
    "a negative token": (set_at("input_tokens", 0, -1), "token id is negative"),
    "NaN activation": (set_at("activation_values", 0, torch.nan), "an activation is NaN"),
    "zero activation": (set_at("activation_values", 0, 0.0), "or 0, which is not active"),
    "negative probability": (set_at("logit_probabilities", 0, -0.1), "a probability is negative"),
    "NaN edge": (set_at("adjacency_matrix", (-1, 0), torch.nan), r"to the logit of token \d+ is NaN"),
    "infinite edge": (set_at("adjacency_matrix", (-1, -2), torch.inf), "is NaN or infinite"),
    "downward": (edge("low", "high"), r"from feature L2/\d+ at position \d+ to feature L0"),
    "within a layer": (edge("low", "low too"), "does not lead upward"),
    "into an error": (edge("error", "low"), "to the error of layer 2 at position 0 does not lead upward"),
    "into a token": (edge("token", "low"), "to the token at position 0 does not lead upward"),
    "from a logit": (edge("logit", "logit"), "does not lead upward"),
    "of another model": (configured(d_model=64), "import it into the profile of its own model"),
    "of other transcoders": (set_at("active_features", (0, 2), 10**6), "of its own transcoders"),
    "a token of another model": (set_at("input_tokens", 1, 10**6), "has a token that profile tiny does not"),
}


@pytest.mark.parametrize("which", CONTRADICTIONS)
def test_a_graph_that_contradicts_itself(
    project: Project, capsys: pytest.CaptureFixture[str], which: str
) -> None:
    apply, message = CONTRADICTIONS[which]
    content = content_of(project)
    apply(content)
    said = refused(project, bytes_of(content), capsys)
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(said)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(
        # Names, directories and the pickle lie at both ends.
        st.tuples(st.integers(0, 4000) | st.integers(-4000, -1) | st.integers(), st.integers(0, 255)),
        min_size=1,
        max_size=3,
    )
)
def test_whatever_is_altered_the_graph_is_the_same_or_refused(
    sound: Path, changes: list[tuple[int, int]]
) -> None:
    content = bytearray(sound.read_bytes())
    for place, value in changes:
        content[place % len(content)] = value
    path = sound.with_name("altered.pt")
    path.write_bytes(content)
    try:
        graph = read_graph(path)
    except UserError:
        return
    assert content_digest(graph) == content_digest(read_graph(sound))
