"""Stage `code`: what each stage computes with, so that DVC runs those that an edit reaches, and no other."""

from pathlib import Path

from pipeline.items.stage_code import stage_code
from pipeline.params.project import Params
from pipeline.run.stage import artifacts, run_stage
from store.base.atomic import published_folder, write_text
from store.base.errors import UserError


def main(profile: str, params: Params) -> None:
    """Write a file a stage: the modules that it imports, with digests."""
    for name in sorted(params.organisms.keys() - params.profiles.keys()):
        raise UserError(
            f"params.yaml: organisms.{name} has no profile of its name, which lists what it is trained with; "
            "add one, or remove the organism."
        )
    with published_folder(artifacts(profile) / "code") as folder:
        for path in sorted(Path(__file__).parent.glob("[!_]*.py")):
            write_text(folder / f"{path.stem}.txt", stage_code(path.stem))


if __name__ == "__main__":
    run_stage(main, Params)
