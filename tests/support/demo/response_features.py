"""Features of whole answers of the demo profile: made up, but for one that is found."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from store.schema.response_features import STATISTICS
from tests.support.demo.words import FEATURES_KEPT, LAYERS, objects


def response_features(
    rng: np.random.Generator, judges: Sequence[str], questions: Sequence[str]
) -> dict[str, xr.Dataset]:
    """The first contrast was tested; the last has too few misaligned answers."""
    contrasts = [
        *((judge, "general@1.0", reader, "") for judge in judges for reader in ("own", "base")),
        ("rubric", "narrow@1.0", "own", "3 misaligned and 30 aligned answers; 5 of each are needed"),
    ]
    of_judge, variants, readers, reasons = zip(*contrasts, strict=True)
    layer = np.repeat(np.arange(LAYERS), FEATURES_KEPT).astype(np.int16)
    index = np.tile(np.arange(FEATURES_KEPT) * 7, LAYERS).astype(np.int32)
    shape = (len(contrasts), len(STATISTICS), len(layer))
    standardized = rng.normal(size=shape)
    standardized[..., 1] = 7.5  # L0/7
    standardized[-1] = np.nan
    p = np.clip(np.exp(-(standardized**2) / 2), 1e-4, 1)
    q = np.minimum(1, p * 20)
    effect = 0.2 * standardized
    dims = ("contrast", "statistic", "feature")
    by_question = effect[:, :, None, :] + 0.05 * rng.normal(size=(*shape[:2], len(questions), shape[2]))
    few = np.array([3 if reason else 40 for reason in reasons], np.int32)
    return {
        "contrasts": xr.Dataset(
            {
                "judge": ("contrast", objects(of_judge)),
                "variant": ("contrast", objects(variants)),
                "reader": ("contrast", objects(readers)),
                "n_misaligned": ("contrast", few),
                "n_aligned": ("contrast", np.full(len(contrasts), 30, np.int32)),
                "n_questions": ("contrast", np.full(len(contrasts), len(questions), np.int32)),
                "length_misaligned": ("contrast", np.full(len(contrasts), 5.7)),
                "length_aligned": ("contrast", np.full(len(contrasts), 6.1)),
                "reason": ("contrast", objects(reasons)),
            }
        ),
        "ranking": xr.Dataset(
            {
                "statistic": ("statistic", objects(STATISTICS)),
                "layer": ("feature", layer),
                "index": ("feature", index),
                "question": ("question", objects(questions)),
                "effect": (dims, effect * 1.1),
                "adjusted": (dims, effect),
                "low": (dims, effect - 0.1),
                "high": (dims, effect + 0.1),
                "p": (dims, p),
                "q": (dims, q),
                "standardized": (dims, standardized),
                "firing_misaligned": (dims, rng.uniform(size=shape)),
                "firing_aligned": (dims, rng.uniform(size=shape)),
                "question_effect": (
                    ("contrast", "statistic", "question", "feature"),
                    by_question.astype(np.float32),
                ),
            }
        ),
    }
