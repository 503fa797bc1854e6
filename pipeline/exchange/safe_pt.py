"""Read circuit-tracer's ``.pt`` graphs of any origin: nothing in a file is ever executed.

A ``.pt`` is a zip archive of raw tensors and a pickle that names them. circuit-tracer
unpickles whatever is there, and torch's restricted unpickler still makes any `bytearray`;
here no unpickler reads it (see `pt_pickle`), and then everything is checked.
"""

from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from circuit_tracer.attribution.targets import LogitTarget
from circuit_tracer.graph import Graph
from circuit_tracer.utils.tl_nnsight_mapping import UnifiedConfig

from pipeline.exchange.pt_archive import PtArchive, RefusedError, open_archive, shown
from pipeline.exchange.pt_pickle import StoredNumbers, StoredTensor, read_pickle
from store.base.errors import UserError

_FLOATS: Final = (torch.float32, torch.bfloat16, torch.float16)
_TENSORS: Final = {
    "adjacency_matrix": (2, (torch.float32,)),
    "active_features": (2, (torch.int64,)),
    "activation_values": (1, _FLOATS),
    "selected_features": (1, (torch.int64,)),
    "input_tokens": (1, (torch.int64,)),
    "logit_probabilities": (1, _FLOATS),
}
"""Dims and dtypes of a graph's tensors, as circuit-tracer 0.5.0 writes them."""
_OTHERS: Final = {"input_string", "cfg", "logit_targets", "vocab_size", "scan"}
_COUNTS: Final = ("n_layers", "d_model", "d_head", "n_heads", "d_mlp", "d_vocab")
_NAMES: Final = ("tokenizer_name", "model_name", "original_architecture")
_LARGEST: Final = np.iinfo(np.int32).max
_ROWS: Final = 1024
"""Rows of an adjacency that are looked at together: all of its edges at once take ten times its memory."""


def read_graph(path: Path) -> Graph:
    """Read a graph that circuit-tracer 0.5.0 wrote with ``Graph.to_pt``.

    Returns
    -------
    Graph
        On the CPU; sizes agree, numbers are finite, indices in range, and every edge leads
        from a lower layer to a higher one.

    Raises
    ------
    UserError
        The file is missing, damaged, holds anything else than a graph's tensors and plain
        values, or the graph contradicts itself; the message says what and what to do.
    """
    content = _load(path)
    _check_content(path, content)
    targets = content["logit_targets"]
    if isinstance(targets, torch.Tensor):  # as written before 0.5; `Graph.from_pt` does the same
        targets = [LogitTarget(token_str="", vocab_idx=token) for token in targets.tolist()]
    graph = Graph(**{**content, "logit_targets": targets})
    _check_sizes(path, graph)
    _check_indices(path, graph)
    _check_numbers(path, graph)
    _check_edges(path, graph)
    return graph


def node_name(graph: Graph, node: int) -> str:
    """What a row of the adjacency is, in words."""
    n_features, n_positions = len(graph.selected_features), len(graph.input_tokens)
    n_errors = graph.cfg.n_layers * n_positions
    if node < n_features:
        chosen = graph.active_features[graph.selected_features[node]]
        layer, position, feature = chosen.tolist()
        return f"feature L{layer}/{feature} at position {position}"
    if node < n_features + n_errors:
        layer, position = divmod(node - n_features, n_positions)
        return f"the error of layer {layer} at position {position}"
    node -= n_features + n_errors
    if node < n_positions:
        return f"the token at position {node}"
    return f"the logit of token {graph.logit_targets[node - n_positions].vocab_idx}"


def _load(path: Path) -> dict[str, Any]:
    try:
        with open_archive(path) as archive:
            content = read_pickle(archive.pickle())
            if not isinstance(content, dict):
                raise RefusedError(f"it holds a {type(content).__name__}, not a graph's tensors by name")
            _check_names(path, content)
            return _with_numbers(content, archive)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; name a .pt file of circuit-tracer's.") from None
    except RefusedError as error:
        raise _refused(path, str(error)) from error
    except OSError as error:
        raise _refused(path, f"it cannot be read ({error.strerror})") from error


def _with_numbers(content: dict[str, Any], archive: PtArchive) -> dict[str, Any]:
    """The content with tensors in place of what describes them; those of one record share it."""
    records: dict[StoredNumbers, torch.Tensor] = {}
    for name, value in content.items():
        if isinstance(value, StoredTensor):
            if value.numbers not in records:
                records[value.numbers] = _numbers(value.numbers, archive)
            tensor = records[value.numbers].as_strided(value.size, value.stride, value.offset)
            content[name] = tensor
    return content


def _numbers(stored: StoredNumbers, archive: PtArchive) -> torch.Tensor:
    size = archive.size(stored.key)
    if size != stored.n_elements * stored.dtype.itemsize:
        raise RefusedError("a tensor in it is longer or shorter than its numbers")
    numbers = torch.empty(stored.n_elements, dtype=stored.dtype)
    archive.fill(stored.key, numbers.view(torch.uint8).numpy().data)
    return numbers


def _check_names(path: Path, content: dict[str, Any]) -> None:
    wanted = _TENSORS.keys() | _OTHERS
    if missing := sorted(wanted - content.keys()):
        raise _refused(path, f"it has no {', '.join(missing)}; save it with circuit-tracer 0.5")
    if unknown := content.keys() - wanted:
        names = shown(", ".join(sorted(unknown)))
        raise _refused(path, f"it has {names}, which circuit-tracer 0.5.0 does not write")


def _check_content(path: Path, content: dict[str, Any]) -> None:
    for name, (dims, dtypes) in _TENSORS.items():
        _check_tensor(path, name, content[name], dims, dtypes)
    targets = content["logit_targets"]
    if isinstance(targets, torch.Tensor):
        _check_tensor(path, "logit_targets", targets, 1, (torch.int64,))
    elif not isinstance(targets, list) or not all(map(_is_target, targets)):
        raise _refused(path, "its logit_targets are not texts with token ids")
    if type(content["input_string"]) is not str:
        raise _refused(path, "its input_string is no text")
    if not (type(content["vocab_size"]) is int and 0 < content["vocab_size"] <= _LARGEST):
        raise _refused(path, "its vocab_size is no number of tokens")
    scan = content["scan"]
    scans = scan if isinstance(scan, list) else [] if scan is None else [scan]
    if not all(map(_is_text, scans)):
        raise _refused(path, "its scan is no name of transcoders")
    _check_config(path, content["cfg"])


def _is_target(target: Any) -> bool:
    return type(target) is LogitTarget and _is_text(target.token_str) and type(target.vocab_idx) is int


def _is_text(value: Any) -> bool:
    """A text of whole characters, which can be printed: half a surrogate pair cannot."""
    return type(value) is str and not any("\ud800" <= character <= "\udfff" for character in value)


def _check_tensor(path: Path, name: str, tensor: Any, dims: int, dtypes: tuple[torch.dtype, ...]) -> None:
    if type(tensor) is not torch.Tensor:
        raise _refused(path, f"its {name} is no tensor")
    if tensor.dtype not in dtypes or tensor.dim() != dims:
        wanted = " or ".join(str(dtype).removeprefix("torch.") for dtype in dtypes)
        kind = f"{str(tensor.dtype).removeprefix('torch.')} with {tensor.dim()} dims"
        raise _refused(path, f"its {name} is {kind}, not {wanted} with {dims}")


def _check_config(path: Path, config: Any) -> None:
    known = type(config) is UnifiedConfig and vars(config).keys() == {f.name for f in fields(UnifiedConfig)}
    if not known:
        raise _refused(path, "its cfg is no model configuration of circuit-tracer 0.5.0")
    heads = config.n_key_value_heads
    sound = (
        all(type(getattr(config, name)) is int and getattr(config, name) > 0 for name in _COUNTS)
        and all(_is_text(getattr(config, name)) for name in _NAMES)
        and (heads is None or (type(heads) is int and heads > 0))
        and (isinstance(config.dtype, torch.dtype | None) or _is_text(config.dtype))
    )
    if not sound:
        raise _refused(path, "its cfg has a size that is no positive number, or a name that is no text")


def _check_sizes(path: Path, graph: Graph) -> None:
    n_selected, n_positions = len(graph.selected_features), len(graph.input_tokens)
    n_logits = len(graph.logit_targets)
    if not (n_positions and n_logits and n_selected):
        raise _refused(path, "it has no token, no logit or no feature")
    wanted = n_selected + (graph.cfg.n_layers + 1) * n_positions + n_logits
    if graph.adjacency_matrix.shape != (wanted, wanted):
        shape = " x ".join(map(str, graph.adjacency_matrix.shape))
        raise _refused(
            path,
            f"its adjacency is {shape}, but {n_selected} features, {graph.cfg.n_layers} layers, "
            f"{n_positions} tokens and {n_logits} logits make {wanted}",
        )
    if graph.active_features.shape[1] != 3:
        raise _refused(path, "its active_features are not layer, position and feature")
    if len(graph.activation_values) != len(graph.active_features):
        raise _refused(
            path,
            f"it has {len(graph.active_features)} active features, "
            f"but {len(graph.activation_values)} activations",
        )
    if len(graph.logit_probabilities) != n_logits:
        raise _refused(path, f"it has {n_logits} logits, but {len(graph.logit_probabilities)} probabilities")


def _check_indices(path: Path, graph: Graph) -> None:
    active = graph.active_features
    limits = torch.tensor([min(graph.cfg.n_layers, 2**15), len(graph.input_tokens), _LARGEST])
    if len(active) and not ((active >= 0) & (active < limits)).all():
        raise _refused(path, "an active feature is in a layer or at a position that there is not")
    if len(torch.unique(active, dim=0)) != len(active):
        raise _refused(path, "an active feature is listed twice")
    selected = graph.selected_features
    if int(selected.min()) < 0 or int(selected.max()) >= len(active) or (selected.diff() <= 0).any():
        raise _refused(path, "its selected features are not distinct active ones in ascending order")
    tokens = [*graph.input_tokens.tolist(), *(target.vocab_idx for target in graph.logit_targets)]
    if min(tokens) < 0 or max(tokens) >= _LARGEST:
        raise _refused(path, "a token id is negative or too large")


def _check_numbers(path: Path, graph: Graph) -> None:
    values = graph.activation_values
    if not (torch.isfinite(values) & (values != 0)).all():
        raise _refused(path, "an activation is NaN, infinite or 0, which is not active")
    probabilities = graph.logit_probabilities
    if not (torch.isfinite(probabilities) & (probabilities >= 0)).all():
        raise _refused(path, "a probability is negative, NaN or infinite")
    for first in range(0, len(graph.adjacency_matrix), _ROWS):
        bad = (~torch.isfinite(graph.adjacency_matrix[first : first + _ROWS])).nonzero()
        if len(bad):
            target, source = bad[0].tolist()
            names = [node_name(graph, node) for node in (source, first + target)]
            raise _refused(path, f"the edge from {names[0]} to {names[1]} is NaN or infinite")


def _check_edges(path: Path, graph: Graph) -> None:
    n_selected, n_positions = len(graph.selected_features), len(graph.input_tokens)
    n_layers, n_logits = graph.cfg.n_layers, len(graph.logit_targets)
    level = np.concatenate(
        [
            graph.active_features[graph.selected_features, 0].numpy(),
            np.repeat(np.arange(n_layers), n_positions),
            np.full(n_positions, -1),
            np.full(n_logits, n_layers),
        ]
    )
    receives = np.ones(len(level), dtype=bool)
    receives[n_selected:-n_logits] = False  # errors and tokens are sources alone
    adjacency = graph.adjacency_matrix.numpy()
    for first in range(0, len(adjacency), _ROWS):
        target, source = np.nonzero(adjacency[first : first + _ROWS])
        target += first
        wrong = np.flatnonzero((level[source] >= level[target]) | ~receives[target])
        if len(wrong):
            names = [node_name(graph, int(ends[wrong[0]])) for ends in (source, target)]
            raise _refused(path, f"the edge from {names[0]} to {names[1]} does not lead upward")


def _refused(path: Path, why: str) -> UserError:
    return UserError(f"{path} was not read: {why}.")
