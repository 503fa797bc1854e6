"""Files of answers that others sampled, whatever their format."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from pipeline.evaluation.answer_rows import AnswerRow
from pipeline.exchange.answers_csv import read_answers_csv
from pipeline.exchange.inspect_log import read_inspect_log
from store.base.errors import UserError

_READERS: Final[Mapping[str, Callable[[Path], list[AnswerRow]]]] = {
    ".csv": read_answers_csv,
    ".eval": read_inspect_log,
}


def read_answer_files(paths: Sequence[Path]) -> list[AnswerRow]:
    """Rows of files, in their order.

    Raises
    ------
    UserError
        A file is missing, of an unknown format, or malformed; the message names it.
    """
    rows = []
    for path in paths:
        reader = _READERS.get(path.suffix)
        if reader is None:
            raise UserError(f"{path}: a file of answers ends with {' or '.join(_READERS)}; export it as one.")
        try:
            rows += reader(path)
        except FileNotFoundError as error:
            raise UserError(
                f"{path}: no such file of answers; put it there or change `answers` of the profile in "
                "params.yaml."
            ) from error
    return rows
