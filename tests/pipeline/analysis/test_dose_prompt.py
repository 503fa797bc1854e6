"""One prompt at every dose: tables against the stored arrays directly."""

import numpy as np
import pytest

from dashboard.graph.score_tables import contrasts_on
from pipeline.analysis.dose import dose_of
from pipeline.analysis.dose_prompt import (
    Dose,
    edge_responses,
    feature_responses,
    most_changed,
    response,
)
from store.schema.vocabulary import NODE_KINDS
from tests.support import demo
from tests.support.demo_graphs import WORDS
from tests.support.demo_writes import prompt_doses

NODE = ("kind", "layer", "position", "feature")


@pytest.fixture(scope="module")
def doses() -> list[Dose]:
    return prompt_doses()


def test_doses_are_read_from_names_and_ascend(doses: list[Dose]) -> None:
    assert dose_of("base") == 0
    assert dose_of("a-b@-1.5") == -1.5
    assert dose_of("a-b:20@1.0") == 20
    assert [dose.dose for dose in doses] == [0.0, *demo.SCALES]


def test_response_is_the_probability_of_the_labelled_targets(doses: list[Dose]) -> None:
    frame = response(doses, WORDS.labels)
    assert len(frame) == 2 * len(doses)
    for amount, label, probability, n in frame[["dose", "label", "probability", "n"]].itertuples(index=False):
        dose = next(dose for dose in doses if dose.dose == amount)
        mine = [
            float(p)
            for token, p in zip(dose.arrays["target_token"], dose.arrays["target_probability"], strict=True)
            if WORDS.labels.get(int(token)) == label
        ]
        assert (probability, n) == (pytest.approx(sum(mine)), len(mine))
    assert response(doses, {}).empty, "an unlabelled token is neither evil nor safe"


def test_feature_responses_are_zero_where_inactive(doses: list[Dose]) -> None:
    last = doses[-1].arrays
    one = contrasts_on(last["target_token"], last["target_probability"], WORDS).first(1)
    frame = feature_responses(doses, one)
    pairs = {tuple(pair) for pair in frame[["layer", "feature"]].to_numpy().tolist()}
    assert len(frame) == len(pairs) * len(doses)
    seen_zero = False
    for layer, feature in sorted(pairs)[:25]:
        rows = frame[(frame["layer"] == layer) & (frame["feature"] == feature)]
        assert rows["dose"].to_list() == [dose.dose for dose in doses]
        for dose, activation, direct in zip(doses, rows["activation"], rows["direct"], strict=True):
            arrays = dose.arrays
            mine = (arrays["active_layer"] == layer) & (arrays["active_feature"] == feature)
            weights = one.on(arrays["target_token"])[0]
            seen_zero |= not mine.any()
            assert activation == pytest.approx(float(arrays["active_value"][mine].sum()), abs=1e-5)
            assert direct == pytest.approx(float((weights @ arrays["direct"][:, mine]).sum()), abs=1e-5)
    assert seen_zero
    layer, feature = most_changed(frame, 5)[0]
    spread = frame.groupby(["layer", "feature"])["direct"].agg(np.ptp)
    assert spread[layer, feature] == spread.max()


def test_edges_by_dose_are_stored_ones_or_zero_or_unknown(doses: list[Dose]) -> None:
    last = doses[-1].arrays
    features = last["node_kind"] == NODE_KINDS.index("feature")
    seen: set[str] = set()
    for layer, feature in set(
        zip(last["node_layer"][features].tolist(), last["node_feature"][features].tolist(), strict=True)
    ):
        frame = edge_responses(doses, layer, feature)
        for dose in doses:
            stored = edges_of(dose, layer, feature)
            active = set(zip(*(dose.arrays[f"active_{name}"].tolist() for name in NODE[1:]), strict=True))
            for row in frame.to_dict("records"):
                source, target = (
                    tuple(row[f"{end}_{name}"] for name in NODE) for end in ("source", "target")
                )
                if (source, target) in stored:
                    seen.add("stored")
                    assert row[dose.dose] == stored.pop((source, target))
                elif any(kind == 0 and tuple(where) not in active for kind, *where in (source, target)):
                    seen.add("inactive")
                    assert row[dose.dose] == 0
                else:
                    seen.add("unknown")
                    assert np.isnan(row[dose.dose])
            assert not stored, "every stored edge is in the table"
        weights = frame[[dose.dose for dose in doses]].to_numpy()
        spread = np.nanmax(weights, axis=1) - np.nanmin(weights, axis=1)
        assert (np.diff(spread) <= 0).all()
    assert seen == {"stored", "inactive", "unknown"}
    assert edge_responses(doses, 0, 10**6).empty


def edges_of(dose: Dose, layer: int, feature: int) -> dict[tuple[tuple[int, ...], tuple[int, ...]], float]:
    """Edges that have a feature at an end, by both ends."""
    arrays = dose.arrays
    nodes = list(zip(*(arrays[f"node_{name}"].tolist() for name in NODE), strict=True))
    return {
        (nodes[source], nodes[target]): float(weight)
        for source, target, weight in zip(
            arrays["edge_source"], arrays["edge_target"], arrays["edge_weight"], strict=True
        )
        if (0, layer, feature) in {(kind, at, of) for kind, at, _, of in (nodes[source], nodes[target])}
    }
