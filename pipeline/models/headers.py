"""Names, shapes and number formats of files of weights, from their headers: no weight is read."""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from safetensors import SafetensorError, safe_open

from pipeline.models.files import damaged
from store.base.errors import UserError
from store.base.parsing import quoted

_NUMBERS: Final = ("F64", "F32", "F16", "BF16")
_NPY_HEADERS: Final = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


@dataclass(frozen=True, kw_only=True)
class Header:
    """The header of one file.

    Attributes
    ----------
    path
        The file.
    shapes
        By name of the tensor.
    """

    path: Path
    shapes: Mapping[str, tuple[int, ...]]

    def require(self, name: str, shape: tuple[int, ...], why: str) -> None:
        """Refuse a tensor that is missing or of another shape.

        Parameters
        ----------
        name, shape
            What there should be.
        why
            Says whose word that is and the way out; ends the sentence.

        Raises
        ------
        UserError
            It is not there.
        """
        found = self.shapes.get(name)
        if found != shape:
            there = "is missing" if found is None else f"has shape {found}"
            raise UserError(f"{self.path}: tensor {quoted(name)} {there}, but {shape} is expected: {why}.")


def read_header(path: Path) -> Header:
    """Names and shapes of the tensors of a file.

    Raises
    ------
    UserError
        It is damaged, or a tensor is of no floating-point format.
    """
    shapes = {}
    try:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118  (safe_open is no mapping)
                piece = file.get_slice(name)
                if piece.get_dtype() not in _NUMBERS:
                    raise UserError(
                        f"{path}: tensor {quoted(name)} holds {piece.get_dtype()}, but only "
                        f"{', '.join(_NUMBERS)} are read; save it again as one of these."
                    )
                shapes[name] = tuple(piece.get_shape())
    except (SafetensorError, OSError) as error:
        raise damaged(path, error) from error
    return Header(path=path, shapes=shapes)


def read_npz_header(path: Path) -> Header:
    """Names and shapes of the arrays of an npz file: of each, the first bytes are read.

    Raises
    ------
    UserError
        It is damaged.
    """
    shapes = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                with archive.open(name) as file:
                    version = np.lib.format.read_magic(file)
                    read = _NPY_HEADERS[version]
                    shapes[name.removesuffix(".npy")] = tuple(read(file)[0])
    except (zipfile.BadZipFile, OSError, EOFError, KeyError, ValueError) as error:
        raise damaged(path, error) from error
    return Header(path=path, shapes=shapes)
