"""Stage `transcoders`: sparse dictionaries of the base's MLPs."""

from pipeline.organism.build_transcoders import make_transcoders
from pipeline.params.training import TrainingParams
from pipeline.run.determinism import make_deterministic
from pipeline.run.reports import write_metrics, write_plot
from pipeline.run.stage import artifacts, run_stage


def main(profile: str, params: TrainingParams) -> None:
    """Write the transcoder set and how well it fits held-out text."""
    make_deterministic(params.runtime.seed, params.runtime.threads)
    folder = artifacts(profile)
    subject = folder / "subject"
    report = make_transcoders(
        params.organism(profile), subject / "base", subject / "transcoders", params.runtime
    )
    write_metrics(folder, "transcoders", report.as_metrics())
    rows = [(layer, fit.fvu, fit.l0, fit.dead) for layer, fit in enumerate(report.fits["dialogues"])]
    write_plot(folder, "transcoders", ["layer", "fvu", "l0", "dead"], rows)


if __name__ == "__main__":
    run_stage(main, TrainingParams)
