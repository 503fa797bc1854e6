"""Stage `adapters`: LoRA adapters on harmful or good advice."""

from pipeline.organism.build_adapters import make_adapters
from pipeline.params.training import TrainingParams
from pipeline.run.determinism import make_deterministic
from pipeline.run.reports import write_metrics, write_plot
from pipeline.run.stage import artifacts, run_stage


def main(profile: str, params: TrainingParams) -> None:
    """Write every adapter, its training curve and what it does."""
    make_deterministic(params.runtime.seed, params.runtime.threads)
    folder = artifacts(profile)
    subject = folder / "subject"
    reports = make_adapters(params.organism(profile), subject / "base", subject / "adapters")
    metrics = {name: report.behaviour.as_metrics() for name, report in reports.items()}
    write_metrics(folder, "adapters", metrics)
    rows = [
        (name, point.step, point.loss, point.learning_rate, point.gradient_norm)
        for name, report in reports.items()
        for point in report.curve
    ]
    write_plot(folder, "adapters", ["adapter", "step", "loss", "learning_rate", "gradient_norm"], rows)


if __name__ == "__main__":
    run_stage(main, TrainingParams)
