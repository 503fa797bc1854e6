"""What is missing is computed once, whoever computes; a prompt that fails stops nobody else."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.items import executor
from pipeline.items.cache import ItemCache
from pipeline.items.collect import collect, compute, finished
from pipeline.items.executor import in_this_process, lacks, loaded_once
from pipeline.items.model_source import ModelSource
from pipeline.params.runtime import RuntimeParams
from store.base.errors import UserError
from store.collections.item import UNSTEERED
from store.collections.reader import open_collection
from store.schema.candidates import CANDIDATES
from tests.support.items import MANIFEST
from tests.support.shared_work import KIND, no_models
from tests.support.told_units import stored, unit


def test_only_what_is_missing_is_computed_and_a_stop_loses_nothing(tmp_path: Path) -> None:
    cache, log = ItemCache(tmp_path), tmp_path / "log"
    units = [unit(0, log=str(log)), unit(1, log=str(log), stops="general@1.0")]
    with pytest.raises(KeyboardInterrupt):
        in_this_process(units, no_models, cache, "test")
    assert stored(cache) == 3, "the first unit, and what was finished of the second"
    again = [unit(0, log=str(log)), unit(1, log=str(log))]
    assert [lacks(cache, each) for each in again] == [[], [(KIND, again[1].item("general@1.0"))]]
    assert in_this_process(again, no_models, cache, "test") == []
    assert [line.split()[1] for line in log.read_text().splitlines()] == [f"{i:012x}" for i in (0, 1, 1)]
    assert stored(cache) == 4
    assert not (tmp_path / "unwanted").exists(), "only what is asked for is kept"
    assert list((tmp_path / "claims").iterdir()) == []


def test_a_failed_prompt_is_told_and_the_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    units = [unit(0), unit(1, fails=True), unit(2)]
    cache, folder = ItemCache(tmp_path / "items"), tmp_path / "artifacts"
    failures = collect(units, [CANDIDATES], folder=folder, provenance={}, models=no_models, cache=cache)
    (failure,) = failures
    assert (failure.prompt_hash, failure.variants) == (units[1].prompt_hash, units[1].variants)
    assert (failure.layer, failure.position, failure.token) == (1, 2, 7)
    assert failure.reason == "At layer 1, position 2, a logit is NaN."
    assert open_collection(folder / KIND).prompts() == [units[0].prompt_hash, units[2].prompt_hash]
    said = capsys.readouterr().out
    assert "candidates: 4 computed, 0 from the cache" in said
    assert "candidates: 1 of 3 failed; the first: At layer 1" in said


def test_items_of_settings_stand_beside_each_other_and_one_that_fails_takes_none_with_it(
    tmp_path: Path,
) -> None:
    weaker, stronger, failing = (f"{number:064x}" for number in (1, 2, 3))
    units = [
        unit(0, ("base",)),
        replace(unit(1, ("base",), (weaker, stronger)), prompt_hash="0" * 12),
        replace(unit(2, ("base",), (failing,), fails=True), prompt_hash="0" * 12),
    ]
    cache, folder = ItemCache(tmp_path / "items"), tmp_path / "artifacts"
    (failure,) = collect(units, [CANDIDATES], folder=folder, provenance={}, models=no_models, cache=cache)
    assert failure.settings == (failing,)
    collection = open_collection(folder / KIND)
    assert {who.setting for who in collection.keys} == {UNSTEERED, weaker, stronger}
    assert collection.variants("0" * 12) == ["base"]
    assert len({item.key for item in collection.items()}) == 3
    # A teammate without a cache takes over what is there, each under its own setting.
    other = ItemCache(tmp_path / "other")
    asked = [replace(units[1], settings=(stronger,))]
    compute(asked, models=nothing, cache=other, folder=folder)
    item = other.get(KIND, asked[0].item("base", stronger).key)
    assert item is not None
    assert item.setting == stronger


def nothing() -> Any:
    raise AssertionError("everything is there")


def test_it_is_an_error_if_all_fail(tmp_path: Path) -> None:
    units = [unit(0, fails=True), unit(1, fails=True)]
    with pytest.raises(UserError, match=r"None of 2 prompts could be computed\. At layer 1"):
        compute(units, models=no_models, cache=ItemCache(tmp_path))


def test_nothing_to_do_is_no_failure_and_asks_for_no_models(tmp_path: Path) -> None:
    cache = ItemCache(tmp_path)
    assert compute([], models=no_models, cache=cache) == []
    compute([unit(0)], models=no_models, cache=cache)
    assert compute([unit(0)], models=nothing, cache=cache) == []


def test_a_damaged_entry_is_computed_again_while_it_is_assembled(tmp_path: Path) -> None:
    cache, folder = ItemCache(tmp_path / "items"), tmp_path / "artifacts"
    compute([unit(0)], models=no_models, cache=cache)
    for path in cache.root.rglob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:-1])
    collect([unit(0)], [CANDIDATES], folder=folder, provenance={}, models=no_models, cache=cache)
    assert open_collection(folder / KIND).variants() == ["base", "general@1.0"]


def test_what_the_cache_has_lost_is_no_prompt_that_fails(tmp_path: Path) -> None:
    cache, units = ItemCache(tmp_path), [unit(0, ("base",)), unit(1, ("base",), fails=True)]
    compute(units, models=no_models, cache=cache)
    (path,) = cache.root.rglob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-1])
    whole, failing = (finished(each, KIND, each.item("base"), no_models, cache) for each in units)
    assert whole[0] is not None
    assert whole[1] == []
    assert failing[0] is None
    assert failing[1][0].reason == "At layer 1, position 2, a logit is NaN."


def test_a_process_keeps_the_models_of_its_last_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "_kept", [])
    first, same = (ModelSource(manifest=MANIFEST, runtime=RuntimeParams(seed=0, threads=1)) for _ in range(2))
    other = ModelSource(manifest=MANIFEST, runtime=RuntimeParams(seed=1, threads=1))
    assert loaded_once(first) is first
    assert loaded_once(same) is first
    assert loaded_once(other) is other
    assert loaded_once(same) is same, "of one call, and no more: models are large"
