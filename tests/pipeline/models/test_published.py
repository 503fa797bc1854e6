"""Publishing model folders: a full disk is told as one, whatever the library's words."""

import errno
from pathlib import Path

import pytest
from safetensors import SafetensorError

from pipeline.models.published import published


@pytest.mark.parametrize(
    "error",
    [
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
        Exception("No space left on device (os error 28)"),
        Exception("Disk quota exceeded (os error 122)"),
    ],
)
def test_a_full_disk_is_an_os_error(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(OSError, match="No space left on device") as caught, published(tmp_path / "base"):
        raise error
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(tmp_path / "base")
    assert caught.value.__cause__ is error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "error",
    [
        SafetensorError("Error while serializing: I/O error: Permission denied (os error 13)"),
        SafetensorError("Error while serializing: (os error 281)"),
        Exception("something else"),
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        ValueError("a bug"),
        KeyboardInterrupt(),
    ],
)
def test_anything_else_passes_unchanged(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, published(tmp_path / "base"):
        raise error
    assert caught.value is error
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_published_readable(tmp_path: Path) -> None:
    with published(tmp_path / "base") as aside:
        (aside / "part").mkdir(mode=0o700)
        (aside / "part" / "weights").touch(mode=0o600)
    assert (tmp_path / "base" / "part").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "base" / "part" / "weights").stat().st_mode & 0o777 == 0o644
