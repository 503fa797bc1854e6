"""Features of answers as sparse matrices: a row an answer, a column a feature that fires in one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from pipeline.analysis.scores import feature_key
from store.collections.item import Item
from store.schema.answer_features import READERS
from store.schema.response_features import STATISTICS


@dataclass(frozen=True, kw_only=True)
class AnswerMatrix:
    """What one reader sees in answers.

    Attributes
    ----------
    keys
        (feature,) sorted feature keys.
    values
        By statistic, (answer, feature) csr_array float32: where nothing is stored the feature is silent.
    read
        (answer,) bool: the others were not read, which is not silence.
    """

    keys: np.ndarray
    values: Mapping[str, sp.csr_array]
    read: np.ndarray


def answer_matrices(
    items: Iterable[Item], question_hash: np.ndarray, index: np.ndarray
) -> dict[str, AnswerMatrix]:
    """Matrices by reader.

    Parameters
    ----------
    items
        Of ANSWER_FEATURES, one variant's.
    question_hash, index
        (answer,) the rows: question and place in its item.

    Returns
    -------
    dict
        Of the readers to whom some feature fires.
    """
    place: dict[str, dict[int, int]] = {}
    for row, (of, number) in enumerate(zip(question_hash.tolist(), index.tolist(), strict=True)):
        place.setdefault(of, {})[number] = row
    parts: dict[str, list[tuple[np.ndarray, ...]]] = {reader: [] for reader in READERS}
    read = np.zeros(len(index), bool)
    for item in items:
        rows = np.full(int(item.scalars["n_answers"]), -1)
        for number, row in place.get(item.prompt_hash, {}).items():
            if number < len(rows):
                rows[number], read[row] = row, True
        arrays = item.arrays
        row = rows[arrays["answer"]]
        for code, reader in enumerate(READERS):
            chosen = (arrays["reader"] == code) & (row >= 0)
            keys = feature_key(arrays["layer"][chosen], arrays["feature"][chosen])
            values = (arrays[statistic][chosen] for statistic in STATISTICS)
            parts[reader].append((row[chosen], keys, *values))
    return {reader: _matrix(of, read) for reader, of in parts.items() if any(len(part[0]) for part in of)}


def _matrix(parts: Iterable[tuple[np.ndarray, ...]], read: np.ndarray) -> AnswerMatrix:
    row, key, *values = (np.concatenate(column) for column in zip(*parts, strict=True))
    keys, column = np.unique(key, return_inverse=True)
    shape = len(read), len(keys)
    return AnswerMatrix(
        keys=keys,
        values={
            statistic: sp.csr_array((each, (row, column)), shape=shape)
            for statistic, each in zip(STATISTICS, values, strict=True)
        },
        read=read,
    )
