"""``python -m pipeline.discover PROFILE``: find pivotal prompts, round after round; run again, it goes on."""

from pipeline.discover.program import discover
from pipeline.params.project import Params
from pipeline.run.stage import run_stage


def main(profile: str, params: Params) -> None:
    """Find prompts for a profile, and say why it ended and what comes next."""
    print(discover(profile, params).why)
    print("`dvc repro` puts what was found into the pipeline: its candidates and verdicts are there already.")


if __name__ == "__main__":
    run_stage(main, Params)
