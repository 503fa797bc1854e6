"""``python -m store verify PATH...`` finds damage; ``python -m store list PATH`` lists items.

``push PATH PLACE`` and ``pull PLACE PATH`` bring a folder of artifacts to object storage and back.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from store.base.errors import ArtifactMissingError, StoreError, UserError
from store.base.parsing import one_line
from store.collections.reader import open_collection
from store.format.artifact import open_artifact
from store.format.integrity import find_artifacts, verify, verify_files
from store.schema.registry import COLLECTIONS


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code: 0 all well, 1 damage, 2 nothing to check."""
    parser = argparse.ArgumentParser(prog="python -m store", description="The artifact store.")
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("verify", help="find damaged artifacts; exit code 1 if any")
    check.add_argument("paths", nargs="+", type=Path, help="artifacts, or folders of artifacts")
    table = commands.add_parser("list", help="list prompts and variants, or groups")
    table.add_argument("path", type=Path, help="an artifact")
    there = commands.add_parser("push", help="upload artifacts, and make them the current version there")
    there.add_argument("path", type=Path, help="a profile's folder, or an artifact")
    there.add_argument("place", help="s3://bucket/prefix or gs://bucket/prefix")
    back = commands.add_parser("pull", help="make a folder the current version of what was pushed")
    back.add_argument("place", help="s3://bucket/prefix or gs://bucket/prefix")
    back.add_argument("path", type=Path, help="a new folder, or one that was pulled")
    options = parser.parse_args(arguments)
    try:
        if options.command in ("push", "pull"):
            return _exchange(options.command, options.path, options.place)
        return _verify(options.paths) if options.command == "verify" else _list(options.path)
    except (StoreError, UserError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


def _exchange(command: str, path: Path, place: str) -> int:
    from store.remote.places import ObjectFiles, files_at
    from store.remote.releases import pull, push

    files = files_at(place)
    if not isinstance(files, ObjectFiles):
        raise UserError(f"{place} is a folder; by a folder, artifacts are shared with `dvc push`.")
    files.require()
    try:
        version = push(path, files) if command == "push" else pull(files, path)
    except StoreError:
        raise
    except OSError as error:
        raise UserError(
            f"{path} cannot be used ({one_line(str(error))}); see that it can be written, and that "
            "the disk has room."
        ) from error
    print(f"{path}: version {version[:12]} of {files}")
    return 0


def _verify(paths: list[Path]) -> int:
    checked = damaged = 0

    def report(what: str, damage: Sequence[str]) -> None:
        nonlocal checked, damaged
        checked += 1
        damaged += bool(damage)
        print("\n  ".join([f"{what}: {'damaged' if damage else 'ok'}", *damage]))

    for path in paths:
        if not path.exists():
            print(f"{path}: no artifact there; `dvc repro` makes them.", file=sys.stderr)
            continue
        for artifact in find_artifacts(path):
            try:
                report(str(artifact), verify(artifact))
            except StoreError as error:
                report(str(artifact), [str(error)])
        files = verify_files(path)
        if files.checked:
            report(str(path) if path.is_file() else f"{path}, {files.checked} other files", files.damage)
        for file in files.loose:
            print(f"{file}: under no checksum.", file=sys.stderr)
    if not checked:
        return 2
    return 1 if damaged else 0


def _list(path: Path) -> int:
    if path.is_file():
        raise ArtifactMissingError(
            f"{path} is a file, and an artifact is a folder; name that, or see a file's checksum with "
            "`python -m store verify`."
        )
    held = find_artifacts(path)
    if held and path not in held:
        raise ArtifactMissingError(f"{path} holds {len(held)} artifacts; name one, such as {held[0]}.")
    artifact = open_artifact(path)
    if artifact.kind not in COLLECTIONS:
        print("\n".join(artifact.groups))
        return 0
    collection = open_collection(path)
    for prompt in collection.prompts():
        print(prompt, *collection.variants(prompt))
    return 0


if __name__ == "__main__":
    sys.exit(main())
