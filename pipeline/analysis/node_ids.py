"""Ids of nodes that every graph of a prompt shares; never a row number."""

import pandas as pd


def node_ids(nodes: pd.DataFrame) -> list[str]:
    """Id of every node, the same in every graph of the prompt.

    Parameters
    ----------
    nodes
        As `GraphView.nodes`; adapter nodes have a `part`, too, and their component as feature.
    """
    parts = nodes["part"] if "part" in nodes else [""] * len(nodes)
    out = []
    for kind, layer, position, feature, part in zip(
        nodes["kind"], nodes["layer"], nodes["position"], nodes["feature"], parts, strict=True
    ):
        match str(kind):
            case "feature":
                out.append(f"F{layer}.{feature}.{position}")
            case "error":
                out.append(f"E{layer}.{position}")
            case "adapter":
                which = part if feature < 0 else f"{part}.{feature}"
                out.append(f"A{layer}.{which}.{position}")
            case "token":
                out.append(f"T{feature}.{position}")
            case _:
                out.append(f"O{feature}.{position}")
    return out
