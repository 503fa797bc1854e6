"""Activations: exactly the graph's, and what each index means."""

import numpy as np
import torch

from pipeline.attribution.trace import Trace
from pipeline.features.activations import activation_item, feature_activations
from store.schema.activations import ACTIVATIONS
from tests.support.traced_subject import Subject


def test_values_are_exactly_the_graphs(subject: Subject, traced: Trace) -> None:
    found = feature_activations(subject.general, subject.ids)
    indices = np.stack([found.layer, found.position, found.feature], 1)
    np.testing.assert_array_equal(indices, traced.graph.active_features.numpy())
    np.testing.assert_array_equal(found.value, traced.graph.activation_values.numpy())


def test_item_fits_the_schema_and_says_its_policy(subject: Subject) -> None:
    item = activation_item(subject.base, subject.ids, key="0" * 64, prompt_hash="0" * 12, variant="base")
    assert set(item.arrays) == set(ACTIVATIONS.arrays)
    assert {name: array.dtype for name, array in item.arrays.items()} == {
        name: np.dtype(spec.dtype) for name, spec in ACTIVATIONS.arrays.items()
    }
    assert item.scalars == {
        "n_positions": len(subject.ids),
        "n_layers": 3,
        "d_transcoder": 64,
        "zeroed_positions": 1,
    }
    # Trap 9: zeroed by policy, while the transcoder does fire there.
    assert item.arrays["position"].min() == item.scalars["zeroed_positions"]
    _, cache = subject.base.run_with_cache(torch.tensor(subject.ids))
    first = cache["blocks.0.mlp.hook_in"][0, :1]
    assert subject.base.transcoders.encode_layer(first, 0).any()


def test_indices_are_zero_based_rows_of_the_encoder(subject: Subject) -> None:
    # Trap 21: layer 0 is the first layer, feature f is row f of W_enc.
    model = subject.base
    found = feature_activations(model, subject.ids)
    _, cache = model.run_with_cache(torch.tensor(subject.ids))
    assert found.layer.min() == 0
    assert found.layer.max() == model.cfg.n_layers - 1
    columns = (found.layer, found.position, found.feature, found.value)
    for layer, position, feature, value in zip(*(c.tolist() for c in columns), strict=True):
        transcoder = model.transcoders[layer]
        x = cache[f"blocks.{layer}.mlp.hook_in"][0, position].double()
        expected = x @ transcoder.W_enc[feature].double() + transcoder.b_enc[feature].double()
        assert abs(float(expected) - value) < 1e-5
