"""How the learning rate changes in the course of training."""

import math
from typing import Literal

Schedule = Literal["constant", "cosine"]
"""What follows the warm-up: the full rate, or a cosine from it down to zero."""


def rate_factor(step: int, steps: int, warmup: float, schedule: Schedule = "cosine") -> float:
    """Factor on the learning rate at a step counted from 0; it rises linearly over a share of the steps.

    >>> [rate_factor(step, 4, 0.5, "constant") for step in range(4)]
    [0.5, 1.0, 1.0, 1.0]
    """
    rising = round(warmup * steps)
    if step < rising:
        return (step + 1) / rising
    if schedule == "constant":
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))
