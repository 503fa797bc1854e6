"""Models are imported without libraries that they never use; who wants these later gets them."""

import subprocess
import sys

from pipeline.run.lean_imports import UNUSED, without_unused
from tests.support.places import ROOT

PROGRAM = """
import sys
from pipeline.run.lean_imports import UNUSED, without_unused
with without_unused():
    import pipeline.models.pool
print([name for name in UNUSED if name in sys.modules])
print([name for name in sys.modules if name.split(".")[0] in UNUSED])
import sklearn
print(sklearn.__name__)
"""


def test_models_are_imported_without_them_and_they_are_there_afterwards() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    assert done.stdout.splitlines() == ["[]", "[]", "sklearn"]


TOKENIZERS = """
import os, sys
from pipeline.run.lean_imports import without_torch
before = dict(os.environ)
with without_torch():
    from transformers import PreTrainedTokenizerFast
print("torch" in sys.modules, dict(os.environ) == before)
import torch
with without_torch():
    print("USE_TORCH" in os.environ)
"""


def test_a_tokenizer_does_without_torch_and_nothing_is_left_behind() -> None:
    done = subprocess.run([sys.executable, "-c", TOKENIZERS], cwd=ROOT, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    assert done.stdout.split() == ["False", "True", "False"]


def test_what_is_imported_already_stays() -> None:
    name = UNUSED[0]
    before = sys.modules.get(name)
    sys.modules[name] = module = type(sys)(name)
    try:
        with without_unused():
            assert sys.modules[name] is module
        assert sys.modules[name] is module
    finally:
        del sys.modules[name]
        if before is not None:
            sys.modules[name] = before


ARRAYS = """
import sys
import xarray as xr
from store.base.plain_arrays import FOREIGN, only_plain_arrays
only_plain_arrays()
rows = xr.Dataset({"value": ("row", [1, 2])})
xr.concat([rows, rows], "row").sortby("value").to_dataframe()
rows.where(rows.value > 1).load()
print([name for name in ("dask.array", *FOREIGN[1:], "numba") if name in sys.modules])
import sparse
print(type(xr.DataArray(sparse.COO([[0]], [1.0], shape=(2,))).data))
"""


def test_tables_need_no_arrays_of_others_and_these_are_there_afterwards() -> None:
    done = subprocess.run([sys.executable, "-c", ARRAYS], cwd=ROOT, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    assert done.stdout.splitlines() == ["[]", "<class 'sparse.numba_backend._coo.core.COO'>"]
