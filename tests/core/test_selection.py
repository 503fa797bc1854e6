"""The subset is spread evenly and depends on the prompts alone."""

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from pipeline.selection import spread
from store.prompts import Prompt


def _prompt(i: int, domain: str | None, held_out: bool) -> Prompt:
    return Prompt(
        hash=f"{i:012x}",
        name=f"p{i}",
        situation=f"s{i}",
        domain=domain,
        held_out=held_out,
        tags=(),
        text="text",
        token_ids=(1, 2),
        tokens=("a", "b"),
        source="file:1",
    )


PROMPTS = [
    _prompt(i, domain, held_out)
    for i, (domain, held_out) in enumerate(
        (domain, held_out) for domain in ("a", "b", None) for held_out in (False, True) for _ in range(5)
    )
]


def test_every_group_is_met_before_one_is_met_twice() -> None:
    counts = Counter((prompt.domain, prompt.held_out) for prompt in spread(PROMPTS, 12))
    assert set(counts.values()) == {2}
    assert len(counts) == 6


@given(n=st.integers(0, 40), seed=st.integers(0, 99))
def test_order_of_the_files_does_not_matter(n: int, seed: int) -> None:
    shuffled = random.Random(seed).sample(PROMPTS, len(PROMPTS))
    chosen = spread(shuffled, n)
    assert chosen == spread(PROMPTS, n)
    assert len(chosen) == min(n, len(PROMPTS))


def test_one_more_prompt_changes_at_most_one_place() -> None:
    before = {prompt.hash for prompt in spread(PROMPTS, 8)}
    after = {prompt.hash for prompt in spread([*PROMPTS, _prompt(99, "a", True)], 8)}
    assert len(before - after) <= 1
