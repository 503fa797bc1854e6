"""What a stage writes, as ``dvc.yaml`` says."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

_KINDS: Final = ("outs", "metrics", "plots")


def outs_of(root: Path, stage: str, key: str) -> list[Path]:
    """Paths of a stage's outs, metrics and plots, relative to the project's root.

    Parameters
    ----------
    root
        Root of the project; without a ``dvc.yaml`` there, or with none of the stage in it, there are none.
    stage
        Name of the stage.
    key
        Stands for ``${key}``: a profile or an organism.
    """
    try:
        stages = yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    except FileNotFoundError:
        return []
    entry = stages.get(stage, {})
    entry = entry.get("do", entry)
    return [Path(name.replace("${key}", key)) for kind in _KINDS for name in _names(entry.get(kind, ()))]


def _names(entries: Any) -> Iterator[str]:
    for entry in entries:
        # A path, or the path with options.
        yield entry if isinstance(entry, str) else next(iter(entry))
