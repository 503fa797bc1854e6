"""Read circuit-tracer's ``.pt`` graphs of any origin: nothing in a file is ever executed.

A ``.pt`` is a zip archive of raw tensors and a pickle that names them. circuit-tracer
unpickles whatever is there; here torch's restricted unpickler reads it, which knows tensors,
plain values and the two classes of a graph, and then everything is checked.
"""

import zipfile
from dataclasses import fields
from pathlib import Path
from threading import Lock
from typing import Any, Final

import numpy as np
import torch
from circuit_tracer.attribution.targets import LogitTarget
from circuit_tracer.graph import Graph
from circuit_tracer.utils.tl_nnsight_mapping import UnifiedConfig

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
_SAFE_GLOBALS: Final = Lock()
"""torch's list of them is the whole process's: one reader would take it from another."""
_LARGEST: Final = np.iinfo(np.int32).max


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
        _require_sound_archive(path)
        with _SAFE_GLOBALS, torch.serialization.safe_globals([LogitTarget, UnifiedConfig]):
            if unsafe := torch.serialization.get_unsafe_globals_in_checkpoint(path):
                raise _refused(path, _unsafe(unsafe))
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; name a .pt file of circuit-tracer's.") from None
    except UserError:
        raise
    except Exception as error:
        # The file's bytes decide what is raised. Its message is not quoted: torch's advises
        # to read the file with everything allowed.
        raise _refused(
            path, "it is no archive of torch's, or damaged or truncated; copy or download it again"
        ) from error
    if not isinstance(content, dict):
        raise _refused(path, f"it holds a {type(content).__name__}, not a graph's tensors by name")
    return content


def _require_sound_archive(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        records = archive.infolist()
        # As torch writes; so nothing unfolds to more than the file is long.
        if any(record.compress_type != zipfile.ZIP_STORED for record in records):
            raise _refused(path, "it is compressed, and torch never writes so")
        if sum(record.file_size for record in records) > path.stat().st_size:
            raise _refused(path, "it claims to hold more than it is long")
        if damaged := archive.testzip():  # torch itself does not look at checksums
            raise _refused(path, f"{damaged} in it is damaged; copy or download it again")


def _unsafe(names: list[str]) -> str:
    listed = ", ".join(f"`{name}`" for name in sorted(names)[:3])
    return (
        f"it holds {listed}, and a graph of circuit-tracer 0.5 is tensors, numbers and texts alone; "
        "if you trust its author, let them save it again with that version"
    )


def _check_content(path: Path, content: dict[str, Any]) -> None:
    wanted = _TENSORS.keys() | _OTHERS
    if missing := sorted(wanted - content.keys()):
        raise _refused(path, f"it has no {', '.join(missing)}; save it with circuit-tracer 0.5")
    if unknown := content.keys() - wanted:
        names = ", ".join(sorted(key if type(key) is str else type(key).__name__ for key in unknown))
        raise _refused(path, f"it has {names}, which circuit-tracer 0.5.0 does not write")
    for name, (dims, dtypes) in _TENSORS.items():
        _check_tensor(path, name, content[name], dims, dtypes)
    targets = content["logit_targets"]
    if isinstance(targets, torch.Tensor):
        _check_tensor(path, "logit_targets", targets, 1, (torch.int64,))
    elif not isinstance(targets, list) or not all(map(_is_target, targets)):
        raise _refused(path, "its logit_targets are not texts with token ids")
    if type(content["input_string"]) is not str or type(content["vocab_size"]) is not int:
        raise _refused(path, "its input_string is no text, or its vocab_size no whole number")
    scan = content["scan"]
    scans = scan if isinstance(scan, list) else [] if scan is None else [scan]
    if not all(type(name) is str for name in scans):
        raise _refused(path, "its scan is no name of transcoders")
    _check_config(path, content["cfg"])


def _is_target(target: Any) -> bool:
    return type(target) is LogitTarget and type(target.token_str) is str and type(target.vocab_idx) is int


def _check_tensor(path: Path, name: str, tensor: Any, dims: int, dtypes: tuple[torch.dtype, ...]) -> None:
    plain = (
        type(tensor) is torch.Tensor
        and tensor.layout == torch.strided
        and tensor.device.type == "cpu"
        and not tensor.is_neg()
        # A few bytes can pose as a huge tensor by being read again and again.
        and tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()
    )
    if not plain:
        raise _refused(path, f"its {name} is no plain tensor")
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
        and all(type(getattr(config, name)) is str for name in _NAMES)
        and (heads is None or type(heads) is int)
        and isinstance(config.dtype, torch.dtype | str | None)
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
    bad = (~torch.isfinite(graph.adjacency_matrix)).nonzero()
    if len(bad):
        target, source = bad[0].tolist()
        raise _refused(
            path,
            f"the edge from {node_name(graph, source)} to {node_name(graph, target)} is NaN or infinite",
        )


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
    target, source = np.nonzero(graph.adjacency_matrix.numpy())
    receives = np.ones(len(level), dtype=bool)
    receives[n_selected:-n_logits] = False  # errors and tokens are sources alone
    wrong = np.flatnonzero((level[source] >= level[target]) | ~receives[target])
    if len(wrong):
        names = [node_name(graph, int(ends[wrong[0]])) for ends in (source, target)]
        raise _refused(path, f"the edge from {names[0]} to {names[1]} does not lead upward")


def _refused(path: Path, why: str) -> UserError:
    return UserError(f"{path} was not read: {why}.")
