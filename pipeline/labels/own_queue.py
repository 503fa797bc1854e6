"""A person's queue of prompts, as their journal tells it: what was drawn, what is next, what they put off."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.analysis.label_queue import Draw, draw_prompts
from pipeline.labels.events import Event, RejectionEvent, TokenEvent


@dataclass(frozen=True, kw_only=True)
class Queue:
    """What a person has done and what waits.

    Attributes
    ----------
    drawn
        Draws that the journal tells of, in order.
    coming
        The next one; None where every prompt was drawn or labelled by hand.
    done
        Hashes of the prompts that are submitted or rejected, drawn or not.
    """

    drawn: Sequence[Draw]
    coming: Draw | None
    done: Collection[str]

    def draw_of(self, prompt: str) -> Draw | None:
        """How a prompt came into the queue; None: it did not."""
        coming = [] if self.coming is None else [self.coming]
        return next((draw for draw in [*self.drawn, *coming] if draw.prompt == prompt), None)

    @property
    def waiting(self) -> list[str]:
        """Prompts to label: the next draw, then those that were drawn and put off, in order."""
        coming = [] if self.coming is None else [self.coming.prompt]
        return [*coming, *(draw.prompt for draw in self.drawn if draw.prompt not in self.done)]

    def after(self, prompt: str) -> str | None:
        """The prompt that follows; None where no other waits."""
        waiting = self.waiting
        if self.coming is not None and self.coming.prompt != prompt:
            return self.coming.prompt
        place = waiting.index(prompt) + 1 if prompt in waiting else 0
        return next((each for each in [*waiting[place:], *waiting[:place]] if each != prompt), None)

    def resumed(self, selected: str | None, latest: str | None) -> str | None:
        """Where to go on.

        Parameters
        ----------
        selected
            The prompt that a person sees elsewhere: here, too, where it waits.
        latest
            The one that their last event is of: seen again where it is the selected one.

        Returns
        -------
        str or None
            Else the last one that was drawn, if it waits, or the next; None where no prompt waits.
        """
        waiting = self.waiting
        if selected is not None and (selected in waiting or selected == latest):
            return selected
        last = self.drawn[-1].prompt if self.drawn else None
        return last if last in waiting else next(iter(waiting), None)


def queue(
    journal: Sequence[Event],
    prompts: Sequence[str],
    strata: Mapping[str, np.ndarray],
    shares: Mapping[str, float],
    *,
    done: Collection[str],
    seed: int,
    author: str,
) -> Queue:
    """The queue of a person.

    Parameters
    ----------
    journal
        Their events, in order.
    prompts, strata, shares, seed
        As of `draw_prompts`.
    done
        Hashes of the prompts that they have submitted or rejected: chosen by hand, they are not drawn.
    """
    drawn = drawn_prompts(journal, prompts)
    settled = {draw.prompt for draw in drawn} | set(done)
    left = np.array([prompt not in settled for prompt in prompts], bool)
    coming = draw_prompts(
        [prompt for prompt in prompts if prompt not in settled],
        {name: inside[left] for name, inside in strata.items()},
        shares,
        drawn,
        1,
        seed=seed,
        author=author,
    )
    return Queue(drawn=drawn, coming=coming[0] if coming else None, done=done)


def drawn_prompts(journal: Sequence[Event], prompts: Collection[str]) -> list[Draw]:
    """A person's draws, in order, of their events: a prompt was drawn where the first one with a stratum is.

    Parameters
    ----------
    prompts
        Hashes of those that there are; a drawn one that is no more keeps its number. Which of them remained
        at a draw is told by what had been submitted until then.
    """
    found: dict[str, Draw] = {}
    left = set(prompts)
    for event in journal:
        if not isinstance(event, TokenEvent | RejectionEvent) or event.prompt_hash in found:
            continue
        prompt = event.prompt_hash
        if isinstance(event, TokenEvent) and event.stratum is not None and event.probability is not None:
            found[prompt] = Draw(
                number=len(found),
                prompt=prompt,
                stratum=event.stratum,
                probability=event.probability,
                remaining=len(left) + (prompt not in left),
            )
            left.discard(prompt)
        elif event.state == "submitted":
            left.discard(prompt)
    return list(found.values())
