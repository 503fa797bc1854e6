"""Transcoder sets, from a local folder or the hub, in circuit-tracer's own format.

A folder holds ``config.yaml`` and safetensors files; ``transcoders:`` lists file names
relative to the folder, or ``hf://`` addresses. Pickles and npz files are not read.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from circuit_tracer.transcoder import TranscoderSet
from circuit_tracer.transcoder.cross_layer_transcoder import CrossLayerTranscoder
from circuit_tracer.utils.hf_utils import load_transcoders, resolve_transcoder_paths
from huggingface_hub import hf_hub_download
from safetensors import SafetensorError

from pipeline.models.files import LIBRARY_ERRORS, require_file
from pipeline.models.transcoder_forms import SetForm, read_set_form, require_layers
from store.base.errors import UserError
from store.base.parsing import one_line
from store.documents.manifest import Source

# Larger sets are read from disk, row by row, where circuit-tracer can.
_LAZY_ABOVE_BYTES: Final = 4 * 2**30
CONFIG: Final = "config.yaml"


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
    local = Path(source.source).is_dir()
    try:
        config, form = _local(Path(source.source)) if local else _of_hub(source)
        if "gemma-scope" in config.get("repo_id", "") and "transcoders" in config:
            # circuit-tracer reads these in formats of their own, JumpReLU all of them.
            if form.activation not in {None, "jump_relu"}:
                raise UserError(
                    f"{form.path}: activation is {form.activation}, but GemmaScope's is JumpReLU."
                )
        else:
            paths = resolve_transcoder_paths(config)
            require_layers(form, [Path(paths[layer]) for layer in range(len(paths))])
        transcoders = load_transcoders(config, device, dtype, lazy_encoder=lazy, lazy_decoder=lazy)
    except (*LIBRARY_ERRORS, SafetensorError) as error:
        raise UserError(
            f"The transcoders {source.source} cannot be read ({one_line(error)}); they must be a folder with "
            "config.yaml and one safetensors file a layer, as circuit-tracer 0.5.0 reads them."
        ) from error
    return form.applied(transcoders)


def _local(folder: Path) -> tuple[dict[str, Any], SetForm]:
    """circuit-tracer's configuration of a folder, with whole paths."""
    form = read_set_form(require_file(folder, CONFIG, "transcoders"), str(folder))
    names = form.content.get("transcoders")
    if names is None:
        names = [f"layer_{i}.safetensors" for i in range(len(list(folder.glob("layer_*.safetensors"))))]
    paths = []
    for name in names:
        if not name.startswith("hf://"):
            if not name.endswith(".safetensors"):
                raise UserError(
                    f"{form.path}: {one_line(name)} is not a safetensors file, which is all that is read."
                )
            name = str(require_file(folder, name, "transcoders"))
        paths.append(name)
    return {**form.content, "transcoders": paths, "scan": form.content.get("scan") or folder.name}, form


def _of_hub(source: Source) -> tuple[dict[str, Any], SetForm]:
    """circuit-tracer's configuration of a hub repository, as its own `load_transcoder_from_hub` has it."""
    path = Path(hf_hub_download(source.source, CONFIG, revision=source.revision))
    form = read_set_form(path, source.source)
    at = f"@{source.revision}" if source.revision else ""
    named = {"repo_id": source.source, "revision": source.revision, "scan": source.source + at}
    return {**form.content, **named}, form
