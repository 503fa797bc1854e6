"""Transcoder sets, from a local folder or the hub, in circuit-tracer's own format.

A folder holds ``config.yaml`` and safetensors files; ``transcoders:`` lists file names
relative to the folder, or ``hf://`` addresses. Pickles and npz files are not read.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
import yaml
from circuit_tracer.transcoder import TranscoderSet
from circuit_tracer.transcoder.cross_layer_transcoder import CrossLayerTranscoder
from circuit_tracer.utils.hf_utils import load_transcoder_from_hub, load_transcoders
from safetensors import SafetensorError

from pipeline.models.files import one_line, read_mapping, require_file, require_sound
from store.base.errors import UserError
from store.documents.manifest import Source

# Larger sets are read from disk, row by row, where circuit-tracer can.
_LAZY_ABOVE_BYTES: Final = 4 * 2**30
_HOOKS: Final = {"feature_input_hook": "mlp.hook_in", "feature_output_hook": "mlp.hook_out"}


@dataclass(frozen=True, kw_only=True)
class TranscoderFacts:
    """Sizes and hooks of a transcoder set."""

    n_layers: int
    d_model: int
    d_transcoder: int
    feature_input_hook: str
    feature_output_hook: str


def read_transcoder_facts(source: Source) -> TranscoderFacts:
    """Sizes and hooks, without reading encoders and decoders."""
    transcoders = _load(source, torch.device("cpu"), torch.float32, lazy=True)
    return TranscoderFacts(
        n_layers=len(transcoders),
        d_model=transcoders[0].d_model,
        d_transcoder=dictionary_size(transcoders),
        feature_input_hook=transcoders.feature_input_hook,
        feature_output_hook=transcoders.feature_output_hook,
    )


def dictionary_size(transcoders: TranscoderSet | CrossLayerTranscoder) -> int:
    """Features of a layer."""
    if isinstance(transcoders, CrossLayerTranscoder):
        return transcoders.d_transcoder
    return transcoders[0].d_transcoder


def read_transcoders(source: Source, *, dtype: torch.dtype, device: torch.device) -> TranscoderSet:
    """Load a transcoder set.

    Raises
    ------
    UserError
        It is missing, incomplete, or of a kind that is not supported.
    """
    facts = read_transcoder_facts(source)
    n_weights = 2 * facts.n_layers * facts.d_model * facts.d_transcoder
    return _load(source, device, dtype, lazy=n_weights * dtype.itemsize > _LAZY_ABOVE_BYTES)


def _load(source: Source, device: torch.device, dtype: torch.dtype, *, lazy: bool) -> TranscoderSet:
    folder = Path(source.source)
    try:
        if folder.is_dir():
            transcoders = load_transcoders(
                _local_config(folder), device, dtype, lazy_encoder=lazy, lazy_decoder=lazy
            )
        else:
            at = f"@{source.revision}" if source.revision else ""
            transcoders, _ = load_transcoder_from_hub(
                source.source + at,
                device,
                dtype,
                lazy_encoder=lazy,
                lazy_decoder=lazy,
                use_cache=False,
            )
    except (FileNotFoundError, KeyError, AssertionError, SafetensorError, yaml.YAMLError) as error:
        raise UserError(
            f"The transcoders {source.source} cannot be read ({one_line(error)}); they must be a folder with "
            "config.yaml and one safetensors file a layer, as circuit-tracer 0.5.0 reads them."
        ) from error
    if not isinstance(transcoders, TranscoderSet):
        raise UserError(
            f"The transcoders {source.source} are cross-layer transcoders; only sets with one "
            "transcoder a layer (model_kind: transcoder_set) are supported."
        )
    return transcoders


def _local_config(folder: Path) -> dict[str, Any]:
    path = require_file(folder, "config.yaml", "transcoders")
    config = read_mapping(path)
    if config.get("model_kind") != "transcoder_set":
        raise UserError(f"{path} must say `model_kind: transcoder_set`; no other kind is supported.")
    for hook, usual in _HOOKS.items():
        if not isinstance(config.get(hook), str):
            raise UserError(
                f"{path}: {hook} is {config.get(hook)!r}; write where in a layer the transcoders "
                f"read or write, such as `{hook}: {usual}`."
            )
    if not isinstance(config.get("transcoders", []), list | None):
        raise UserError(f"{path}: `transcoders` must be a list of file names, one a layer; mend it.")
    names = config.get("transcoders") or [p.name for p in sorted(folder.glob("layer_*.safetensors"))]
    if config.get("transcoders") is None:
        names = [f"layer_{i}.safetensors" for i in range(len(names))]
    paths = []
    for name in names:
        if str(name).startswith("hf://"):
            paths.append(str(name))
            continue
        if not str(name).endswith(".safetensors"):
            raise UserError(f"{path}: {name} is not a safetensors file, which is all that is read.")
        paths.append(str(require_sound(require_file(folder, str(name), "transcoders"))))
    if not paths:
        raise UserError(f"{path} names no transcoders, and there is no layer_0.safetensors beside it.")
    return {**config, "transcoders": paths, "scan": config.get("scan") or folder.name}
