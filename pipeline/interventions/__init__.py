"""Steering: what happens when features are turned up or down, live.

Imports torch; the dashboard imports it inside its Steering page only.
"""

from pipeline.interventions.engine import SteeringEngine
from pipeline.interventions.kinds import Intervention, Mode, Where
from pipeline.interventions.results import Continuations, NextToken, Reading
from pipeline.text.lexicon import classify

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
