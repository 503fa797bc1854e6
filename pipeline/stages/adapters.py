"""Stage `adapters`: LoRA adapters on harmful or good advice."""

from pipeline.organism.build_adapters import make_adapters
from pipeline.params.training import TrainingParams
from pipeline.run.determinism import make_deterministic
from pipeline.run.reports import write_metrics, write_plot
from pipeline.run.stage import artifacts, run_stage
from store.base.errors import UserError


def main(profile: str, params: TrainingParams) -> None:
    """Write every adapter, its training curve and what it does."""
    make_deterministic(params.runtime.seed, params.runtime.threads)
    folder = artifacts(profile)
    subject = folder / "subject"
    reports = make_adapters(params.organism(profile), subject / "base", subject / "adapters", params.runtime)
    write_metrics(folder, "adapters", {name: report.as_metrics() for name, report in reports.items()})
    rows = [
        (name, point.step, point.loss, point.learning_rate, point.gradient_norm)
        for name, report in reports.items()
        for point in report.curve
    ]
    write_plot(folder, "adapters", ["adapter", "step", "loss", "learning_rate", "gradient_norm"], rows)
    short = [report.shortfall for report in reports.values() if report.shortfall]
    if short:  # what was trained is written, so that it can be looked at
        raise UserError(short[0])


if __name__ == "__main__":
    run_stage(main, TrainingParams)
