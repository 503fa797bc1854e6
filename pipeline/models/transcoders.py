"""Transcoder sets, from a local folder or the hub, in circuit-tracer's own format.

A folder holds ``config.yaml`` and safetensors files; ``transcoders:`` lists file names
relative to the folder, or ``hf://`` addresses. Pickles and npz files are not read, but for
GemmaScope's. All of them are on this disk, at the commits of the manifest, before circuit-tracer
sees the set: it would follow branches.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import torch
from circuit_tracer.transcoder import TranscoderSet
from circuit_tracer.transcoder.cross_layer_transcoder import CrossLayerTranscoder
from circuit_tracer.utils.hf_utils import load_transcoders, parse_hf_uri
from safetensors import SafetensorError

from pipeline.models.files import LIBRARY_ERRORS, file_of, folder_of, pinned, read_mapping, require_file
from pipeline.models.hub import commit_of, fetched_file
from pipeline.models.hub_references import Reference
from pipeline.models.transcoder_forms import SetForm, read_set_form, require_layers
from store.base.errors import UserError
from store.base.hashing import digest
from store.base.parsing import one_line
from store.documents.manifest import Source, TranscoderSource

# Larger sets are read from disk, row by row, where circuit-tracer can.
_LAZY_ABOVE_BYTES: Final = 4 * 2**30
CONFIG: Final = "config.yaml"
_ADDRESS: Final = "hf://"


@dataclass(frozen=True, kw_only=True)
class TranscoderFacts:
    """Sizes and hooks of a transcoder set."""

    n_layers: int
    d_model: int
    d_transcoder: int
    feature_input_hook: str
    feature_output_hook: str


def pinned_set(text: str, revision: str | None) -> TranscoderSource:
    """Fingerprint a set, with the commits of all repositories that its files lie in.

    Parameters
    ----------
    text, revision
        As for `pipeline.models.files.pinned`.

    Raises
    ------
    UserError
        It is missing or damaged, or one of the repositories cannot be had.
    """
    source = pinned(text, revision, "transcoders")
    form = read_set_form(file_of(source, CONFIG, "transcoders"), source.source)
    names = [name for name in form.content.get("transcoders") or () if name.startswith(_ADDRESS)]
    references = {str(reference): reference for reference, _ in (_address(form.path, name) for name in names)}
    if not references:
        return TranscoderSource(**asdict(source))
    commits = {name: commit_of(references[name], "transcoders") for name in sorted(references)}
    return TranscoderSource(
        source=source.source,
        revision=source.revision,
        fingerprint=digest({"set": source.fingerprint, "repositories": commits}),
        repositories=commits,
    )


def read_transcoder_facts(source: TranscoderSource) -> TranscoderFacts:
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


def read_transcoders(source: TranscoderSource, *, dtype: torch.dtype, device: torch.device) -> TranscoderSet:
    """Load a transcoder set.

    Raises
    ------
    UserError
        It is missing, incomplete, or of a kind that is not supported.
    """
    facts = read_transcoder_facts(source)
    n_weights = 2 * facts.n_layers * facts.d_model * facts.d_transcoder
    return _load(source, device, dtype, lazy=n_weights * dtype.itemsize > _LAZY_ABOVE_BYTES)


def _load(source: TranscoderSource, device: torch.device, dtype: torch.dtype, *, lazy: bool) -> TranscoderSet:
    folder = folder_of(source, "transcoders")
    form = read_set_form(require_file(folder, CONFIG, "transcoders"), source.source)
    paths = [_path(source, folder, form, name) for name in _names(folder, form)]
    config = {**form.content, "transcoders": [str(path) for path in paths], "scan": scan_of(source)}
    if source.revision is not None:
        # circuit-tracer takes lists of some repositories for sets in formats of their own.
        config["repo_id"] = source.source if "transcoders" in form.content else ""
    try:
        if "gemma-scope" in config.get("repo_id", "") and "transcoders" in form.content:
            # circuit-tracer reads these in formats of their own, JumpReLU all of them.
            if form.activation not in {None, "jump_relu"}:
                raise UserError(
                    f"{form.path}: activation is {form.activation}, but GemmaScope's is JumpReLU."
                )
        else:
            require_layers(form, paths)
        transcoders = load_transcoders(config, device, dtype, lazy_encoder=lazy, lazy_decoder=lazy)
    except (*LIBRARY_ERRORS, SafetensorError) as error:
        raise UserError(
            f"The transcoders {source.source} cannot be read ({one_line(error)}); they must be a folder with "
            "config.yaml and one safetensors file a layer, as circuit-tracer 0.5.0 reads them."
        ) from error
    return form.applied(transcoders)


def scan_of(source: Source) -> str:
    """circuit-tracer's identifier of a transcoder set, without reading its weights."""
    if source.revision is not None:
        return f"{source.source}@{source.revision}"
    config = read_mapping(require_file(Path(source.source), CONFIG, "transcoders"))
    return str(config.get("scan") or Path(source.source).name)


def _names(folder: Path, form: SetForm) -> Sequence[str]:
    """Files of a set, one a layer, as its configuration names them."""
    names: Sequence[str] | None = form.content.get("transcoders")
    if names is None:
        return [f"layer_{i}.safetensors" for i in range(len(list(folder.glob("layer_*.safetensors"))))]
    return names


def _path(source: TranscoderSource, folder: Path, form: SetForm, name: str) -> Path:
    """The file on this disk that a set's configuration names."""
    if name.startswith(_ADDRESS):
        reference, file = _address(form.path, name)
        if (commit := source.repositories.get(str(reference))) is None:
            raise UserError(
                f"{form.path}: {one_line(name)} was not named when the models were looked at; run "
                "`dvc repro` to look at them again."
            )
        return fetched_file(replace(reference, revision=commit), file, "transcoders")
    if not name.endswith(".safetensors"):
        raise UserError(
            f"{form.path}: {one_line(name)} is not a safetensors file, which is all that is read."
        )
    return require_file(folder, name, "transcoders")


def _address(path: Path, text: str) -> tuple[Reference, str]:
    """The repository, at the revision that it is named with, and the file of an ``hf://`` address."""
    try:
        repository, file, revision = parse_hf_uri(text)
    except ValueError:
        repository, file, revision = "", None, None
    reference = Reference.parse(f"{repository}@{revision or 'main'}")
    if reference is None or not file or ".." in file.split("/"):
        raise UserError(
            f"{path}: {one_line(text)} is no address of a file on the hub; write "
            "`hf://owner/name/file.safetensors?revision=...`."
        )
    return reference, file
