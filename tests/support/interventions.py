"""The base model, and a pass without a cache to check the cached one against."""

from collections.abc import Sequence

import numpy as np

from pipeline.interventions.engine import SteeringEngine
from pipeline.interventions.kinds import Intervention
from store.documents.variants import Variant

BASE = Variant(name="base", scale=0.0)


def uncached(
    engine: SteeringEngine,
    token_ids: Sequence[int],
    setting: Sequence[Intervention],
    prompt_length: int | None = None,
) -> np.ndarray:
    """Logits (token,) after a whole sequence, read in one pass without a cache."""
    runner = engine._runner
    return runner.run([token_ids], runner.plan([tuple(setting)]), prompt_length=prompt_length)[0]
