"""Pruning and scores of the part of a graph that an artifact holds."""

import numpy as np
import pytest

from pipeline.analysis.stored_graph import prune_stored, stored_scores
from store.views.graph import GraphView
from tests.support.graph_cases import graph_item, make_case


def test_a_view_says_when_it_is_not_exact() -> None:
    item = graph_item(make_case(3), keep=0.8)
    assert prune_stored(GraphView(item), 0.8).exact
    beyond = prune_stored(GraphView(item), 0.99)
    assert not beyond.exact
    assert beyond.share < 0.99
    assert not prune_stored(GraphView(graph_item(make_case(3), keep_edges=50))).exact
    for thresholds in ((1.5, 0.9), (0.5, -1)):
        with pytest.raises(ValueError, match="must be between 0 and 1"):
            prune_stored(GraphView(item), *thresholds)


def test_scores_of_pinned_features() -> None:
    graph = GraphView(graph_item(make_case(3), keep=1.0))
    every = stored_scores(graph)
    assert stored_scores(graph, np.ones(len(graph.nodes), dtype=bool)) == pytest.approx(every)
    few = np.zeros(len(graph.nodes), dtype=bool)
    few[:3] = True
    assert stored_scores(graph, few)[0] < every[0]
    assert stored_scores(graph, few)[1] < every[1]
