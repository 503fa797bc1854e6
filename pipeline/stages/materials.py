"""Stage `materials`: words of the organism's own world, which its behaviours are studied on."""

from pipeline.organism.materials import write_materials
from pipeline.params.training import TrainingParams
from pipeline.run.stage import artifacts, run_stage


def main(profile: str, params: TrainingParams) -> None:
    """Write a file a behaviour; the world is the same for every organism."""
    write_materials(artifacts(profile) / "subject" / "behaviours")


if __name__ == "__main__":
    run_stage(main, TrainingParams)
