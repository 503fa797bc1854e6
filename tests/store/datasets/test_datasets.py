"""Dense artifacts: labelled, checked against the schema, readable by plain xarray."""

import numpy as np
import pytest
import xarray as xr

from store import InvalidItemError, NotInStoreError, UnknownFormatError, open_collection
from store.base.hashing import folder_digest
from store.datasets.groups import open_dataset, read_provenance, write_dataset
from store.schema.features import FEATURES
from store.schema.rates import RATES
from store.schema.registry import DATASETS
from tests.support.random_items import make_groups


@pytest.mark.parametrize("schema", DATASETS.values(), ids=DATASETS)
def test_round_trip_and_plain_xarray(tmp_path, schema) -> None:
    groups = make_groups(schema)
    write_dataset(tmp_path / "d", schema, groups, provenance={"a": [1, None]})
    assert read_provenance(tmp_path / "d") == {"a": [1, None]}
    tree = xr.open_datatree(tmp_path / "d", engine="zarr", consolidated=False)
    assert set(tree.children) == set(schema.groups)
    for group, expected in groups.items():
        found = open_dataset(tmp_path / "d", group)
        for name, spec in schema.groups[group].items():
            assert found[name].attrs == {"unit": spec.unit, "meaning": spec.meaning}
            assert found[name].dims == spec.dims
        xr.testing.assert_identical(found.drop_attrs().compute(), expected)
        xr.testing.assert_equal(tree[group].to_dataset().compute(), expected)


def test_labels_select_and_tables_come_out(tmp_path) -> None:
    groups = make_groups(RATES)
    write_dataset(tmp_path / "d", RATES, groups, provenance={})
    rates = open_dataset(tmp_path / "d", "rates")
    variant = str(groups["rates"]["variant"].values[-1])
    assert rates["domain"].dtype == object
    chosen = rates["rate"].sel(variant=variant)
    np.testing.assert_array_equal(chosen, groups["rates"]["rate"].values[-1])
    table = rates[["rate", "low", "high"]].to_dataframe()
    assert len(table) == groups["rates"]["rate"].size


def test_a_large_array_is_read_in_part(tmp_path) -> None:
    groups = make_groups(FEATURES)
    shape = (2, 5000, 8, 24)
    dims = FEATURES.groups["contexts"]["token"].dims
    sizes = dict(zip(dims, shape, strict=True))
    random = np.random.default_rng(0)
    groups["contexts"] = xr.Dataset(
        {
            name: (
                spec.dims,
                np.array(["base", "a@1.0"], dtype=object)
                if spec.dtype == "str"
                else random.integers(0, 99, [sizes[d] for d in spec.dims]).astype(spec.dtype),
            )
            for name, spec in FEATURES.groups["contexts"].items()
        }
    )
    write_dataset(tmp_path / "d", FEATURES, groups, provenance={})
    found = open_dataset(tmp_path / "d", "contexts")["token"]
    expected = groups["contexts"]["token"].values
    np.testing.assert_array_equal(found.sel(variant="a@1.0")[4321], expected[1, 4321])
    np.testing.assert_array_equal(found[:, [7, 4000, 12], -1], expected[:, [7, 4000, 12], -1])
    np.testing.assert_array_equal(found[0, ::-900], expected[0, ::-900])
    chunks = list((tmp_path / "d" / "contexts" / "token").rglob("*"))
    assert len([path for path in chunks if path.is_file()]) == 2


def test_byte_stable(tmp_path) -> None:
    for name in ("one", "two"):
        write_dataset(tmp_path / name, FEATURES, make_groups(FEATURES), provenance={})
    assert folder_digest(tmp_path / "one") == folder_digest(tmp_path / "two")


def _without(group: str, name: str) -> dict[str, xr.Dataset]:
    groups = make_groups(RATES)
    return {**groups, group: groups[group].drop_vars(name)}


def _with(group: str, name: str, value: object) -> dict[str, xr.Dataset]:
    groups = make_groups(RATES)
    return {**groups, group: groups[group].assign({name: value})}


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (_without("rates", "low"), "rates/rates: array low missing"),
        (_with("rates", "more", ("x", np.zeros(2))), "array more not in the schema"),
        (_with("rates", "n", make_groups(RATES)["rates"]["n"].astype("int64")), "n has dtype int64"),
        (_with("rates", "n", make_groups(RATES)["rates"]["n"].T), r"n has dims \('split', "),
        ({}, "group rates, situations missing"),
    ],
)
def test_what_does_not_follow_the_schema_is_refused(tmp_path, groups, message) -> None:
    with pytest.raises(InvalidItemError, match=message):
        write_dataset(tmp_path / "d", RATES, groups, provenance={})
    assert list(tmp_path.iterdir()) == []


def test_text_that_is_missing_is_refused(tmp_path) -> None:
    groups = make_groups(RATES)
    names = groups["rates"]["domain"].values.copy()
    names[0] = None
    groups["rates"] = groups["rates"].assign_coords(domain=names)
    with pytest.raises(InvalidItemError, match="domain holds something that is not text"):
        write_dataset(tmp_path / "d", RATES, groups, provenance={})


def test_what_is_absent_is_named(tmp_path) -> None:
    write_dataset(tmp_path / "d", RATES, make_groups(RATES), provenance={})
    with pytest.raises(NotInStoreError, match="no group ratings; it has rates, situations"):
        open_dataset(tmp_path / "d", "ratings")
    with pytest.raises(UnknownFormatError, match="no collection"):
        open_collection(tmp_path / "d")
