"""Folders of model files, published whole and readable by the team."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from store.atomic import published_folder


@contextmanager
def published(folder: Path) -> Iterator[Path]:
    """Like `store.atomic.published_folder`, for libraries that create private files."""
    with published_folder(folder) as aside:
        yield aside
        for path in aside.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
