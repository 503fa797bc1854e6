"""``python -m pipeline.judging examples``: freeze examples for judges anew, from what people labelled."""

import argparse
import sys
from pathlib import Path

from pipeline.judging.examples import EXAMPLES
from pipeline.judging.renewal import renewed
from pipeline.labels.events import TokenEvent
from pipeline.labels.heads import heads
from pipeline.labels.journal import read_events
from pipeline.run.stage import artifacts
from store.base.atomic import write_text
from store.base.errors import StoreError, UserError
from store.datasets.groups import open_dataset
from store.documents.prompts import read_prompts
from store.documents.token_texts import read_token_texts
from store.schema.labels import LABELS


def main() -> None:
    """Run a command; a mistake ends in one sentence."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.judging", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("examples", help="write inputs/judges/examples.jsonl anew")
    command.add_argument("--profile", required=True, help="a profile of params.yaml")
    command.add_argument("-n", type=int, default=20, help="at most so many prompts")
    asked = parser.parse_args()
    try:
        renew(asked.profile, asked.n)
    except (UserError, StoreError) as error:
        sys.exit(f"Error: {error}")


def renew(profile: str, n: int, path: Path = EXAMPLES) -> None:
    """Write the examples of a profile's labels.

    Raises
    ------
    UserError
        No prompt is labelled whole by people; what was there stays.
    """
    folder = artifacts(profile)
    comments = {
        (event.prompt_hash, event.token): event.comment
        for event in heads(read_events())
        if isinstance(event, TokenEvent) and event.comment
    }
    examples = renewed(
        open_dataset(folder / LABELS.kind, "candidates"),
        {prompt.hash: prompt for prompt in read_prompts(folder / "prompts.json")},
        comments,
        read_token_texts(folder / "vocabulary.json"),
        n,
    )
    if not examples:
        raise UserError(
            f"No prompt of {profile} has all its candidates labelled by people; label some on the page "
            f"Labels and run `dvc repro labels@{profile}` first."
        )
    write_text(path, "".join(f"{example.model_dump_json()}\n" for example in examples))
    print(f"{path}: {len(examples)} prompts; `dvc repro` asks judges anew, who see them now.")


if __name__ == "__main__":
    main()
