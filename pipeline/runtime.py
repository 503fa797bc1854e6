"""The thin edge around every stage: arguments, seeds, threads, and errors in one sentence."""

import argparse
import errno
import os
import random
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pipeline.errors import UserError
from pipeline.params import Params, RuntimeParams, load_params
from store.errors import StoreError

CACHE: Final = Path(".cache/items")
"""Finished items by kind; git-ignored, refilled from pulled stores, safe to delete."""


def artifacts(profile: str) -> Path:
    """Folder of a profile's artifacts, relative to the project's root."""
    return Path("artifacts") / profile


def run_stage(main: Callable[[str, Params], None]) -> None:
    """Run a stage's `main(profile, params)` as a program.

    What a user can mend ends in one sentence and exit code 1; anything else is a bug and
    keeps its traceback. Ctrl-C ends with 130; finished items are in the cache.
    """
    parser = argparse.ArgumentParser(description=sys.modules[main.__module__].__doc__)
    parser.add_argument("profile", help="a profile of params.yaml")
    profile = parser.parse_args().profile
    try:
        params = load_params()
        params.profile(profile)
        make_deterministic(params.runtime)
        main(profile, params)
    except (UserError, StoreError) as error:
        sys.exit(f"Error: {error}")
    except KeyboardInterrupt:
        print("Interrupted; what was finished is kept, run it again to go on.", file=sys.stderr)
        sys.exit(130)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        sys.exit("Error: the disk is full; free some space and run again, what was finished is kept.")


def make_deterministic(runtime: RuntimeParams) -> None:
    """Fix seeds and thread counts, and refuse kernels whose result varies.

    Must run before any torch work: the number of threads fixes the order of sums.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    import numpy as np
    import torch

    random.seed(runtime.seed)
    # Libraries may draw from the legacy global generator; our own code passes generators.
    np.random.seed(runtime.seed)
    torch.manual_seed(runtime.seed)
    torch.set_num_threads(runtime.threads)
    torch.use_deterministic_algorithms(True, warn_only=False)
    warnings.filterwarnings("ignore", message=".*torch_dtype.*")
