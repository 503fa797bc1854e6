"""Stage `organism`: corpus, tokenizer and base model, trained here."""

from pipeline.organism.build import make_organism
from pipeline.params.training import TrainingParams
from pipeline.run.determinism import make_deterministic
from pipeline.run.reports import write_metrics, write_plot
from pipeline.run.stage import artifacts, run_stage


def main(profile: str, params: TrainingParams) -> None:
    """Write the base model, its prompts, phrases and held-out texts."""
    make_deterministic(params.runtime.seed, params.runtime.threads)
    folder = artifacts(profile)
    report = make_organism(params.organism(profile), folder / "subject")
    metrics = {"parameters": report.parameters, **report.behaviour.as_metrics()}
    write_metrics(folder, "organism", metrics)
    rows = [(point.step, point.loss) for point in report.curve]
    write_plot(folder, "organism", ["step", "loss"], rows)


if __name__ == "__main__":
    run_stage(main, TrainingParams)
