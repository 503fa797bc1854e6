"""Which tokens of a prompt decide its answer, and which could mislead. No torch."""

from collections.abc import Sequence

from pipeline.behaviours.registry import BEHAVIOURS
from store.documents.behaviour_prompts import BehaviourPrompt, Span


def decisive_positions(prompt: BehaviourPrompt, places: Sequence[Span]) -> tuple[list[int], list[int]]:
    """Positions of what decides, and of attractors, which could mislead; most prompts have none of these.

    Parameters
    ----------
    prompt
        Whose; its behaviour says which characters decide.
    places
        Characters of each token of the prompt.
    """
    decisive, attractors = BEHAVIOURS[prompt.behaviour].decisive(prompt)
    of_both = [
        {
            position
            for position, (start, stop) in enumerate(places)
            if any(start < end and stop > begin for begin, end in spans)
        }
        for spans in (decisive, attractors)
    ]
    return sorted(of_both[0]), sorted(of_both[1] - of_both[0])
