"""``python -m pipeline.labels import FILE``: take over labels of an earlier tool."""

import argparse
import sys
from pathlib import Path

from pipeline.labels.author import author
from pipeline.labels.candidates import candidates_of, own_candidates
from pipeline.labels.importing import imported
from pipeline.labels.journal import append, read_events
from pipeline.run.stage import artifacts
from store.base.errors import StoreError, UserError
from store.collections.reader import open_collection
from store.documents.prompts import read_prompts
from store.documents.token_texts import read_token_texts


def main() -> None:
    """Run a command; a mistake ends in one sentence."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.labels", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("import", help="labels of earlier tools (JSON)")
    command.add_argument("file", type=Path)
    command.add_argument("--profile", required=True, help="a profile of params.yaml")
    asked = parser.parse_args()
    try:
        take_over(asked.file, asked.profile)
    except (UserError, StoreError) as error:
        sys.exit(f"Error: {error}")


def take_over(file: Path, profile: str) -> None:
    """Add the labels of a file to the journal of whoever runs this."""
    folder = artifacts(profile)
    found = open_collection(folder / "candidates")
    who = author()
    events = imported(
        file,
        who,
        prompts=read_prompts(folder / "prompts.json"),
        candidates={prompt: candidates_of(own_candidates(found, prompt)) for prompt in found.prompts()},
        texts=read_token_texts(folder / "vocabulary.json"),
        held=read_events(),
    )
    append(who, events)
    print(f"{len(events)} labels of {who} added; `dvc repro` ranks by them.")


if __name__ == "__main__":
    main()
