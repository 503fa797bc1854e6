"""Transcoder sets, from a local folder or the hub, in circuit-tracer's own format.

A folder holds ``config.yaml`` and safetensors files; ``transcoders:`` lists file names
relative to the folder, or ``hf://`` addresses. Pickles and npz files are not read, but for
GemmaScope's (`pipeline.models.scope_forms`). All of them are on this disk, at the commits of the
manifest, before circuit-tracer sees the set: it would follow branches.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import torch
from circuit_tracer.transcoder.cross_layer_transcoder import load_clt
from circuit_tracer.utils.hf_utils import load_transcoders, parse_hf_uri
from safetensors import SafetensorError

from pipeline.models.dictionaries import Transcoders
from pipeline.models.files import (
    LIBRARY_ERRORS,
    at_commit,
    file_of,
    folder_of,
    names_in,
    pinned,
    read_mapping,
    require_file,
)
from pipeline.models.free_memory import free_bytes
from pipeline.models.headers import read_header, read_npz_header
from pipeline.models.hub import commit_of, fetched_file, kept_file, shapes_of
from pipeline.models.hub_references import Reference
from pipeline.models.scope_forms import is_scope, require_scope_layers, scope_of
from pipeline.models.transcoder_forms import (
    SetForm,
    decoder_file,
    encoder_file,
    no_files,
    read_set_form,
    require_cross_layer,
    require_layers,
)
from store.base.errors import UserError
from store.base.hashing import digest
from store.base.parsing import one_line
from store.documents.manifest import Source, TranscoderSource

# A set that takes more of its device's free memory is read from disk, by layer and row, where
# circuit-tracer can: the rest is for the model, gradients and rows.
RESIDENT_SHARE: Final = 0.5
CONFIG: Final = "config.yaml"
_ADDRESS: Final = "hf://"
_LAYER: Final = re.compile(r"layer_.*\.safetensors")
_ENCODER: Final = re.compile(r"W_enc_\d+\.safetensors")


@dataclass(frozen=True, kw_only=True)
class TranscoderFacts:
    """Sizes and hooks of a transcoder set; `held_whole`: in files that circuit-tracer cannot read by rows."""

    n_layers: int
    d_model: int
    d_transcoder: int
    feature_input_hook: str
    feature_output_hook: str
    cross_layer: bool = False
    held_whole: bool = False


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
    """Sizes and hooks, by the set's configuration and the header of its first file.

    No weights are read, and those of a set on the hub are not even fetched.

    Raises
    ------
    UserError
        It is missing, damaged, or of a kind that is not supported.
    """
    form = read_set_form(file_of(source, CONFIG, "transcoders"), source.source)
    names = _names(source, form)
    if not names:
        raise no_files(form)
    shapes = _shapes(source, form, names[0])
    vectors = [f"{name}_0" if form.cross_layer else name for name in ("b_enc", "b_dec")]
    missing = [name for name in vectors if len(shapes.get(name, ())) != 1]
    if missing:
        raise UserError(
            f"The transcoders {source.source}: {one_line(names[0])} has no vector {missing[0]}; they must be "
            "a folder with config.yaml and one safetensors file a layer, as circuit-tracer 0.5.0 reads them."
        )
    return TranscoderFacts(
        n_layers=len(names),
        d_model=shapes[vectors[1]][0],
        d_transcoder=shapes[vectors[0]][0],
        feature_input_hook=str(form.content["feature_input_hook"]),
        feature_output_hook=str(form.content["feature_output_hook"]),
        cross_layer=form.cross_layer,
        held_whole=is_scope(names[0], shapes),
    )


def require_set(source: TranscoderSource) -> None:
    """All files of a set, fetched if need be, and of one piece by their headers.

    Raises
    ------
    UserError
        One is missing, damaged, or does not fit the others.
    """
    _checked(source)


def addressed_files(source: TranscoderSource) -> list[tuple[Reference, str]]:
    """Repository, at its commit, and file of each ``hf://`` address of a set; none is fetched.

    Raises
    ------
    UserError
        As `read_transcoder_facts`.
    """
    form = read_set_form(file_of(source, CONFIG, "transcoders"), source.source)
    names = [name for name in _names(source, form) if name.startswith(_ADDRESS)]
    return [_pinned_address(source, form, name) for name in names]


def set_bytes(facts: TranscoderFacts, dtype: torch.dtype) -> int:
    """Encoders and decoders of a set in memory; a cross-layer feature has one for each layer it writes in."""
    layers = facts.n_layers
    decoders = layers * (layers + 1) // 2 if facts.cross_layer else layers
    return (layers + decoders) * facts.d_model * facts.d_transcoder * dtype.itemsize


def read_transcoders(
    source: TranscoderSource, *, dtype: torch.dtype, device: torch.device, streamed: bool = False
) -> Transcoders:
    """Load a transcoder set: whole where the device has room for it, else read anew at each use.

    Streamed, at most one layer's encoder is in memory at a time, and of decoders the rows that are
    used; numbers are the same. A set in GemmaScope's own files is held whole.

    Parameters
    ----------
    source
        The set.
    dtype, device
        Of the result.
    streamed
        Whatever room there is.

    Raises
    ------
    UserError
        It is missing, incomplete, or of a kind that is not supported.
    """
    form, paths = _checked(source)
    facts, scope = read_transcoder_facts(source), scope_of(paths)
    fits = set_bytes(facts, dtype) <= RESIDENT_SHARE * free_bytes(device)
    lazy = not facts.held_whole and (streamed or not fits)
    config = {**form.content, "transcoders": [str(path) for path in paths], "scan": scan_of(source)}
    # circuit-tracer takes lists of some repositories for sets in formats of their own.
    config["repo_id"] = "" if scope is None else scope.repository
    try:
        if form.cross_layer:
            return load_clt(
                str(paths[0].parent),
                feature_input_hook=str(form.content["feature_input_hook"]),
                feature_output_hook=str(form.content["feature_output_hook"]),
                scan=scan_of(source),
                device=device,
                dtype=dtype,
                lazy_encoder=lazy,
                lazy_decoder=lazy,
            )
        transcoders = load_transcoders(config, device, dtype, lazy_encoder=lazy, lazy_decoder=lazy)
    except (*LIBRARY_ERRORS, SafetensorError) as error:
        raise UserError(
            f"The transcoders {source.source} cannot be read ({one_line(error)}); they must be a folder with "
            "config.yaml and one safetensors file a layer, as circuit-tracer 0.5.0 reads them."
        ) from error
    return form.applied(transcoders)


def _checked(source: TranscoderSource) -> tuple[SetForm, list[Path]]:
    """A set's configuration and its files, which are here and fit each other."""
    folder = folder_of(source, "transcoders")
    form = read_set_form(require_file(folder, CONFIG, "transcoders"), source.source)
    paths = [_path(source, folder, form, name) for name in _names(source, form)]
    if form.cross_layer:
        for layer in range(len(paths)):
            require_file(folder, decoder_file(layer), "transcoders")
        require_cross_layer(form, folder, len(paths))
    elif (scope := scope_of(paths)) is not None:
        require_scope_layers(form, scope, paths)
    else:
        require_layers(form, paths)
    return form, paths


def scan_of(source: Source) -> str:
    """circuit-tracer's identifier of a transcoder set, without reading its weights."""
    if source.revision is not None:
        return f"{source.source}@{source.revision}"
    config = read_mapping(require_file(Path(source.source), CONFIG, "transcoders"))
    return str(config.get("scan") or Path(source.source).name)


def _names(source: TranscoderSource, form: SetForm) -> Sequence[str]:
    """Files of a set, one a layer, as its configuration names them; none is fetched."""
    if form.cross_layer:
        found = [name for name in names_in(source, "transcoders") if _ENCODER.fullmatch(name)]
        return [encoder_file(layer) for layer in range(len(found))]
    names: Sequence[str] | None = form.content.get("transcoders")
    if names is None:
        found = [name for name in names_in(source, "transcoders") if _LAYER.fullmatch(name)]
        return [f"layer_{i}.safetensors" for i in range(len(found))]
    return names


def _shapes(source: TranscoderSource, form: SetForm, name: str) -> Mapping[str, tuple[int, ...]]:
    """Shapes of the tensors of one file, which is fetched only if it is an npz file."""
    if name.startswith(_ADDRESS):
        reference, file = _pinned_address(source, form, name)
    elif source.revision is None:
        return read_header(_path(source, folder_of(source, "transcoders"), form, name)).shapes
    else:
        reference, file = at_commit(source, "transcoders"), name
    if file.endswith(".npz"):
        return read_npz_header(fetched_file(reference, file, "transcoders")).shapes
    kept = kept_file(reference, file)
    return shapes_of(reference, file, "transcoders") if kept is None else read_header(kept).shapes


def _path(source: TranscoderSource, folder: Path, form: SetForm, name: str) -> Path:
    """The file on this disk that a set's configuration names."""
    if name.startswith(_ADDRESS):
        return fetched_file(*_pinned_address(source, form, name), "transcoders")
    if not name.endswith(".safetensors"):
        raise UserError(
            f"{form.path}: {one_line(name)} is not a safetensors file, which is all that is read."
        )
    return require_file(folder, name, "transcoders")


def _pinned_address(source: TranscoderSource, form: SetForm, name: str) -> tuple[Reference, str]:
    """The repository, at the commit of the manifest, and the file of an ``hf://`` address."""
    reference, file = _address(form.path, name)
    if (commit := source.repositories.get(str(reference))) is None:
        raise UserError(
            f"{form.path}: {one_line(name)} was not named when the models were looked at; run "
            "`dvc repro` to look at them again."
        )
    return replace(reference, revision=commit), file


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
