"""Steering: what happens when features are turned up or down, live.

Imports torch; the dashboard imports it inside its Steering page only.
"""

from pipeline.lexicon import classify
from pipeline.steering.engine import SteeringEngine
from pipeline.steering.interventions import Intervention, Mode, Where
from pipeline.steering.results import Continuations, NextToken, Reading

__all__ = [
    "Continuations",
    "Intervention",
    "Mode",
    "NextToken",
    "Reading",
    "SteeringEngine",
    "Where",
    "classify",
]
