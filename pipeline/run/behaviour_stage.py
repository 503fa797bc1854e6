"""The edge around a stage of one profile and one behaviour, which DVC calls ``organism-agreement``.

Training imports `pipeline.run.stage`, so that what it does not need stands here: an edit there trains again.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.params.pairs import PairParams
from pipeline.params.project import Params
from pipeline.run.code_digest import require_listed_code
from pipeline.run.outs import outs_of
from pipeline.run.progress import announced
from pipeline.run.stage import artifacts, run_stage
from store.base.checksums import remove_checksums, write_checksums


def run_behaviour_stage(main: Callable[[str, str, Params], None]) -> None:
    """Run a stage's `main(profile, behaviour, params)` as a program; else as `run_stage`."""
    stage = main.__globals__["__spec__"].name.rpartition(".")[2]

    def of_pair(name: str, params: PairParams) -> None:
        profile, behaviour = params.pair(name)
        with _as_stage(stage, profile, behaviour):
            main(profile, behaviour, params)

    of_pair.__module__ = main.__module__  # whose docstring describes the program
    run_stage(of_pair, PairParams)


def outs_of_pair(root: Path, stage: str, profile: str, behaviour: str) -> list[Path]:
    """Paths that a stage writes for a profile and a behaviour; see `pipeline.run.outs.outs_of`."""
    return [
        Path(str(out).replace("${item.profile}", profile).replace("${item.behaviour}", behaviour))
        for out in outs_of(root, stage, f"{profile}-{behaviour}")
    ]


@contextmanager
def _as_stage(stage: str, profile: str, behaviour: str) -> Iterator[None]:
    """What `run_stage` does around a stage of a profile, which it knows by the module of what it runs: here
    that is this one, of which ``dvc.yaml`` has no stage."""
    outs = outs_of_pair(Path(), stage, profile, behaviour)
    if not outs:
        yield
        return
    folder, name = artifacts(profile), f"{stage}-{behaviour}"
    require_listed_code(Path(), folder / "code" / f"{stage}.txt")
    with announced(name, profile):
        remove_checksums(folder, name)
        yield
        write_checksums(folder, name, outs)
