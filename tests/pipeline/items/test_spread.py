"""Calls on arrays by every executor: the same bytes, whoever makes them and whoever dies."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from pipeline.analysis.spreading import Arrays, Call, Function, Spread, in_threads
from pipeline.items.executor import Executor, in_this_process, with_helpers
from pipeline.items.spread import make_call, on_executor
from pipeline.items.units import Unit
from store.base.errors import UserError
from store.datasets.groups import write_dataset
from store.schema.features import FEATURES
from tests.support.planted_features import ADAPTED, activations, graphs, groups, noise, plant
from tests.support.spread_calls import sums, sums_of, who_summed


def made(spread: Spread, calls: Iterable[Call]) -> dict[int, Arrays]:
    return dict(spread(sums, calls, "sums"))


def as_in_threads(found: dict[int, Arrays], count: int) -> None:
    expected = made(in_threads, sums_of(count))
    assert sorted(found) == sorted(expected) == list(range(count))
    for number, arrays in expected.items():
        assert found[number].keys() == arrays.keys()
        for name, array in arrays.items():
            assert found[number][name].dtype == array.dtype
            np.testing.assert_array_equal(found[number][name], array)


def backwards(function: Function, calls: Iterable[Call], label: str) -> Iterator[tuple[int, Arrays]]:
    for number, call in reversed(list(enumerate(calls))):
        yield number, function(*call)


def test_a_dataset_has_the_same_bytes_whoever_tests_its_cells(tmp_path: Path, dask: Executor) -> None:
    asked: list[Unit] = []

    def by_dask(units: Any, *rest: Any) -> Any:
        asked.extend(units)
        return dask(units, *rest)

    def written(name: str, spread: Spread) -> dict[str, bytes]:
        base, adapted = noise(0), plant(noise(1))
        tables = groups(
            graphs(base, "base") + graphs(adapted, ADAPTED),
            activations(base, "base") + activations(adapted, ADAPTED),
            spread=spread,
        )
        write_dataset(tmp_path / name, FEATURES, tables, provenance={})
        files = (path for path in (tmp_path / name).rglob("*") if path.is_file())
        return {str(path.relative_to(tmp_path / name)): path.read_bytes() for path in files}

    threads = written("threads", in_threads)
    assert written("backwards", backwards) == threads
    assert written("processes", on_executor(with_helpers(2, worth=0), tmp_path / "spread")) == threads
    assert written("dask", on_executor(by_dask, tmp_path / "spread")) == threads
    # Evil minus safe of two variants and their difference by three scores, the difference by two: in all
    # domains and in the one.
    assert len(asked) == 2 * (3 * 3 + 2)


def test_helpers_and_workers_make_each_call_once(tmp_path: Path, dask: Executor) -> None:
    for name, executor in (("helpers", with_helpers(2, worth=0)), ("dask", dask)):
        log = tmp_path / name
        first, *others = sums_of(12, log)  # helpers come when the first is over
        calls = [first, *((arrays, {**told, "until": 2}) for arrays, told in others)]
        as_in_threads(made(on_executor(executor, tmp_path / "spread"), calls), 12)
        assert sorted(number for _, number in who_summed(log)) == list(range(12))
        assert len({pid for pid, _ in who_summed(log)}) == 2
    assert list((tmp_path / "spread").iterdir()) == [], "nothing is kept"


def test_a_call_whose_worker_is_killed_is_made_by_another(tmp_path: Path, dask: Executor) -> None:
    log, died = tmp_path / "log", tmp_path / "died"
    calls = list(sums_of(6, log))
    calls[2] = (calls[2][0], {**calls[2][1], "dies_once": str(died)})
    as_in_threads(made(on_executor(dask, tmp_path / "spread"), calls), 6)
    assert died.exists()
    numbers = [number for _, number in who_summed(log)]
    assert sorted(numbers) == [0, 1, 2, 2, 3, 4, 5]


def test_a_call_that_fails_ends_the_work_in_one_sentence(tmp_path: Path, dask: Executor) -> None:
    with pytest.raises(ZeroDivisionError):
        made(on_executor(in_this_process, tmp_path), sums_of(1, broken=True))
    with pytest.raises(UserError, match=r"^sums: It failed 3 times.*ZeroDivisionError.*executor: local in"):
        made(on_executor(dask, tmp_path), sums_of(2, broken=True))
    assert list(tmp_path.iterdir()) == []


def test_a_worker_elsewhere_that_sees_no_files_is_told_in_one_sentence(tmp_path: Path) -> None:
    def elsewhere(units: Any, models: Any, cache: Any, label: str) -> Any:
        for path in cache.root.rglob("*.safetensors"):
            path.unlink()
        return list(make_call(models, units[0]))

    with pytest.raises(UserError, match=r"finds nothing in .*; let all workers share the project's folder"):
        made(on_executor(elsewhere, tmp_path), sums_of(1))


def test_what_a_killed_process_left_goes_and_what_another_works_on_stays(tmp_path: Path) -> None:
    for name in ("left", "used"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    (tmp_path / "left.lock").touch()
    with FileLock(tmp_path / "used.lock"):
        as_in_threads(made(on_executor(in_this_process, tmp_path), sums_of(2)), 2)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["used"]
