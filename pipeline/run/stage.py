"""The thin edge around every stage: arguments, checksums, and errors in one sentence."""

import argparse
import atexit
import errno
import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Final, TypeVar

from pipeline.params.reading import read_params
from pipeline.params.training import TrainingParams
from pipeline.run.code_digest import require_listed_code
from pipeline.run.memory import keep_freed_memory
from pipeline.run.outs import outs_of
from pipeline.run.progress import announced
from store.base.checksums import remove_checksums, write_checksums
from store.base.errors import StoreError, UserError
from store.base.plain_arrays import only_plain_arrays

CACHE: Final = Path(".cache/items")
"""Finished items by kind; git-ignored, refilled from pulled stores, safe to delete."""

Read = TypeVar("Read", bound=TrainingParams)


def artifacts(profile: str) -> Path:
    """Folder of a profile's artifacts, relative to the project's root."""
    return Path("artifacts") / profile


@contextmanager
def _as_stage(program: ModuleSpec | None, profile: str) -> Iterator[None]:
    """Say what a stage of ``dvc.yaml`` is at, and put what it writes under checksums, if it succeeds."""
    stage = "" if program is None else program.name.rpartition(".")[2]
    outs = outs_of(Path(), stage, profile)
    if not outs:
        yield
        return
    if stage != "code":  # which lists it anew
        require_listed_code(Path(), artifacts(profile) / "code" / f"{stage}.txt")
    with announced(stage, profile):
        remove_checksums(artifacts(profile), stage)
        yield
        write_checksums(artifacts(profile), stage, outs)


def run_stage(main: Callable[[str, Read], None], model: type[Read]) -> None:
    """Run a stage's `main(profile, params)` as a program.

    The model says which of ``params.yaml`` is read and checked: all of it (`Params`), or what
    training needs. It is the caller's to import, so a stage depends on no section it ignores.

    What a user can mend ends in one sentence and exit code 1; anything else is a bug and
    keeps its traceback. Ctrl-C ends with 130; finished items are in the cache.
    """
    parser = argparse.ArgumentParser(description=sys.modules[main.__module__].__doc__)
    parser.add_argument("profile", help="a profile of params.yaml")
    profile = parser.parse_args().profile
    keep_freed_memory()
    if "xarray" in sys.modules:
        only_plain_arrays()
    # The last collection, as the interpreter ends, would walk all of torch, which takes a second.
    atexit.register(gc.freeze)
    try:
        params = read_params(Path("params.yaml"), model)
        params.require(profile)
        with _as_stage(main.__globals__.get("__spec__"), profile):
            main(profile, params)
    except (UserError, StoreError) as error:
        sys.exit(f"Error: {error}")
    except KeyboardInterrupt:
        print("Interrupted; what was finished is kept, run it again to go on.", file=sys.stderr)
        sys.exit(130)
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        sys.exit("Error: the disk is full; free some space and run again, what was finished is kept.")
