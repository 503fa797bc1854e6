"""What is held out of all training, chosen so that each of its parts is trained on elsewhere."""

import random
from collections.abc import Sequence


def held_out_pairs(
    rows: Sequence[str], columns: Sequence[str], *, share: float, least: int = 0, rng: random.Random
) -> frozenset[tuple[str, str]]:
    """A share of all (row, column) pairs, at least `least`.

    They lie on diagonals of the shuffled table, so that every row and every column also occurs
    in pairs that are not held out, as long as the share is at most a half.
    """
    rows, columns = list(rows), list(columns)
    rng.shuffle(rows)
    rng.shuffle(columns)
    count = max(least, round(share * len(rows) * len(columns)))
    diagonals = [
        (row, columns[(i + shift) % len(columns)])
        for shift in range(len(columns))
        for i, row in enumerate(rows)
    ]
    return frozenset(diagonals[:count])
