"""How fast features are tested over 1,000 situations, against all patterns in float64."""

import time
from pathlib import Path
from typing import Any, Final

import numpy as np
from threadpoolctl import threadpool_limits

from pipeline.analysis.statistics import benjamini_hochberg, sign_flip_p_by_block
from pipeline.params.project import load_params

_SITUATIONS: Final = 1000
_FEATURES: Final = 2048
_FOUND: Final = 20
_STEP: Final = 4096


def ranking_figures(folder: Path) -> dict[str, Any]:
    """`sign_flip_speedup`: features a second with `features.stop_early`, over those of a loop of NumPy's.

    One feature in a hundred has an effect. The loop makes every sum in float64, for an eighth of the
    features; both must find the same ones. Both run in one thread, as stages do.
    """
    params, rng = load_params().features, np.random.default_rng(0)
    values = rng.normal(size=(_SITUATIONS, _FEATURES))
    values[:, :_FOUND] += 0.2
    part = values[:, : _FEATURES // 8]
    with threadpool_limits(limits=1, user_api="blas"):
        begun = time.process_time()
        p = sign_flip_p_by_block(
            lambda columns: values[:, columns],
            np.arange(_FEATURES),
            params.permutations,
            np.random.default_rng(1),
            step=_FEATURES,
            rate=params.fdr,
        )
        ours = _FEATURES / (time.process_time() - begun)
        begun = time.process_time()
        expected = _naive(part, params.permutations, np.random.default_rng(1))
        naive = part.shape[1] / (time.process_time() - begun)
    found = benjamini_hochberg(p) <= params.fdr
    if not (found[:_FOUND].all() and np.array_equal(p[:_FOUND], expected[:_FOUND])):
        raise RuntimeError("p-values of what is found are not those of all patterns")
    return {
        "sign_flip_speedup": ours / naive,
        "raw": {"sign_flips": {"features_a_second": ours, "loop": naive, "situations": _SITUATIONS}},
    }


def _naive(values: np.ndarray, flips: int, rng: np.random.Generator) -> np.ndarray:
    observed = np.abs(values.sum(axis=0)) * (1 - 1e-12)
    count = np.zeros(values.shape[1])
    for start in range(0, flips, _STEP):
        size = (min(_STEP, flips - start), len(values))
        signs = 1.0 - 2.0 * rng.integers(0, 2, size=size, dtype=np.int8)
        count += (np.abs(signs @ values) >= observed).sum(axis=0)
    p: np.ndarray = (1 + count) / (1 + flips)
    return p
