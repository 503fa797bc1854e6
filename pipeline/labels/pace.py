"""How long labelling takes, which is told to whoever plans it. Order and labels never rest on clocks."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from statistics import median

from pipeline.labels.events import Event, RejectionEvent, TokenEvent


def minutes_a_prompt(events: Iterable[Event]) -> dict[str, float]:
    """By author: median minutes from the first event on a prompt to the last, of prompts with several."""
    times: dict[str, dict[str, list[datetime]]] = defaultdict(lambda: defaultdict(list))
    for event in events:
        if isinstance(event, TokenEvent | RejectionEvent):
            times[event.author][event.prompt_hash].append(event.time)
    spans = {
        author: [(max(of) - min(of)).total_seconds() / 60 for of in prompts.values() if len(of) > 1]
        for author, prompts in times.items()
    }
    return {author: round(median(of), 2) for author, of in spans.items() if of}
