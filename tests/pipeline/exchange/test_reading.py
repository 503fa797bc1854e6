"""Files of unknown origin: whatever is wrong is refused in one sentence, and nothing is run."""

import copy
import io
import zipfile
from pathlib import Path

import pytest
import torch
from circuit_tracer.attribution.targets import LogitTarget
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.exchange.__main__ import main
from pipeline.exchange.conversion import content_digest
from pipeline.exchange.safe_pt import read_graph
from store.base.errors import UserError
from tests.support.exchange_project import PROFILE, Project
from tests.support.pt_files import Malicious, bytes_of, content_of, refused


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
