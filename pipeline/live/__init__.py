"""The dashboard's door to models: steered, traced on what a person types, and kept for the pipeline.

Imports torch; the dashboard imports it inside the functions that run a model.
"""

from pipeline.live.pool import LivePool, LiveSubject
from pipeline.live.tracing import estimate_one, trace_doses, trace_pair
from pipeline.prompts.keep import keep_prompt, own_file, tag_prompt, written_at
from pipeline.prompts.typed import typed_prompt

__all__ = [
    "LivePool",
    "LiveSubject",
    "estimate_one",
    "keep_prompt",
    "own_file",
    "tag_prompt",
    "trace_doses",
    "trace_pair",
    "typed_prompt",
    "written_at",
]
