"""A behaviour's graph as it is stored; gradients against finite differences of the real model."""

import numpy as np
import pytest
import torch
from transformer_lens.hook_points import HookPoint

from pipeline.attribution.trace import observe
from pipeline.behaviours.circuit_graphs import circuit_arrays, slopes
from pipeline.behaviours.virtual_weights import virtual_weights
from pipeline.models.replacement import ReplacementModel
from store.collections.item import Item
from store.format.validation import check_item
from store.schema.circuits import BEHAVIOUR_GRAPHS
from tests.support.builders import make_checkpoint
from tests.support.subjects import Case

RULE = {"max_feature_nodes": 100, "batch_size": 16, "node_edges": 4, "least_edge": 0.01}
RIGHT, WRONG = 17, 9


@pytest.fixture(scope="module", params=["llama per layer", "llama cross-layer", "gemma2 behind the norm"])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    architecture, _, kind = request.param.partition(" ")
    made = make_checkpoint(tmp_path_factory.mktemp("subject") / "x", architecture=architecture)
    return Case.of(made, kind)


def _adding(
    model: ReplacementModel, ids: list[int], layer: int, position: int, vector: torch.Tensor
) -> np.ndarray:
    """Logits of right and wrong where a vector is added to what the MLP writes, everything answering."""

    def add(output: torch.Tensor, hook: HookPoint) -> torch.Tensor:
        output[:, position] += vector
        return output

    logits = model.run_with_hooks(
        torch.tensor([ids]), fwd_hooks=[(f"blocks.{layer}.{model.original_feature_output_hook}", add)]
    )[0, -1]
    return logits[[RIGHT, WRONG]].double().numpy()


@torch.no_grad()
def test_gradients_are_finite_differences(case: Case) -> None:
    model = case.pool.replacement("base")
    _, sources = observe(model, case.ids)
    found = slopes(model, case.ids, (RIGHT, WRONG), sources).numpy()
    step, compared = 2e-3, 0
    for layer, blocks in enumerate(sources.blocks):
        for block in blocks[::4]:
            n = block.start
            # What a cross-layer feature writes elsewhere is left out of one layer's difference.
            if sum(each.start <= n < each.stop for of in sources.blocks for each in of) > 1:
                continue
            vector = step * block.vectors[0]
            more, less = (_adding(model, case.ids, layer, block.position, s * vector) for s in (1, -1))
            np.testing.assert_allclose(found[:, n], (more - less) / (2 * step), atol=2e-3, rtol=0.02)
            compared += 1
    assert compared >= 2
    assert np.abs(found).max() > 0.02
    assert not any(parameter.grad is not None for parameter in model.parameters())


def test_an_item_holds_what_was_traced(case: Case) -> None:
    model = case.pool.replacement("base")
    arrays, scalars = circuit_arrays(model, case.ids, RIGHT, WRONG, **RULE)
    item = Item(key="0" * 64, prompt_hash="0" * 12, variant="base", arrays=arrays, scalars=scalars)
    check_item(item, BEHAVIOUR_GRAPHS)
    _, sources = observe(model, case.ids)
    size = np.abs(arrays["active_value"] * slopes(model, case.ids, (RIGHT, WRONG), sources).numpy())
    np.testing.assert_allclose(arrays["gradient"], size[0], rtol=1e-5)
    np.testing.assert_allclose(arrays["gradient_contrast"], size[0] - size[1], atol=1e-6)
    layer = arrays["active_layer"]
    assert (layer[arrays["edge_source"]] < layer[arrays["edge_target"]]).all()
    assert np.bincount(arrays["edge_target"]).max() <= RULE["node_edges"]


def test_virtual_weights_are_products_of_the_files_rows(case: Case) -> None:
    model = case.pool.replacement("base")
    pairs = [(0, 3, 2, 5), (1, 7, 2, 5), (0, 60, 1, 1), (0, 3, 2, 6)]
    found = virtual_weights(model, pairs)
    if not hasattr(model.transcoders, "transcoders"):
        assert np.isnan(found).all()
        return
    files = [each.state_dict() for each in model.transcoders.transcoders]
    expected = [float(files[t]["W_enc"][j] @ files[s]["W_dec"][i]) for s, i, t, j in pairs]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert virtual_weights(model, []).shape == (0,)
