"""Which drafts are used, and for what: split by group, groups and templates in turn."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from random import Random

from pipeline.behaviours.protocol import Draft
from store.base.errors import UserError
from store.documents.behaviour_prompts import SPLITS


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A draft and its split."""

    draft: Draft
    split: str


def choose(
    drafts: Sequence[Draft],
    counts: Mapping[str, int],
    rng: Random,
    *,
    test_groups: int,
    place: str,
    group: str,
) -> list[Chosen]:
    """As many drafts a split as are wanted, with no group in both.

    Groups are shuffled; the test split gets its share of them, or as many more as it needs. Where that is
    fewer than `test_groups`, it gets more, up to half of them, as long as train has enough. Within a split
    groups take turns, and within a group its templates; drafts of one bundle come together, so that an odd
    count parts the last one.

    Parameters
    ----------
    drafts
        All there are; of those with the same text the first counts.
    counts
        Prompts by split: `train` and `test`.
    rng
        Shuffles.
    test_groups
        What the test split should have: what is measured is tested over its groups.
    place, group
        The file, and what a group is, for errors.

    Raises
    ------
    UserError
        There are too few groups, or they give too few prompts.
    """
    train, test = SPLITS
    bundles = _bundles(drafts)
    groups = list(bundles)
    rng.shuffle(groups)
    if len(groups) < 2:
        raise UserError(
            f"{place} has prompts of {len(groups)} {group}, and train and test need one each; add some."
        )
    share = round(len(groups) * counts[test] / (counts[train] + counts[test]))
    fewest = min(max(share, 1), len(groups) - 1)
    size = {name: sum(map(len, bundles[name])) for name in groups}
    first = next(
        (n for n in range(fewest, len(groups)) if sum(size[name] for name in groups[:n]) >= counts[test]),
        fewest,
    )
    while first < min(test_groups, len(groups) // 2):
        if sum(size[name] for name in groups[first + 1 :]) < counts[train]:
            break
        first += 1
    parts = {train: groups[first:], test: groups[:first]}
    found = []
    for split in SPLITS:
        there = sum(size[name] for name in parts[split])
        if there < counts[split]:
            raise UserError(
                f"{place}: {len(groups)} groups ({group}) give {there} different prompts for {split}, but "
                f"behaviours.{split} in params.yaml asks for {counts[split]}; add groups or templates, or "
                "ask for fewer."
            )
        ordered = [_in_turn(bundles[name], turn, rng) for turn, name in enumerate(parts[split])]
        turns = (bundle for row in zip_longest(*ordered) for bundle in row if bundle is not None)
        taken = [draft for bundle in turns for draft in bundle][: counts[split]]
        found += [Chosen(draft=draft, split=split) for draft in taken]
    return found


def _bundles(drafts: Sequence[Draft]) -> dict[str, list[list[Draft]]]:
    """Drafts that come together, by group; every text once."""
    seen: set[str] = set()
    by_group: dict[str, dict[str, list[Draft]]] = defaultdict(lambda: defaultdict(list))
    for number, draft in enumerate(drafts):
        if draft.prompt not in seen:
            seen.add(draft.prompt)
            by_group[draft.group][draft.bundle or str(number)].append(draft)
    return {group: list(of.values()) for group, of in by_group.items()}


def _in_turn(bundles: Sequence[list[Draft]], turn: int, rng: Random) -> list[list[Draft]]:
    """A group's bundles shuffled, templates in turn; the next group begins with the next template."""
    by_template: dict[str, list[list[Draft]]] = defaultdict(list)
    for bundle in bundles:
        by_template[bundle[0].template].append(bundle)
    columns = [rng.sample(of, len(of)) for of in by_template.values()]
    shift = turn % len(columns)
    rows = zip_longest(*columns[shift:], *columns[:shift])
    return [bundle for row in rows for bundle in row if bundle is not None]
