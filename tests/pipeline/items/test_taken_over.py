"""Tables come from the last dataset where all that they are made of is as it was, and only there."""

from pathlib import Path
from typing import Any, Final

import pytest

from pipeline.items.code import QualifiedName
from pipeline.items.taken_over import TABLES, made_of, taken_over
from pipeline.params.runtime import RuntimeParams
from store.datasets.groups import write_dataset
from store.schema.rates import RATES
from tests.support.random_items import make_groups

CODE: Final = [QualifiedName("pipeline.analysis.rates", "rates")]
RUNTIME: Final = RuntimeParams(seed=0, threads=1)
WANTED: Final = made_of(CODE, RUNTIME, [["a key"], {"a": 1}])


def written(folder: Path) -> Path:
    path = folder / "rates"
    write_dataset(path, RATES, make_groups(RATES), provenance={TABLES: {"rates": WANTED}})
    return path


def test_what_is_made_of_the_same_is_taken_over_to_the_byte(tmp_path: Path) -> None:
    path = written(tmp_path)
    found = taken_over(path, "rates", WANTED, RATES.groups)
    assert found is not None
    again = tmp_path / "again"
    write_dataset(again, RATES, found, provenance={TABLES: {"rates": WANTED}})
    files = [file.relative_to(path) for file in sorted(path.rglob("*")) if file.is_file()]
    assert files == [file.relative_to(again) for file in sorted(again.rglob("*")) if file.is_file()]
    assert all((path / file).read_bytes() == (again / file).read_bytes() for file in files)


@pytest.mark.parametrize(
    "changed",
    [
        {"code": [QualifiedName("pipeline.analysis.rates", "harmful_rates")]},
        {"runtime": RuntimeParams(seed=1, threads=1)},
        {"runtime": RuntimeParams(seed=0, threads=2)},
        {"inputs": [["another key"], {"a": 1}]},
        {"inputs": [["a key"], {"a": 2}]},
    ],
)
def test_what_is_made_of_anything_else_is_not(tmp_path: Path, changed: dict[str, Any]) -> None:
    given = {"code": CODE, "runtime": RUNTIME, "inputs": [["a key"], {"a": 1}]} | changed
    other = made_of(**given)
    assert other != WANTED
    assert taken_over(written(tmp_path), "rates", other, RATES.groups) is None


def test_of_a_dataset_that_tells_nothing_or_is_damaged_nothing_is(tmp_path: Path) -> None:
    assert taken_over(tmp_path / "nothing", "rates", WANTED, RATES.groups) is None
    write_dataset(tmp_path / "silent", RATES, make_groups(RATES), provenance={})
    assert taken_over(tmp_path / "silent", "rates", WANTED, RATES.groups) is None
    path = written(tmp_path)
    assert taken_over(path, "others", WANTED, RATES.groups) is None
    chunk = next(file for file in (path / "rates" / "rate").iterdir() if file.name != "zarr.json")
    chunk.write_bytes(chunk.read_bytes()[:-1])
    assert taken_over(path, "rates", WANTED, RATES.groups) is None
