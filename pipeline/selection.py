"""Which prompts stand for all of them, where tracing all would cost too much."""

from collections import defaultdict
from collections.abc import Sequence

from store.prompts import Prompt


def spread(prompts: Sequence[Prompt], n: int) -> list[Prompt]:
    """At most `n` prompts, spread evenly over domains and over seen and held-out situations.

    One prompt of each (domain, held-out) group in turn, by prompt hash within a group, so
    that the choice depends on the prompts alone and one more prompt changes at most one
    place of it. Returned in order of hash.
    """
    groups: dict[tuple[str, bool], list[Prompt]] = defaultdict(list)
    for prompt in sorted(prompts, key=lambda prompt: prompt.hash):
        groups[(prompt.domain or "", prompt.held_out)].append(prompt)
    chosen: list[Prompt] = []
    rank = 0
    while len(chosen) < min(n, len(prompts)):
        row = [group[rank] for _, group in sorted(groups.items()) if rank < len(group)]
        chosen += row[: n - len(chosen)]
        rank += 1
    return sorted(chosen, key=lambda prompt: prompt.hash)
