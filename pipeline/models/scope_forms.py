"""Sets in GemmaScope's own files, in repositories of Google's: of Gemma 2, npz; of Gemma 3, safetensors.

circuit-tracer 0.5.0 tells them by the name of the repository that lists them; here their files do. Encoders
are (d_model, feature), all are JumpReLU, and none is read by rows: circuit-tracer holds them whole.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.models.headers import read_header, read_npz_header
from pipeline.models.transcoder_forms import SetForm
from store.base.errors import UserError
from store.base.parsing import quoted


@dataclass(frozen=True, kw_only=True)
class Scope:
    """One of the two formats: what circuit-tracer knows it by, and what its tensors are called."""

    repository: str
    encoder: str
    decoder: str
    skip: str | None


_FIRST: Final = Scope(repository="gemma-scope", encoder="W_enc", decoder="W_dec", skip=None)
_SECOND: Final = Scope(
    repository="gemma-scope-2", encoder="w_enc", decoder="w_dec", skip="affine_skip_connection"
)


def scope_of(paths: Sequence[Path]) -> Scope | None:
    """The format of a set by its first file; None for circuit-tracer's own."""
    if not paths:
        return None
    if paths[0].suffix == ".npz":
        return _FIRST
    return _SECOND if is_scope(paths[0].name, read_header(paths[0]).shapes) else None


def is_scope(name: str, tensors: Collection[str]) -> bool:
    """Whether a file of that name, with tensors of such names, is of one of them."""
    return name.endswith(".npz") or _SECOND.encoder in tensors


def require_scope_layers(form: SetForm, scope: Scope, paths: Sequence[Path]) -> None:
    """Check the headers of a set's files against each other.

    Raises
    ------
    UserError
        A file is damaged, or a tensor is missing, of another shape or of none of these names; or the set's
        configuration says another activation function than JumpReLU.
    """
    if form.activation not in {None, "jump_relu"}:
        raise UserError(f"{form.path}: activation is {form.activation}, but GemmaScope's is JumpReLU.")
    headers = [read_npz_header(path) if path.suffix == ".npz" else read_header(path) for path in paths]
    first = headers[0]
    sizes = [first.shapes.get(name, ()) for name in ("b_enc", "b_dec")]
    if any(len(size) != 1 for size in sizes):
        raise UserError(f"{first.path} has no vectors b_enc and b_dec; copy or download it again.")
    (features,), (width,) = sizes
    expected: dict[str, tuple[int, ...]] = {"b_enc": (features,), "b_dec": (width,), "threshold": (features,)}
    expected |= {scope.encoder: (width, features), scope.decoder: (features, width)}
    if scope.skip is not None and scope.skip in first.shapes:
        expected[scope.skip] = (width, width)
    why = f"the biases of layer 0 ({first.path.name}) have these sizes, and all layers must be alike"
    for header in headers:
        for name, shape in expected.items():
            header.require(name, shape, why)
        # A skip that the first layer lacks: circuit-tracer asks that layer alone whether there are any.
        unknown = sorted(header.shapes.keys() - expected)
        if unknown:
            raise UserError(
                f"{header.path}: tensor {quoted(unknown[0])} is not expected beside {', '.join(expected)}, "
                f"which layer 0 ({first.path.name}) has, and all layers must be alike."
            )
