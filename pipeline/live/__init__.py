"""The dashboard's door to models: steered, traced on what a person types, and kept for the pipeline.

Imports torch; the dashboard imports it inside the functions that run a model.
"""

from pipeline.live.pool import LivePool, LiveSubject
from pipeline.live.tracing import estimate_one, trace_doses, trace_pair
from pipeline.live.workbench import borrowed, dose_response, frozen_by_name, sample_sides
from pipeline.prompts.keep import keep_prompt, own_file, tag_prompt, written_at
from pipeline.prompts.typed import typed_prompt

__all__ = [
    "LivePool",
    "LiveSubject",
    "borrowed",
    "dose_response",
    "estimate_one",
    "frozen_by_name",
    "keep_prompt",
    "own_file",
    "sample_sides",
    "tag_prompt",
    "trace_doses",
    "trace_pair",
    "typed_prompt",
    "written_at",
]
