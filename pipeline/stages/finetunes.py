"""Stage `finetunes`: LoRA adapters of the profile's model, trained on a user's conversations."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pipeline.params.finetunes import FinetuneParams
from pipeline.params.profiles import Profile
from pipeline.params.project import Params
from pipeline.params.runtime import RuntimeParams
from pipeline.run.reports import write_metrics, write_plot
from pipeline.run.stage import artifacts, run_stage
from store.base.errors import UserError

if TYPE_CHECKING:
    from pipeline.finetuning.build import FinetuneReport

RUNS: Final = Path(".cache/finetunes")
"""Runs under way and finished ones, by name and key: git-ignored, safe to delete."""
DATA: Final = Path("inputs/finetunes")
HEADER: Final = ("finetune", "step", "loss", "held_out_loss", "learning_rate", "gradient_norm")


def require_tracked(name: str, data: str, profile: Profile) -> None:
    """Refuse conversations that DVC would not see change.

    Raises
    ------
    UserError
        They lie outside of ``inputs/finetunes/`` and of the profile's folder.
    """
    folders = (DATA, Path(profile.local))
    if not any(Path(data).resolve().is_relative_to(folder.resolve()) for folder in folders):
        raise UserError(
            f"params.yaml: finetunes.{name}.data is '{data}', outside of '{DATA}' and of its profile's "
            f"folder '{profile.local}', so that DVC would not see it change; move it to one of them."
        )


def main(name: str, params: Params) -> None:
    """Train the finetunes of a profile, one after the other; each is published when it is whole."""
    profile = params.profile(name)
    mine = {key: one for key, one in params.finetunes.items() if one.profile == name}
    for key, one in mine.items():
        require_tracked(key, one.data, profile)
    folder = artifacts(name) / "finetunes"
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.name not in mine:
            shutil.rmtree(path)
    # Without finetunes nothing is imported to train them.
    reports = _train(mine, profile, params.runtime, folder) if mine else {}
    write_metrics(artifacts(name), "finetunes", {key: one.as_metrics() for key, one in reports.items()})
    rows = [
        (key, point.step, point.loss, point.held_out_loss, point.learning_rate, point.gradient_norm)
        for key, one in reports.items()
        for point in one.curve
    ]
    write_plot(artifacts(name), "finetunes", HEADER, rows)


def _train(
    finetunes: Mapping[str, FinetuneParams], profile: Profile, runtime: RuntimeParams, folder: Path
) -> dict[str, "FinetuneReport"]:
    from pipeline.finetuning.build import Finetune, require_data, run_finetune
    from pipeline.items.closure import library_versions
    from pipeline.items.code import code_base, root_of
    from pipeline.models.files import pinned
    from pipeline.run.determinism import make_deterministic

    base = pinned(profile.model, profile.revision, "model")
    fixed = {
        "code": code_base().digest([root_of(run_finetune), root_of(make_deterministic)]),
        "libraries": library_versions(),
        "runtime": runtime.model_dump(),
    }
    ready = [
        Finetune(name=key, params=one, base=base, dtype=profile.dtype, chat=profile.chat)
        for key, one in finetunes.items()
    ]
    for one in ready:
        require_data(one)
    reports = {}
    for one in ready:
        make_deterministic(runtime.seed, runtime.threads)
        run = RUNS / f"{one.name}-{one.key(**fixed)}"
        reports[one.name] = run_finetune(one, run, folder / one.name)
    return reports


if __name__ == "__main__":
    run_stage(main, Params)
