"""Which circuits are held: from the store or by importance, of swapped answers, and random ones."""

import numpy as np
import xarray as xr

from pipeline.analysis.circuit_sets import FOUND, IMPORTANCE, Trained, circuits_of, own_circuits
from pipeline.analysis.importance import Activities
from pipeline.params.project import load_params
from store.schema.vocabulary import SWAPPED

PARAMS = load_params().behaviour_interventions.model_copy(update={"ks": [1, 4], "random_circuits": 6})
N, LAYERS, WIDTH = 40, 3, 30


def trained(seed: int = 0) -> Trained:
    """Features 5 of layer 1 and 2 of layer 0 go with the contrast; those of layer 2 are more active."""
    rng = np.random.default_rng(seed)
    layer, index = (each.ravel() for each in np.mgrid[:LAYERS, :WIDTH])
    values = rng.gamma(3.0, size=(N, LAYERS * WIDTH)) * np.where(layer == 2, 3.0, 1.0)
    contrast = 3 * values[:, WIDTH + 5] - 2 * values[:, 2] + 0.1 * rng.normal(size=N)
    return Trained(
        activities=Activities(layer=layer.astype(np.int16), index=index.astype(np.int32), values=values),
        contrast=contrast,
        groups=np.arange(N).astype(str),
    )


def circuit_table() -> xr.Dataset:
    """Rows of two variants and two behaviours, not in the order of their effects."""
    rows = [
        ("base", "recall", 0, 3, -1.0),
        ("base", "recall", 1, 4, 0.5),
        ("base", "recall", 2, 7, 2.0),
        ("general@1.0", "recall", 0, 9, 8.0),
        ("base", "addition", 0, 1, 9.0),
    ]
    names = ("variant", "behaviour", "layer", "index", "total_effect")
    columns = zip(*rows, strict=True)
    return xr.Dataset(
        {
            name: ("row", np.array(column, object if isinstance(column[0], str) else None))
            for name, column in zip(names, columns, strict=True)
        }
    )


def test_the_stores_circuit_is_taken_by_what_makes_the_right_answer() -> None:
    of = {"recall": trained(), "sentiment": trained()}
    found = own_circuits(of, circuit_table(), "base", PARAMS)
    assert found["recall"] == (FOUND, [(2, 7), (1, 4), (0, 3)])
    source, features = found["sentiment"]
    assert source == IMPORTANCE
    assert features[:2] == [(1, 5), (0, 2)]
    assert len(features) == PARAMS.ks[-1]
    assert own_circuits(of, circuit_table(), "general@1.0", PARAMS)["recall"] == (FOUND, [(0, 9)])


def test_random_circuits_are_of_the_same_size_layers_and_activity() -> None:
    own = {"recall": (FOUND, [(2, 7), (1, 4), (0, 3)]), "addition": (FOUND, [(0, 1)])}
    one = trained()
    found = circuits_of("recall", own, one, PARAMS)
    assert list(found.orders) == ["recall", "addition", SWAPPED]
    assert found.orders["recall"] == own["recall"][1]
    assert found.orders["addition"] == [(0, 1)]
    assert len(found.orders[SWAPPED]) == PARAMS.ks[-1]
    assert found.orders[SWAPPED][:2] != [(1, 5), (0, 2)], "answers are swapped"
    assert len(found.random) == PARAMS.random_circuits
    assert len({tuple(each) for each in found.random}) == PARAMS.random_circuits
    for each in found.random:
        assert [layer for layer, _ in each] == [2, 1, 0]
        assert all(other != mine for other, mine in zip(each, own["recall"][1], strict=True))
    assert circuits_of("recall", own, one, PARAMS).random == found.random
    other = PARAMS.model_copy(update={"draw_seed": 1})
    assert circuits_of("recall", own, one, other).random != found.random


def test_random_features_are_the_nearest_in_activity() -> None:
    one = trained()
    values = one.activities.values.copy()
    loud = [2 * WIDTH + column for column in range(25)]
    values[:, loud] *= 100.0
    activities = Activities(layer=one.activities.layer, index=one.activities.index, values=values)
    quiet = Trained(activities=activities, contrast=one.contrast, groups=one.groups)
    found = circuits_of("recall", {"recall": (FOUND, [(2, 7)])}, quiet, PARAMS)
    assert all(index < 25 for ((_, index),) in found.random)


def test_without_features_there_is_nothing_to_hold() -> None:
    empty = Trained(
        activities=Activities(
            layer=np.zeros(0, np.int16), index=np.zeros(0, np.int32), values=np.zeros((0, 0))
        ),
        contrast=np.zeros(0),
        groups=np.zeros(0, object),
    )
    own = own_circuits({"recall": empty}, circuit_table().isel(row=slice(0)), "base", PARAMS)
    found = circuits_of("recall", own, empty, PARAMS)
    assert found.orders == {"recall": [], SWAPPED: []}
    assert found.random == [[]] * PARAMS.random_circuits
