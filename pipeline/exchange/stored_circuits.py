"""Circuits of behaviours as graphs for other programs: GraphML, and networkx's node-link JSON."""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import numpy as np

from store.datasets.groups import open_dataset
from store.schema.circuits import CIRCUITS

_NAMESPACE: Final = "http://graphml.graphdrawing.org/xmlns"
_TYPES: Final = {bool: "boolean", int: "long", float: "double", str: "string"}
_CELL: Final = ("variant", "behaviour")
_ENDS: Final = tuple(f"{end}_{part}" for end in ("source", "target") for part in ("layer", "index"))
Attributes = dict[str, Any]


def circuit_files(folder: Path, variant: str) -> Iterator[tuple[str, bytes]]:
    """``circuit_<behaviour>.graphml`` and ``circuit_<behaviour>.json`` of a variant's circuits, by name.

    Nodes are features, named ``L14/12426``, with the columns of `circuits/circuit`; edges go from source to
    target, with those of `circuits/edges`; the graph's own attributes are those of `circuits/summary`. What
    is not known is left out. A variant that was not traced has none.

    Parameters
    ----------
    folder
        The profile's artifacts.
    variant
        Whose circuits.

    Raises
    ------
    ArtifactMissingError
        The stage has not run.
    """
    dataset = folder / CIRCUITS.kind
    summary = open_dataset(dataset, "summary").load()
    rows, edges = (
        {str(name): array.values for name, array in open_dataset(dataset, group).load().variables.items()}
        for group in ("circuit", "edges")
    )
    if variant not in summary["variant"].values:
        return
    for behaviour in map(str, summary["behaviour"].values):
        cell = summary.sel(variant=variant, behaviour=behaviour)
        if not int(cell["n_train"]):
            continue
        graph = _known({"variant": variant, "behaviour": behaviour} | {str(n): cell[n].item() for n in cell})
        nodes = {_node(rows, row, ""): _row(rows, row, _CELL) for row in _of_cell(rows, variant, behaviour)}
        links = {
            (_node(edges, row, "source_"), _node(edges, row, "target_")): _row(edges, row, (*_CELL, *_ENDS))
            for row in _of_cell(edges, variant, behaviour)
        }
        yield f"circuit_{behaviour}.graphml", graphml(graph, nodes, links)
        yield f"circuit_{behaviour}.json", node_link(graph, nodes, links)


def graphml(
    graph: Attributes, nodes: Mapping[str, Attributes], edges: Mapping[tuple[str, str], Attributes]
) -> bytes:
    """A directed graph as GraphML (http://graphml.graphdrawing.org), which networkx reads back equal.

    Parameters
    ----------
    graph
        Its own attributes: texts, numbers and truth values, here and below.
    nodes
        Attributes by id.
    edges
        Attributes by ids of source and target.
    """
    root = ElementTree.Element("graphml", xmlns=_NAMESPACE)
    keys: dict[tuple[str, str], str] = {}
    parts = {"graph": [graph], "node": [*nodes.values()], "edge": [*edges.values()]}
    for kind, elements in parts.items():
        for name, value in {name: value for of in elements for name, value in of.items()}.items():
            keys[kind, name] = f"d{len(keys)}"
            typed = {"for": kind, "attr.name": name, "attr.type": _TYPES[type(value)]}
            ElementTree.SubElement(root, "key", {"id": keys[kind, name], **typed})
    top = ElementTree.SubElement(root, "graph", edgedefault="directed")

    def fill(element: ElementTree.Element, kind: str, values: Attributes) -> None:
        for name, value in values.items():
            data = ElementTree.SubElement(element, "data", key=keys[kind, name])
            data.text = str(value).lower() if isinstance(value, bool) else str(value)

    fill(top, "graph", graph)
    for name, values in nodes.items():
        fill(ElementTree.SubElement(top, "node", id=name), "node", values)
    for (source, target), values in edges.items():
        fill(ElementTree.SubElement(top, "edge", source=source, target=target), "edge", values)
    ElementTree.indent(root, " ")
    text: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def node_link(
    graph: Attributes, nodes: Mapping[str, Attributes], edges: Mapping[tuple[str, str], Attributes]
) -> bytes:
    """The same as JSON for ``networkx.node_link_graph(..., edges="edges")``."""
    found = {
        "directed": True,
        "multigraph": False,
        "graph": graph,
        "nodes": [{"id": name, **values} for name, values in nodes.items()],
        "edges": [
            {"source": source, "target": target, **values} for (source, target), values in edges.items()
        ],
    }
    return f"{json.dumps(found, ensure_ascii=False, indent=1, allow_nan=False)}\n".encode()


def _of_cell(table: Mapping[str, np.ndarray], variant: str, behaviour: str) -> list[int]:
    mine = (table["variant"] == variant) & (table["behaviour"] == behaviour)
    rows: list[int] = np.flatnonzero(mine).tolist()
    return rows


def _node(table: Mapping[str, np.ndarray], row: int, end: str) -> str:
    return f"L{table[f'{end}layer'][row]}/{table[f'{end}index'][row]}"


def _row(table: Mapping[str, np.ndarray], row: int, without: tuple[str, ...]) -> Attributes:
    return _known({name: of[row].item() for name, of in table.items() if name not in without})


def _known(values: Attributes) -> Attributes:
    return {name: of for name, of in values.items() if not (isinstance(of, float) and math.isnan(of))}
