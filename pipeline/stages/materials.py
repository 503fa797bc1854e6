"""Stage `materials`: words of the organism's own world, which its behaviours and prompts are made of."""

from pipeline.organism.materials import write_materials
from pipeline.organism.templates import write_templates
from pipeline.params.training import TrainingParams
from pipeline.run.stage import artifacts, run_stage


def main(profile: str, params: TrainingParams) -> None:
    """Write a file a behaviour, the same for every organism, and templates on its held-out situations."""
    folder = artifacts(profile) / "subject"
    write_materials(folder / "behaviours")
    write_templates(folder / "templates.yaml", params.organism(profile).corpus)


if __name__ == "__main__":
    run_stage(main, TrainingParams)
