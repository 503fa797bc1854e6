"""Steering: what happens when features are turned up or down, live.

Imports torch; the dashboard imports it inside its Steering page only.
"""

from pipeline.lexicon import classify
from pipeline.steering.engine import SteeringEngine
from pipeline.steering.interventions import Intervention, Mode, Where
from pipeline.steering.results import Continuations, NextToken, Reading
from pipeline.steering.subject import LiveSubject, open_subject

__all__ = [
    "Continuations",
    "Intervention",
    "LiveSubject",
    "Mode",
    "NextToken",
    "Reading",
    "SteeringEngine",
    "Where",
    "classify",
    "open_subject",
]
