"""Libraries that others import for what this project never does, left out while the models are imported.

transformers imports scikit-learn for one function of assisted generation, and accelerate boto3 to configure
SageMaker. Both look first whether the library is there; together they are a fifth of a stage's imports.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

UNUSED: Final = ("sklearn", "boto3")
_NO_TORCH: Final = {"USE_TORCH": "0", "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1"}
"""What transformers looks for when it is imported."""


@contextmanager
def without_unused() -> Iterator[None]:
    """Let what is imported inside find none of `UNUSED`, but for what is imported already.

    Who asks for one of them later gets it.
    """
    hidden = [name for name in UNUSED if name not in sys.modules]
    # None says that there is no such module (`importlib.util.find_spec`).
    sys.modules |= dict.fromkeys(hidden)  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


@contextmanager
def without_torch() -> Iterator[None]:
    """Let transformers be imported inside without torch, which takes seconds and a tokenizer does without.

    Where somebody has torch already, or transformers, nothing is left out. Variables are as before
    afterwards: who is started later may need it.
    """
    before = {name: os.environ.get(name) for name in _NO_TORCH}
    if not {"torch", "transformers"} & sys.modules.keys():
        os.environ |= _NO_TORCH
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
