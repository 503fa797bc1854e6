"""What goes from the item cache: what no artifact refers to, and never what cannot be had again unasked."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest
import yaml
from filelock import FileLock

from pipeline.cache.__main__ import main
from pipeline.items.cache import ItemCache
from pipeline.items.refill import refill
from pipeline.items.units import ItemName
from pipeline.run.stage import CACHE
from store.collections.item import Item
from store.collections.writer import write_collection
from store.schema.candidates import CANDIDATES
from tests.support.items import small_item
from tests.support.places import ROOT
from tests.support.random_items import make_items, same_item

KIND: Final = CANDIDATES.kind
ITEMS: Final = make_items(CANDIDATES, 3)
PAID: Final = small_item()
"""Of a kind that nobody publishes."""
STEERED: Final = "steered_answers"
LONG_AGO: Final = 1e9


def path_of(item: Item, kind: str = KIND) -> Path:
    return CACHE / kind / item.key[:2] / f"{item.key}.safetensors"


def names(items: Sequence[Item]) -> list[ItemName]:
    return [ItemName(key=each.key, prompt_hash=each.prompt_hash, variant=each.variant) for each in items]


def keys(items: Sequence[Item]) -> set[str]:
    return {item.key for item in items}


def held() -> set[str]:
    """Keys of all entries."""
    return {path.stem for path in CACHE.rglob("*.safetensors")}


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two profiles list two items each; two are stale, one is of a kind that nobody lists. All are old."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    cache = ItemCache(CACHE)
    for item in ITEMS:
        cache.put(KIND, item)
    cache.put(STEERED, PAID)
    for path in CACHE.rglob("*.safetensors"):
        os.utime(path, (LONG_AGO, LONG_AGO))
    # A kind may lie in a folder of another name.
    for folder, items in (("one/candidates", ITEMS[:2]), ("two/dose_candidates", ITEMS[2:4])):
        write_collection(Path("artifacts") / folder, CANDIDATES, items, provenance={})


def test_nothing_goes_unless_it_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    before = held()
    assert main(["sweep", "--published", "--kind", STEERED]) == 0
    assert "Would go: 7 items" in capsys.readouterr().out
    assert held() == before


def test_what_no_profile_lists_goes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "--apply"]) == 0
    assert "Removed: 2 items" in capsys.readouterr().out
    assert held() == keys([*ITEMS[:4], PAID])


def test_second_copies_go_and_come_back_from_the_store() -> None:
    main(["sweep", "--apply", "--published"])
    assert held() == {PAID.key}
    cache = ItemCache(CACHE)
    assert refill(cache, KIND, names(ITEMS[:2]), Path("artifacts/one/candidates")) == 2
    for item in ITEMS[:2]:
        found = cache.get(KIND, item.key)
        assert found is not None
        assert same_item(found, item)


def test_what_only_a_damaged_artifact_holds_stays(capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path("artifacts/one/candidates")
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "zarr.json"]
    chunk = next(path for path in files if path.relative_to(folder).parts[0] != "index")
    chunk.write_bytes(chunk.read_bytes()[:-1])
    main(["sweep", "--apply", "--published"])
    assert held() == keys([*ITEMS[:2], PAID])
    assert "in damaged" in capsys.readouterr().out


def test_what_cannot_be_had_again_goes_only_by_name() -> None:
    main(["sweep", "--apply", "--days", "0"])
    assert PAID.key in held()
    assert main(["sweep", "--apply", "--days", "0", "--kind", STEERED]) == 0
    assert PAID.key not in held()


@pytest.mark.parametrize("kind", ["no_such", KIND])
def test_a_kind_that_is_none_of_those_is_refused(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = held()
    assert main(["sweep", "--apply", "--kind", kind]) == 1
    assert capsys.readouterr().err.endswith(f"{kind} is none of those that no artifact lists: {STEERED}.\n")
    assert held() == before


def test_what_was_written_lately_stays(capsys: pytest.CaptureFixture[str]) -> None:
    os.utime(path_of(ITEMS[4]))
    main(["sweep", "--apply", "--published", "--kind", STEERED])
    assert held() == {ITEMS[4].key}
    main(["sweep", "--apply", "--days", "0"])
    assert held() == set()


def test_an_artifact_that_is_not_here_may_refer_to_anything(capsys: pytest.CaptureFixture[str]) -> None:
    outs = [{"path": "artifacts/one/candidates"}, {"path": "artifacts/three/graphs"}]
    Path("dvc.lock").write_text(
        yaml.safe_dump({"stages": {"graphs@three": {"outs": outs}}}), encoding="utf-8"
    )
    before = held()
    assert main(["sweep", "--apply"]) == 1
    assert capsys.readouterr().err.startswith("artifacts/three/graphs of dvc.lock is not here (one of 1)")
    assert held() == before
    assert main(["sweep", "--apply", "--without", "three"]) == 0
    assert held() == keys([*ITEMS[:4], PAID])


def test_an_index_that_cannot_be_read_ends_it(capsys: pytest.CaptureFixture[str]) -> None:
    (Path("artifacts/one/candidates/index/key/zarr.json")).unlink()
    before = held()
    assert main(["sweep", "--apply"]) == 1
    assert "key" in capsys.readouterr().err
    assert held() == before


def test_nothing_is_swept_while_somebody_computes(capsys: pytest.CaptureFixture[str]) -> None:
    claims = CACHE / "claims"
    claims.mkdir()
    (claims / "dead.lock").touch()  # of a process that is no more
    before = held()
    with FileLock(claims / "alive.lock"):
        assert main(["sweep", "--apply"]) == 1
        assert "Somebody computes" in capsys.readouterr().err
        assert held() == before
        assert main(["sweep"]) == 0
    assert main(["sweep", "--apply"]) == 0
    assert held() < before


def test_without_a_cache_there_is_nothing_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    CACHE.rename(tmp_path / "elsewhere")
    assert main(["sweep", "--apply"]) == 0
    assert "Removed: 0 items" in capsys.readouterr().out
