"""A clock that is off takes no unit away from who computes it, and keeps none from who may."""

import os
from pathlib import Path

import pytest

from pipeline.items.cache import ItemCache
from pipeline.items.executor import claim, in_this_process
from tests.support.shared_work import no_models, shared_unit

LONG_AGO, FAR_AHEAD = 0.0, 4_000_000_000.0


@pytest.mark.parametrize("when", [LONG_AGO, FAR_AHEAD])
def test_a_claim_lasts_as_long_as_its_process_whatever_the_time(tmp_path: Path, when: float) -> None:
    cache, unit = ItemCache(tmp_path), shared_unit(0)
    with claim(cache, unit, wait=False) as mine:
        assert mine
        (lock,) = (tmp_path / "claims").iterdir()
        os.utime(lock, (when, when))
        with claim(cache, unit, wait=False) as others:
            assert not others, "it is held, however old it looks"


@pytest.mark.parametrize("when", [LONG_AGO, FAR_AHEAD])
def test_a_claim_that_a_killed_process_left_is_nobodys_whatever_its_time(tmp_path: Path, when: float) -> None:
    cache, unit = ItemCache(tmp_path), shared_unit(0)
    lock = tmp_path / "claims" / f"{unit.key}.lock"
    lock.parent.mkdir()
    lock.touch()
    os.utime(lock, (when, when))
    assert in_this_process([unit], no_models, cache, "left") == []
    assert list(lock.parent.iterdir()) == []
    for path in tmp_path.rglob("*.safetensors"):
        os.utime(path, (when, when))
    log = tmp_path / "log"
    assert in_this_process([shared_unit(0, log=str(log))], no_models, cache, "again") == []
    assert not log.exists(), "an item is there or is not; its time says nothing"
