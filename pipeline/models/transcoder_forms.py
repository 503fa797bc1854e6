"""Is a transcoder set of one piece? Its configuration, and the shapes in its files.

circuit-tracer 0.5.0 takes what it finds: it reads no ``activation`` from a configuration, and
loads a set that was trained with TopK as ReLU, with five times the active features (trap 39).
Here a value is applied or refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from circuit_tracer.transcoder import TranscoderSet
from circuit_tracer.transcoder.activation_functions import TopK

from pipeline.models.files import read_mapping
from pipeline.models.headers import Header, read_header
from store.base.errors import UserError
from store.base.parsing import quoted

CROSS_LAYER: Final = "cross_layer_transcoder"
_KINDS: Final = ("transcoder_set", CROSS_LAYER)
INPUT_HOOKS: Final = ("mlp.hook_in", "ln2.hook_normalized", "hook_resid_mid")
OUTPUT_HOOKS: Final = ("mlp.hook_out", "hook_mlp_out")
"""Where transcoders may read and write; the first is the usual one."""

Activation = Literal["relu", "jump_relu", "topk"]
_ACTIVATIONS: Final[Mapping[str, Activation]] = {
    "relu": "relu",
    "jump_relu": "jump_relu",
    "jumprelu": "jump_relu",
    "topk": "topk",
}
_THRESHOLD: Final = "activation_function.threshold"
# Its configuration says `topk` and not how many; so many by its authors' paper and code.
_KNOWN_K: Final = {"facebook/crv-8b-instruct-transcoders": 128}


@dataclass(frozen=True, kw_only=True)
class SetForm:
    """What a ``config.yaml`` says of how a set encodes.

    Attributes
    ----------
    path
        The file.
    content
        All of it.
    activation
        None where it does not say: JumpReLU with thresholds, ReLU without.
    k
        Active features a token, for TopK.
    """

    path: Path
    content: Mapping[str, Any]
    activation: Activation | None
    k: int | None

    @property
    def cross_layer(self) -> bool:
        """Whether features write in later layers, too."""
        return bool(self.content["model_kind"] == CROSS_LAYER)

    def applied(self, transcoders: TranscoderSet) -> TranscoderSet:
        """The set with this activation function; circuit-tracer gave it another one."""
        if self.k is not None:
            for transcoder in transcoders:
                transcoder.activation_function = TopK(self.k)
        return transcoders


def read_set_form(path: Path, source: str) -> SetForm:
    """Read and check a set's ``config.yaml``.

    Parameters
    ----------
    path
        The file.
    source
        Folder or hub name of the set.

    Raises
    ------
    UserError
        It is damaged, of a kind that is not known, or names a hook or an activation function that is
        not known here.
    """
    content = read_mapping(path)
    kind = content.get("model_kind")
    if kind not in _KINDS:
        raise UserError(f"{path}: model_kind is {quoted(kind)}; known are {', '.join(_KINDS)}.")
    for name, known in (("feature_input_hook", INPUT_HOOKS), ("feature_output_hook", OUTPUT_HOOKS)):
        if content.get(name) not in known:
            raise UserError(
                f"{path}: {name} is {quoted(content.get(name))}; write where in a layer the transcoders read "
                f"or write, such as `{name}: {known[0]}`; known are {', '.join(known)}."
            )
    named = content.get("transcoders")
    if named is not None and not (isinstance(named, list) and all(isinstance(one, str) for one in named)):
        raise UserError(f"{path}: `transcoders` must be a list of file names, one a layer; mend it.")
    if named is not None and kind == CROSS_LAYER:
        raise UserError(
            f"{path}: `transcoders` lists files, but those of a cross-layer set are W_enc_<layer> and "
            "W_dec_<layer> beside it; delete the list (of GemmaScope 2, whose cross-layer files are not "
            "read here, take a set of its transcoder_all)."
        )
    scan = content.get("scan")
    if scan is not None and not isinstance(scan, str):
        raise UserError(f"{path}: scan is {quoted(scan)}; write the set's name as a text, or delete scan.")
    said = content.get("activation")
    if said is not None and not (isinstance(said, str) and said in _ACTIVATIONS):
        raise UserError(
            f"{path}: activation is {quoted(said)}, which is not known here; known are "
            f"{', '.join(_ACTIVATIONS)}."
        )
    activation = None if said is None else _ACTIVATIONS[said]
    if activation == "topk" and kind == CROSS_LAYER:
        raise UserError(f"{path}: activation is topk, which no cross-layer set is read with; correct it.")
    return SetForm(
        path=path, content=content, activation=activation, k=_active(path, content, activation, source)
    )


def require_layers(form: SetForm, paths: Sequence[Path]) -> None:
    """Check the headers of a set's files, one a layer, against each other and its configuration.

    Raises
    ------
    UserError
        A file is damaged, or a tensor is missing, unknown or of another shape; the message names
        file, tensor, what is expected and what is there.
    """
    if not paths:
        raise no_files(form)
    headers = [read_header(path) for path in paths]
    first = headers[0]
    for header in headers:
        _require_tensors(header, form)
        for optional in (_THRESHOLD, "W_skip"):
            if (optional in header.shapes) != (optional in first.shapes):
                raise UserError(
                    f"{header.path}: tensor {optional!r} is {_there(header, optional)}, but "
                    f"{_there(first, optional)} in {first.path.name}; all layers must be alike."
                )
        for name in ("b_enc", "b_dec"):
            header.require(name, first.shapes[name], f"{first.path.name} has it so; all layers must be alike")
    features = first.shapes["b_enc"][0]
    if form.k is not None and form.k > features:
        raise UserError(
            f"{form.path}: k is {form.k}, but {first.path.name} has only {features} features; correct k."
        )


def require_cross_layer(form: SetForm, folder: Path, n_layers: int) -> None:
    """Check the headers of a cross-layer set's files, two a layer, against each other.

    Raises
    ------
    UserError
        As `require_layers`.
    """
    first = read_header(folder / encoder_file(0)).shapes
    features, width = first["b_enc_0"][0], first["b_dec_0"][0]
    why = f"{encoder_file(0)} has {features} features of width {width}; all layers must be alike"
    jumps = "threshold_0" in first
    if form.activation is not None and jumps != (form.activation == "jump_relu"):
        raise UserError(
            f"{form.path}: activation is {form.activation}, but {encoder_file(0)} has "
            f"{'thresholds, which only JumpReLU has' if jumps else 'no threshold_0'}; correct activation."
        )
    for layer in range(n_layers):
        encoder, decoder = (read_header(folder / of(layer)) for of in (encoder_file, decoder_file))
        expected = {f"W_enc_{layer}": (features, width), f"b_enc_{layer}": (features,)}
        expected |= {f"b_dec_{layer}": (width,)} | ({f"threshold_{layer}": (features,)} if jumps else {})
        for name, shape in expected.items():
            encoder.require(name, shape, why)
        decoder.require(f"W_dec_{layer}", (features, n_layers - layer, width), why)
        unknown = sorted((encoder.shapes.keys() - expected) | (decoder.shapes.keys() - {f"W_dec_{layer}"}))
        if unknown:
            raise UserError(
                f"{folder}: tensor {quoted(unknown[0])} of layer {layer} is not known here; known are W_enc, "
                "b_enc, b_dec, threshold and W_dec, each with its layer's number."
            )


def encoder_file(layer: int) -> str:
    """Of a cross-layer set: what a layer's features read, and the biases."""
    return f"W_enc_{layer}.safetensors"


def decoder_file(layer: int) -> str:
    """Of a cross-layer set: what a layer's features write in it and in later ones."""
    return f"W_dec_{layer}.safetensors"


def no_files(form: SetForm) -> UserError:
    """The error that tells of a set without a layer."""
    named = encoder_file(0) if form.cross_layer else "layer_0.safetensors"
    return UserError(f"{form.path} names no transcoders, and there is no {named} beside it.")


def _active(path: Path, content: Mapping[str, Any], activation: Activation | None, source: str) -> int | None:
    """How many features are active a token, for TopK."""
    k = content.get("k")
    if activation != "topk":
        if k is not None:
            raise UserError(
                f"{path}: k is {quoted(k)}, which only TopK has; write `activation: topk`, or delete k."
            )
        return None
    if k is None:
        k = _KNOWN_K.get(source)
    if not isinstance(k, int) or isinstance(k, bool) or k < 1:
        raise UserError(
            f"{path}: activation is topk and k is {quoted(k)}; write how many features are active a token, "
            "such as `k: 128`."
        )
    return k


def _require_tensors(header: Header, form: SetForm) -> None:
    sizes = []
    for name, what in (("b_enc", "features"), ("b_dec", "width")):
        shape = header.shapes.get(name)
        if shape is None or len(shape) != 1 or not shape[0]:
            there = "is missing" if shape is None else f"has shape {shape}"
            raise UserError(
                f"{header.path}: tensor {name!r} {there}, but ({what},) is expected; save the set again."
            )
        sizes.append(shape[0])
    features, width = sizes
    why = f"b_enc has {features} features and b_dec width {width}; save the set again"
    header.require("W_enc", (features, width), why)
    header.require("W_dec", (features, width), why)
    if "W_skip" in header.shapes:
        header.require("W_skip", (width, width), why)
    if header.shapes.get(_THRESHOLD, ()) not in {(), (1,), (features,)}:
        header.require(_THRESHOLD, (features,), why)
    unknown = sorted(header.shapes.keys() - {"W_enc", "W_dec", "b_enc", "b_dec", "W_skip", _THRESHOLD})
    if unknown:
        raise UserError(
            f"{header.path}: tensor {quoted(unknown[0])} is not known here; known are W_enc, W_dec, b_enc, "
            f"b_dec, W_skip and {_THRESHOLD} (TopK is said in {form.path.name}: `activation: topk` and `k`)."
        )
    jumps = _THRESHOLD in header.shapes
    if form.activation is not None and jumps != (form.activation == "jump_relu"):
        raise UserError(
            f"{form.path}: activation is {form.activation}, but {header.path.name} has "
            f"{'thresholds, which only JumpReLU has' if jumps else f'no {_THRESHOLD}'}; correct activation."
        )


def _there(header: Header, name: str) -> str:
    return "there" if name in header.shapes else "missing"
