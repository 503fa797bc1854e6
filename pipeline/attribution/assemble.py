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
    everything = len(selected) == len(sources.features)
    n_layers, n_pos, _ = sources.errors.shape
    first_error = len(selected)
    first_token = first_error + n_layers * n_pos
    n_nodes = first_token + n_pos + len(targets)
    adjacency = zeros(n_nodes, n_nodes, torch.device("cpu"))
    for rows in attribution.rows:
        at = rows_of(attribution, rows, selected).cpu()
        features, errors, tokens = rows.edges.split(
            [sources.features_below[rows.layer], rows.layer * n_pos, n_pos], dim=1
        )
        if not everything:
            features = features[:, selected[selected < features.shape[1]]]
        # A layer's rows all at once, as when every feature is selected: several times faster.
        in_a_row = torch.equal(at, torch.arange(int(at[0]), int(at[0]) + len(at), device=at.device))
        for first, block in ((0, features), (first_error, errors), (first_token, tokens)):
            part = adjacency[:, first : first + block.shape[1]]
            if in_a_row:
                part[int(at[0]) : int(at[-1]) + 1] = block.cpu()
            else:
                part.index_copy_(0, at, block.cpu())
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
    n_rows = len(selected) + n_logits
    left_out = (~attribution.visited).float()
    unselected, constant = torch.zeros(2, n_rows, device=device)
    extra = torch.zeros(n_rows, sources.extra.n_columns, device=device)
    for rows in attribution.rows:
        is_logit = rows.layer == len(attribution.frozen.layers)
        where = len(selected) + rows.index if is_logit else torch.searchsorted(selected, rows.index)
        below = sources.features_below[rows.layer]
        # A product reads the edges where they lie; choosing the columns first would copy them.
        unselected[where] = rows.edges[:, :below] @ left_out[:below]
        constant[where] = rows.constant
        extra[where] = rows.extra
        if is_logit:
            direct = rows.edges[:, :below]
    return Gathered(
        direct=direct.cpu(), unselected=unselected.cpu(), constant=constant.cpu(), extra=extra.cpu()
    )
