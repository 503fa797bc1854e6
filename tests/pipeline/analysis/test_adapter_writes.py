"""What an adapter writes to: sums against the stored arrays directly."""

import numpy as np
import pytest

from pipeline.analysis.adapter_writes import change_on, feature_writes, layer_writes, logit_writes
from pipeline.analysis.node_scores import EVIL_SAFE, TargetContrasts
from store.schema.vocabulary import ADAPTER_PARTS
from store.views.adapter import AdapterView
from tests.support.demo_graphs import WORDS
from tests.support.demo_writes import adapter_view, asked_of


@pytest.fixture(scope="module")
def written() -> AdapterView:
    return adapter_view()


def test_change_and_the_share_of_patterns(written: AdapterView) -> None:
    arrays = written.item.arrays
    labels = [WORDS.labels.get(int(token)) for token in arrays["target_token"]]
    one = asked_of(written).first(1)
    assert one.names == [EVIL_SAFE]
    for value, name in zip(change_on(written, one), ("centred", "pattern"), strict=True):
        changes = arrays[f"target_{name}_change"]
        sides = [
            np.mean([c for c, of in zip(changes, labels, strict=True) if of == label])
            for label in ("evil", "safe")
        ]
        assert value == pytest.approx(sides[0] - sides[1], abs=1e-5)


@pytest.mark.parametrize("row", [0, 2])
def test_writes_on_logits_are_sums_over_nodes(written: AdapterView, row: int) -> None:
    every = asked_of(written)
    one = TargetContrasts(
        names=every.names[row : row + 1], tokens=every.tokens, weights=every.weights[row : row + 1]
    )
    arrays = written.item.arrays
    weights = one.on(arrays["target_token"])[0]
    frame = logit_writes(written, one)
    assert len(frame) == len(
        {*zip(arrays["source_part"].tolist(), arrays["source_layer"].tolist(), strict=True)}
    )
    for part, layer, direct, total in frame[["part", "layer", "direct", "total_effect"]].itertuples(
        index=False
    ):
        mine = (arrays["source_part"] == ADAPTER_PARTS.index(part)) & (arrays["source_layer"] == layer)
        assert direct == pytest.approx(float(weights @ arrays["source_direct"][:, mine].sum(1)), abs=1e-5)
        assert total == pytest.approx(
            float(weights @ arrays["source_total_effect"][:, mine].sum(1)), abs=1e-5
        )


def test_writes_on_features_are_sums_over_positions(written: AdapterView) -> None:
    arrays = written.item.arrays
    frame = feature_writes(written)
    sizes = frame["write"].abs().to_list()
    assert sizes == sorted(sizes, reverse=True)
    for row in frame.head(20).itertuples(index=False):
        mine = (arrays["write_layer"] == row.layer) & (arrays["write_feature"] == row.index)
        origin = (arrays["origin_part"] == ADAPTER_PARTS.index(row.part)) & (
            arrays["origin_layer"] == row.origin_layer
        )
        assert row.write == pytest.approx(float(arrays["write"][origin][:, mine].sum()), abs=1e-5)
        assert row.activation == pytest.approx(float(arrays["write_value"][mine].sum()), abs=1e-5)
    by_layer = layer_writes(frame)
    assert by_layer["size"].sum() == pytest.approx(frame["write"].abs().sum())
    assert by_layer["n"].sum() == len(frame)
    first = by_layer.iloc[0]
    assert first["origin"] == "down L0"
