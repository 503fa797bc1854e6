"""Artifacts of one behaviour each, read as one for all of a profile."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from pipeline.analysis.behaviours import Measured, behaviour_groups
from store.__main__ import main
from store.base.errors import ArtifactMissingError, DamagedArtifactError, NotInStoreError
from store.collections.reader import open_collection
from store.collections.writer import write_collection
from store.datasets.groups import write_dataset
from store.remote.origins import forget, know
from store.schema.behaviours import BEHAVIOURS
from store.schema.circuits import BEHAVIOUR_GRAPHS
from store.views.by_behaviour import open_collections, open_datasets, parts, place, provenances
from tests.support.behaviours import make_prompt
from tests.support.demo.behaviours import PARAMS
from tests.support.random_items import make_items

GROUPS = ("summary", "prompts")


def tables(rng: np.random.Generator, variants: list[str], *names: str) -> dict[str, xr.Dataset]:
    """What so many variants do on six prompts of each behaviour."""
    prompts = [make_prompt(number, behaviour=name) for name in names for number in range(6)]
    measured = {
        variant: Measured(
            **{name: rng.normal(size=len(prompts)) for name in ("correct", "incorrect", "decision")}
        )
        for variant in variants
    }
    return behaviour_groups(prompts, measured, PARAMS)


def write_tables(folder: Path, name: str, groups: dict[str, xr.Dataset]) -> None:
    write_dataset(folder / place("behaviours", name), BEHAVIOURS, groups, provenance={"of": name})


def test_datasets_are_as_one_of_all_behaviours(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    variants, names = ["base", "general@1.0"], ["agreement", "recall", "sentiment"]
    whole = tables(rng, variants, *names)
    write_dataset(tmp_path / "behaviours", BEHAVIOURS, whole, provenance={})
    before = {group: open_datasets(tmp_path, "behaviours", group).load() for group in GROUPS}
    for place_, name in enumerate(reversed(names)):
        rows = slice(6 * (2 - place_), 6 * (3 - place_))
        prompts = [make_prompt(number, behaviour=name) for number in range(6)]
        measured = {
            variant: Measured(
                **{
                    column: whole["prompts"][column].sel(variant=variant).values[rows]
                    for column in ("correct", "incorrect", "decision")
                }
            )
            for variant in variants
        }
        write_tables(tmp_path, name, behaviour_groups(prompts, measured, PARAMS))
    write_tables(tmp_path, "addition", tables(rng, variants))  # not named: no row
    assert list(provenances(tmp_path, "behaviours")) == ["addition", *names]
    for group in GROUPS:
        joined = open_datasets(tmp_path, "behaviours", group)
        xr.testing.assert_identical(joined.load(), before[group])
        assert list(joined.data_vars) == list(before[group].data_vars)
        for name, array in joined.variables.items():
            assert array.dtype == before[group][name].dtype, name


def test_a_variant_that_a_behaviour_lacks_is_not_measured(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    write_tables(tmp_path, "agreement", tables(rng, ["base"], "agreement"))
    write_tables(tmp_path, "recall", tables(rng, ["base", "new@1.0"], "recall"))
    joined = open_datasets(tmp_path, "behaviours", "summary")
    assert joined["variant"].values.tolist() == ["base", "new@1.0"]
    cell = joined.sel(behaviour="agreement", variant="new@1.0", split="all")
    assert (int(cell["n"]), bool(cell["passes"])) == (0, False)
    assert np.isnan(float(cell["accuracy"]))
    assert int(joined.sel(behaviour="recall", variant="new@1.0", split="all")["n"]) == 6
    assert joined["passes"].dtype == bool
    prompts = open_datasets(tmp_path, "behaviours", "prompts")
    assert np.isnan(prompts["difference"].sel(variant="new@1.0").values[:6]).all()


def test_one_unit_of_the_union_is_read_from_its_own_collection(tmp_path: Path) -> None:
    items = sorted(make_items(BEHAVIOUR_GRAPHS, 6), key=lambda item: item.identity)
    halves = {"agreement": items[: len(items) // 2], "recall": items[len(items) // 2 :]}
    for name, half in halves.items():
        path = tmp_path / place("behaviour_graphs", name)
        write_collection(path, BEHAVIOUR_GRAPHS, half, provenance={"of": name})
    union = open_collections(tmp_path, "behaviour_graphs")
    assert len(union) == len(items)
    for name, half in halves.items():
        for item in half:
            assert (item.prompt_hash, item.variant) in union
            assert union.holding(item.prompt_hash, item.variant).provenance == {"of": name}
            found = union.item(item.prompt_hash, item.variant, ["total_effect"])
            np.testing.assert_array_equal(found.arrays["total_effect"], item.arrays["total_effect"])
    assert ("0" * 12, "base") not in union
    with pytest.raises(NotInStoreError, match=r"by_behaviour/behaviour_graphs holds no prompt 000000000000"):
        union.item("0" * 12, "base")
    with pytest.raises(NotInStoreError, match=r"holds no variant nobody of prompt"):
        union.item(items[0].prompt_hash, "nobody")


def test_what_is_not_there_or_damaged_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        ArtifactMissingError, match=r"by_behaviour/behaviours does not exist yet; `dvc repro`"
    ):
        parts(tmp_path, "behaviours")
    rng = np.random.default_rng(0)
    for name in ("agreement", "recall"):
        write_tables(tmp_path, name, tables(rng, ["base"], name))
    root = tmp_path / place("behaviours", "recall") / "zarr.json"
    root.write_text(root.read_text().replace('"of": "recall"', '"of": "others"'))
    with pytest.raises(DamagedArtifactError, match=r"by_behaviour/behaviours/recall/zarr\.json is altered"):
        open_datasets(tmp_path, "behaviours", "summary")
    assert main(["verify", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert f"{tmp_path}/by_behaviour/behaviours/recall: damaged" in said
    assert f"{tmp_path}/by_behaviour/behaviours/agreement: ok" in said


def test_the_layout_before_is_read_where_there_is_no_other(tmp_path: Path) -> None:
    items = make_items(BEHAVIOUR_GRAPHS, 3)
    write_collection(tmp_path / "behaviour_graphs", BEHAVIOUR_GRAPHS, items, provenance={})
    assert len(open_collections(tmp_path, "behaviour_graphs")) == len(
        open_collection(tmp_path / "behaviour_graphs")
    )
    write_collection(tmp_path / place("behaviour_graphs", "recall"), BEHAVIOUR_GRAPHS, [], provenance={})
    assert len(open_collections(tmp_path, "behaviour_graphs")) == 0


class Elsewhere:
    """A folder whose files are all in object storage."""

    NAMES = (
        "behaviours/index/zarr.json",
        "forced_answers/index/zarr.json",
        "forced_answers/zarr.json",
        "by_behaviour/behaviours/agreement/zarr.json",
        "by_behaviour/behaviours/agreement/summary/zarr.json",
        "by_behaviour/behaviours/recall/zarr.json",
        "by_behaviour/behaviours.txt",
    )

    def names(self, folder: str) -> list[str]:
        return [name for name in self.NAMES if name.startswith(f"{folder}/" if folder else "")]


def test_what_lies_in_object_storage_is_found_there(tmp_path: Path) -> None:
    origin: Any = Elsewhere()
    know(tmp_path, origin)
    try:
        assert parts(tmp_path, "behaviours") == [
            tmp_path / place("behaviours", name) for name in ("agreement", "recall")
        ]
        assert parts(tmp_path, "forced_answers") == [tmp_path / "forced_answers"], "of the layout before"
        with pytest.raises(ArtifactMissingError):
            parts(tmp_path, "behaviour_graphs")
    finally:
        forget(tmp_path)
