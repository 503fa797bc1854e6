"""Which prompts are used: exact counts, every text once, and no group in both splits."""

from collections import Counter, defaultdict
from random import Random

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from pipeline.behaviours.choosing import choose
from pipeline.behaviours.protocol import Draft
from store.base.errors import UserError

COUNTS = {"train": 8, "test": 2}


def draft(group: str, text: str, *, template: str = "t", bundle: str | None = None) -> Draft:
    return Draft(
        prompt=text, span=(0, 1), correct=" a", incorrect=" b", group=group, template=template, bundle=bundle
    )


def pool(sizes: list[int], *, bundled: bool) -> list[Draft]:
    return [
        draft(f"g{g}", f"g{g} {i}", template=f"t{i % 3}", bundle=f"g{g} {i // 2}" if bundled else None)
        for g, size in enumerate(sizes)
        for i in range(size)
    ]


@given(
    sizes=st.lists(st.integers(1, 12), min_size=4, max_size=12),
    bundled=st.booleans(),
    counts=st.fixed_dictionaries({"train": st.integers(1, 12), "test": st.integers(1, 5)}),
    seed=st.integers(0, 5),
    test_groups=st.integers(1, 8),
)
def test_counts_are_exact_and_no_group_is_in_both(sizes, bundled, counts, seed, test_groups) -> None:
    drafts = pool(sizes, bundled=bundled)
    asked = {"test_groups": test_groups, "place": "words.yaml", "group": "noun"}
    try:
        chosen = choose(drafts, counts, Random(seed), **asked)
    except UserError:
        reject()
    assert Counter(each.split for each in chosen) == counts
    texts = [each.draft.prompt for each in chosen]
    assert len(set(texts)) == len(texts)
    groups = defaultdict(set)
    for each in chosen:
        groups[each.split].add(each.draft.group)
    assert not groups["train"] & groups["test"]
    again = choose(drafts, counts, Random(seed), **asked)
    assert again == chosen
    # At most one bundle of a split is parted, where its count is odd.
    taken = Counter(each.draft.bundle for each in chosen)
    whole = Counter(each.bundle for each in drafts)
    assert not bundled or sum(taken[each] < whole[each] for each in taken) <= 2


def test_enough_is_enough_where_a_split_exists() -> None:
    # 25 countries in four templates: just 80 and 20.
    drafts = [draft(f"g{g}", f"{g} {t}", template=f"t{t}") for g in range(25) for t in range(4)]
    chosen = choose(drafts, {"train": 80, "test": 20}, Random(0), test_groups=8, place="w", group="subject")
    assert len(chosen) == 100


@pytest.mark.parametrize(
    ("n", "test_groups", "of_test"),
    [(20, 8, 8), (15, 8, 7), (20, 1, 4), (60, 8, 12), (10, 8, 5)],
    ids=["as many as asked", "half", "their share", "their share is more", "half of ten"],
)
def test_few_groups_are_dealt_so_that_the_test_has_enough(n: int, test_groups: int, of_test: int) -> None:
    drafts = pool([50] * n, bundled=True)
    chosen = choose(
        drafts, {"train": 80, "test": 20}, Random(0), test_groups=test_groups, place="w", group="noun"
    )
    assert len({each.draft.group for each in chosen if each.split == "test"}) == min(of_test, 10)


def test_the_test_takes_no_group_that_train_needs() -> None:
    drafts = pool([10] * 10, bundled=False)
    chosen = choose(drafts, {"train": 80, "test": 20}, Random(0), test_groups=5, place="w", group="noun")
    assert len({each.draft.group for each in chosen if each.split == "test"}) == 2


@pytest.mark.parametrize(("count", "each_group"), [(8, 1), (16, 2)])
def test_groups_and_templates_take_turns(count: int, each_group: int) -> None:
    drafts = [
        draft(f"g{g}", f"{g} {t} {i}", template=f"t{t}")
        for g in range(10)
        for t in range(2)
        for i in range(9)
    ]
    chosen = [
        each.draft
        for each in choose(
            drafts, {"train": count, "test": count // 4}, Random(1), test_groups=1, place="w", group="noun"
        )
        if each.split == "train"
    ]
    assert set(Counter(each.group for each in chosen).values()) == {each_group}
    assert set(Counter(each.template for each in chosen).values()) == {count // 2}


def test_a_text_counts_once() -> None:
    # "The cat" with three verbs is one prompt, and one of two groups is the first one's.
    drafts = [draft("cat", "The cat")] * 3 + [draft("dog", "The dog"), draft("dog", "The cat")]
    with pytest.raises(UserError, match="give 1 different prompts for train"):
        choose(drafts, {"train": 2, "test": 1}, Random(0), test_groups=1, place="w", group="noun")
    chosen = choose(drafts, {"train": 1, "test": 1}, Random(0), test_groups=1, place="w", group="noun")
    assert sorted(each.draft.prompt for each in chosen) == ["The cat", "The dog"]


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        (1, r"^w\.yaml has prompts of 1 noun, and train and test need one each; add some\.$"),
        (3, r"^w\.yaml: 3 groups \(noun\) give 4 different prompts for train, but behaviours\.train in "),
    ],
)
def test_too_few_groups_are_told(groups: int, said: str) -> None:
    with pytest.raises(UserError, match=said):
        choose(
            pool([2] * groups, bundled=False), COUNTS, Random(0), test_groups=1, place="w.yaml", group="noun"
        )
