"""What ``dvc.lock`` records of an out that is not in its place, from DVC's own cache."""

import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def recorded(out: Path) -> Iterator[Path | None]:
    """A copy of what is recorded of an out, inside of the block; None where it was never pulled."""
    if not _is_kept(out):
        yield None
        return
    # Imported here: seconds that only a stage with an empty cache needs to spend.
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException
    from dvc_data.index import DataIndexDirError

    aside = Path(tempfile.mkdtemp(prefix="refill-"))
    try:
        folder = aside / out.name
        try:
            filesystem = DVCFileSystem(str(Path.cwd()))
            if not filesystem.isdir(out.as_posix()):
                yield None
                return
            filesystem.get(out.as_posix(), str(folder), recursive=True)
        except (DvcException, DataIndexDirError, OSError, sqlite3.OperationalError):
            # Some of the objects were never pulled, or a `dvc` command is at its databases for
            # long: compute instead.
            yield None
            return
        yield folder
    finally:
        shutil.rmtree(aside)


def _is_kept(out: Path) -> bool:
    """Whether DVC's cache has the listing of an out: two files say it, DVC's index takes seconds."""
    try:
        lock = Path("dvc.lock").read_text(encoding="utf-8")
    except OSError:
        return False
    listings = re.findall(rf"- path: {re.escape(out.as_posix())}\n +hash: md5\n +md5: (\w+\.dir)\n", lock)
    if not listings:
        return False
    from dvc.config import Config, ConfigError

    try:
        place = Config(".dvc")["cache"].get("dir")
    except ConfigError:
        return False
    cache = Path(place or ".dvc/cache") / "files" / "md5"
    return any((cache / listing[:2] / listing[2:]).is_file() for listing in listings)
