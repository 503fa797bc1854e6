"""Several runs of one stage at a time all end well, and with the same results."""

import multiprocessing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.items.cache import ItemCache
from pipeline.items.code import QualifiedName
from pipeline.items.collect import collect
from pipeline.items.units import Unit
from store.base.hashing import folder_digest
from store.collections.item import Item
from store.collections.reader import open_collection
from store.format.integrity import verify
from store.schema.candidates import CANDIDATES

KIND = CANDIDATES.kind
ROUNDS = 3
UNITS = 8


def models() -> Any:
    """Nothing is needed of them; importing them would load torch in every process."""


def compute(models: Any, unit: Unit) -> Iterator[tuple[str, Item]]:
    """An item whose numbers follow from the prompt."""
    (variant,) = unit.variants
    name, number = unit.item(variant), int(unit.prompt_hash, 16) >> 32
    arrays = {
        "candidate_token": np.arange(number, number + 3, dtype=np.int32),
        "candidate_probability": np.array([0.5, 0.25, 0.125], np.float32),
    }
    yield KIND, Item(key=name.key, prompt_hash=name.prompt_hash, variant=variant, arrays=arrays, scalars={})


def units(number: int) -> list[Unit]:
    """Units of one round; those of the next have other keys and prompts in part."""
    return [
        Unit(
            key=f"{number:032x}{each:032x}",
            compute=QualifiedName(__name__, "compute"),
            prompt_hash=f"{(number * 3 + each) << 32:012x}",
            token_ids=(1,),
            variants=("base",),
            arguments={},
            outputs=((KIND, "base"),),
        )
        for each in range(UNITS)
    ]


def run(folder: Path, root: Path, meet: Any) -> None:
    """What a stage does, several times: collect, then read what it has published."""
    for number in range(ROUNDS):
        meet.wait(60)
        collect(
            units(number),
            [CANDIDATES],
            folder=folder,
            provenance={"round": number},
            models=models,
            cache=ItemCache(root),
        )
        found = open_collection(folder / KIND)
        assert found.provenance == {"round": number}
        meet.wait(60)  # every run has published by now, and this one's is open
        assert len(list(found.items())) == UNITS


def test_three_runs_at_once_end_well(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    meet = context.Barrier(3)
    runs = [
        context.Process(target=run, args=(tmp_path / "artifacts", tmp_path / "items", meet)) for _ in range(3)
    ]
    for each in runs:
        each.start()
    for each in runs:
        each.join(120)
    assert [each.exitcode for each in runs] == [0, 0, 0]
    published = tmp_path / "artifacts" / KIND
    assert verify(published) == []
    alone = tmp_path / "alone"
    collect(
        units(ROUNDS - 1),
        [CANDIDATES],
        folder=alone,
        provenance={"round": ROUNDS - 1},
        models=models,
        cache=ItemCache(tmp_path / "own"),
    )
    assert folder_digest(alone / KIND) == folder_digest(published)
    for item in (tmp_path / "own").rglob("*.safetensors"):
        shared = tmp_path / "items" / item.relative_to(tmp_path / "own")
        assert shared.read_bytes() == item.read_bytes(), "the bytes follow from the key"
