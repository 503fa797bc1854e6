"""From rows of the engine to circuit-tracer's graph, and to what the graph leaves out."""

from dataclasses import dataclass

import torch
from circuit_tracer.graph import Graph

from pipeline.attribution.engine import Attribution, Rows, zeros
from pipeline.models.replacement import ReplacementModel


def rows_of(attribution: Attribution, rows: Rows, selected: torch.Tensor) -> torch.Tensor:
    """Row of the graph of each row of the engine; logits come last."""
    if rows.layer < len(attribution.frozen.layers):
        return torch.searchsorted(selected, rows.index)
    n_layers, n_pos, _ = attribution.sources.errors.shape
    return len(selected) + (n_layers + 1) * n_pos + rows.index


def assemble(attribution: Attribution, model: ReplacementModel, token_ids: torch.Tensor) -> Graph:
    """circuit-tracer's graph of the rows that have been computed, on the CPU.

    Every visited feature is a node.
    """
    sources, targets = attribution.sources, attribution.targets
    selected = attribution.visited.nonzero().squeeze(1)
    errors = sources.error_column.flatten()
    tokens = torch.arange(len(sources.tokens), device=errors.device)
    # Columns of the nodes, in circuit-tracer's order; those of each kind ascend.
    kinds = (sources.feature_column[selected], errors, tokens)
    n_nodes = sum(map(len, kinds)) + len(targets)
    adjacency = zeros(n_nodes, n_nodes, torch.device("cpu"))
    for rows in attribution.rows:
        at = rows_of(attribution, rows, selected).cpu()
        # A layer's rows all at once, as when every feature is selected: several times faster.
        in_a_row = torch.equal(at, torch.arange(int(at[0]), int(at[0]) + len(at), device=at.device))
        first = 0
        for columns in kinds:
            reached = columns[columns < rows.edges.shape[1]]
            block = rows.edges[:, reached].cpu()
            part = adjacency[:, first : first + len(reached)]
            if in_a_row:
                part[int(at[0]) : int(at[-1]) + 1] = block
            else:
                part.index_copy_(0, at, block)
            first += len(columns)
    return Graph(
        input_string=model.tokenizer.decode(token_ids),
        input_tokens=token_ids.cpu(),
        logit_targets=targets.logit_targets,
        logit_probabilities=targets.logit_probabilities.cpu(),
        vocab_size=targets.vocab_size,
        active_features=sources.features.cpu(),
        activation_values=sources.activations.cpu(),
        selected_features=selected.cpu(),
        adjacency_matrix=adjacency,
        cfg=model.cfg,
        scan=model.scan,
    )


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """What rows hold beside the graph; rows are selected features, then logits, on the CPU.

    Attributes
    ----------
    direct
        Direct effects of all active features on the logits; (target, active) float32.
    unselected, constant
        What unselected features and constant sources add; (row,) float32.
    extra
        Direct effects of extra sources; (row, extra columns) float32.
    """

    direct: torch.Tensor
    unselected: torch.Tensor
    constant: torch.Tensor
    extra: torch.Tensor


def gather(attribution: Attribution) -> Gathered:
    """Collect from every row what is no edge of the graph."""
    sources = attribution.sources
    selected = attribution.visited.nonzero().squeeze(1)
    n_logits = len(attribution.targets)
    device = selected.device
    left_out = torch.zeros(sources.n_columns, dtype=torch.bool, device=device)
    left_out[sources.feature_column[~attribution.visited]] = True
    n_rows = len(selected) + n_logits
    unselected, constant = torch.zeros(2, n_rows, device=device)
    extra = torch.zeros(n_rows, sources.extra.n_columns, device=device)
    for rows in attribution.rows:
        is_logit = rows.layer == len(attribution.frozen.layers)
        where = len(selected) + rows.index if is_logit else torch.searchsorted(selected, rows.index)
        mask = left_out[: rows.edges.shape[1]]
        if mask.any():
            unselected[where] = rows.edges[:, mask].sum(1)
        constant[where] = rows.constant
        extra[where] = rows.extra
        if is_logit:
            direct = rows.edges[:, sources.feature_column]
    return Gathered(
        direct=direct.cpu(), unselected=unselected.cpu(), constant=constant.cpu(), extra=extra.cpu()
    )
