"""``python -m pipeline.cache sweep``: what of the item cache can go; with ``--apply`` it goes."""

import argparse
import math
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from pipeline.cache.sweep import (
    Entry,
    Standing,
    absent_outs,
    entries,
    listed,
    require_quiet,
    to_go,
)
from pipeline.items.cache import VARIABLE, chosen_cache
from pipeline.params.project import load_params
from pipeline.run.stage import CACHE
from store.base.errors import StoreError, UserError
from store.remote.folders import Files

_DAY: Final = 86_400.0
_LONGEST: Final = 36_500.0
_MEGA: Final = 1e6


def main(arguments: Sequence[str] | None = None) -> int:
    """Tell what goes and what stays by kind; 0, or 1 where it cannot be told."""
    given = _parser().parse_args(arguments)
    try:
        days = load_params().retention.days if given.days is None else given.days
        if absent := [path for path in absent_outs(Path()) if Path(path).parts[1] not in given.without]:
            profile = Path(absent[0]).parts[1]
            raise UserError(
                f"{absent[0]} of dvc.lock is not here (one of {len(absent)}), so what it refers to is not "
                f"known: `dvc checkout` or `dvc pull` first, or say --without {profile}."
            )
        cache = chosen_cache(CACHE)
        shared = cache.root != CACHE or cache.place is not None
        if given.apply and shared and not given.shared:
            raise UserError(
                f"{cache.files} is where {VARIABLE} says; what other clones' artifacts refer to there is not "
                "known here: say --shared if it may go all the same."
            )
        if given.apply:
            require_quiet(cache.root)
        known, since = listed(Path("artifacts"), check=given.published), time.time() - days * _DAY
        found = list(entries(cache.files, known, since=since))
        free = sorted({each.kind for each in found} - known.keys())
        if wrong := [kind for kind in given.kind if kind not in free]:
            raise UserError(f"--kind {wrong[0]} is none of those that no artifact lists: {', '.join(free)}.")
    except (StoreError, UserError) as error:
        print(error, file=sys.stderr)
        return 1
    going = to_go(found, published=given.published, kinds=given.kind)
    print("\n".join([f"The cache at {cache.files}:", *_lines(found, going)]))
    size = sum(each.size for each in going) / _MEGA
    if not given.apply:
        print(f"\nWould go: {len(going):,} items, {size:,.1f} MB. Nothing is removed without --apply.")
        return 0
    try:
        _remove(cache.files, going, since)
    except (UserError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"\nRemoved: {len(going):,} items, {size:,.1f} MB.")
    return 0


def _remove(files: Files, going: Sequence[Entry], since: float) -> None:
    """Remove entries, and look whether they went: a service may refuse each and answer that all is well."""
    names = [each.name for each in going]
    files.remove_all(names)
    there = files.facts() if names else {}
    # What was written meanwhile is another's.
    if left := [name for name in names if name in there and there[name].written <= since]:
        raise UserError(
            f"{files} still holds {len(left):,} of {len(names):,} items that were to go, {left[0]} say; "
            "see that the credentials allow to remove, too."
        )


def _lines(found: Sequence[Entry], going: Sequence[Entry]) -> Iterator[str]:
    """A row a kind: MB by what is known of its items, and MB that go."""
    held: Counter[tuple[str, str]] = Counter()
    for each in found:
        held[each.kind, each.standing] += each.size
        held["all", each.standing] += each.size
    for each in going:
        held[each.kind, "goes"] += each.size
        held["all", "goes"] += each.size
    columns = [*Standing, "goes"]
    yield "MB".ljust(20) + "".join(f"{column:>12}" for column in columns)
    for kind in [*dict.fromkeys(each.kind for each in found), "all"]:
        cells = (held[kind, column] for column in columns)
        yield kind.ljust(20) + "".join(f"{cell / _MEGA:>12,.1f}" if cell else f"{'-':>12}" for cell in cells)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline.cache", description="The item cache.")
    commands = parser.add_subparsers(dest="command", required=True)
    sweep = commands.add_parser("sweep", help="tell, or remove, what no artifact refers to")
    sweep.add_argument("--apply", action="store_true", help="remove it; else it is only told")
    sweep.add_argument(
        "--shared", action="store_true", help=f"also where {VARIABLE} says, which other clones may use, too"
    )
    sweep.add_argument(
        "--published", action="store_true", help="also what whole artifacts hold, from which a stage takes it"
    )
    sweep.add_argument(
        "--kind", action="append", default=[], help="also this kind, which no artifact lists; may be repeated"
    )
    sweep.add_argument("--days", type=_days, help="instead of retention.days of params.yaml")
    sweep.add_argument(
        "--without",
        action="append",
        default=[],
        metavar="PROFILE",
        help="though its artifacts are not all here",
    )
    return parser


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = math.nan
    if not 0 <= days <= _LONGEST:
        raise argparse.ArgumentTypeError(f"{text} is no number of days from 0 to {_LONGEST:,.0f}")
    return days


if __name__ == "__main__":
    sys.exit(main())
