"""Stage `behaviour_words`: which words each behaviour's prompts are made of, a file a behaviour.

DVC makes prompts of a behaviour anew where its own file has changed, and those of no other: it cannot name a
file that `params.yaml` names by profile and behaviour.
"""

from pathlib import Path

from pipeline.behaviours.registry import BEHAVIOURS, require_known
from pipeline.params.project import Params
from pipeline.run.stage import artifacts, run_stage
from store.base.atomic import published_folder, write_text
from store.base.hashing import file_digest


def main(profile: str, params: Params) -> None:
    """Write the place of each behaviour's words and a digest of them; nothing of what is not named."""
    named = params.profile(profile).behaviours
    require_known(named, f"profiles.{profile}.behaviours")
    require_known(params.behaviours.bars, "behaviours.bars")
    with published_folder(artifacts(profile) / "behaviour_words") as folder:
        for name in BEHAVIOURS:
            write_text(folder / f"{name}.txt", _told(named[name]) if name in named else "")


def _told(place: str) -> str:
    # What cannot be read is told by the stage that reads it, and keeps no other behaviour from being made.
    path = Path(place)
    return f"{place} {file_digest(path) if path.is_file() else 'missing'}\n"


if __name__ == "__main__":
    run_stage(main, Params)
