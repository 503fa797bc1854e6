"""What DVC's answers say of the pipeline: what changed, what its cache lacks, and what each asks for."""

import json
from dataclasses import dataclass, field
from typing import Any, Final

BUSY: Final = "DVC is busy: `dvc repro` is running. The answer follows when it is done."

_UNCACHED: Final = "not in cache"


@dataclass(frozen=True, kw_only=True)
class Status:
    """Answer of `dvc status`, and of `dvc data status` where that has to be asked, too.

    Attributes
    ----------
    state
        running, fresh, stale, uncached, busy, absent (no pipeline here) or failed. Uncached: nothing
        changed, but DVC's cache lacks outputs that are here, as where a folder was handed over.
    stages
        What changed, by stage that is stale: words such as ``deleted: artifacts/...``.
    uncached
        Stages whose outputs are here as they were computed, and only not in DVC's cache.
    detail
        One line for states other than fresh and stale.
    seconds
        How long it took, or has taken so far.
    """

    state: str
    stages: dict[str, list[str]] = field(default_factory=dict)
    uncached: tuple[str, ...] = ()
    detail: str = ""
    seconds: float = 0.0


def is_vague(output: str) -> bool:
    """Whether `dvc data status` has to be asked, too.

    Of an output that the cache lacks, `dvc status` says that alone, whether it is here as it was
    computed, here and changed, or gone.

    Parameters
    ----------
    output
        What `dvc status --json` writes.
    """
    return f'"{_UNCACHED}"' in output


def parse(output: str, data: str = "{}") -> tuple[dict[str, list[str]], tuple[str, ...]]:
    """Stages that are stale with what changed, and stages that only DVC's cache lacks.

    Parameters
    ----------
    output, data
        What `dvc status --json` and `dvc data status --json` write; `data` counts only where the
        first `is_vague`.

    Raises
    ------
    ValueError
        It is not what DVC writes.
    """
    stages: dict[str, list[str]] = {}
    uncached: list[str] = []
    fates = _fates(data)
    for stage, reports in _object(output).items():
        changes: list[str] = []
        for report in reports:
            if isinstance(report, str):
                changes.append(report)
                continue
            for section, entries in report.items():
                changes.extend(f"{section}: {what}" for what in _entries(entries, fates))
        if changes or not reports:
            stages[stage] = changes
        else:
            uncached.append(stage)
    return stages, tuple(uncached)


def _object(text: str) -> dict[str, Any]:
    document = json.loads(text or "{}")
    if not isinstance(document, dict):
        raise ValueError("not an object")
    return document


def _fates(data: str) -> dict[str, str]:
    """``modified`` or ``deleted``, of each output in the working folder that is not as it was computed."""
    uncommitted = _object(data).get("uncommitted", {})
    return {
        str(path).rstrip("/"): fate for fate in ("modified", "deleted") for path in uncommitted.get(fate, [])
    }


def _entries(entries: Any, fates: dict[str, str]) -> list[str]:
    if not isinstance(entries, dict):
        return [str(entries)]
    out: list[str] = []
    for path, state in entries.items():
        if isinstance(state, dict):
            out.extend(f"{path} {key} {value}" for key, value in state.items())
        elif state != _UNCACHED:
            out.append(f"{state} {path}")
        elif path in fates:
            out.append(f"{fates[path]} {path}")
    return out


def interpret(code: int, output: str, errors: str, seconds: float, data: str = "{}") -> Status:
    """What an exit status and two streams of `dvc status` mean, with the output of `dvc data status`."""
    if code == 0:
        try:
            stages, uncached = parse(output, data)
        except ValueError:
            return Status(state="failed", detail="`dvc status` answered no JSON.", seconds=seconds)
        state = "stale" if stages else "uncached" if uncached else "fresh"
        return Status(state=state, stages=stages, uncached=uncached, seconds=seconds)
    lowered = errors.lower()
    if "busy" in lowered or "lock" in lowered:
        return Status(
            state="busy",
            detail=BUSY,
            seconds=seconds,
        )
    lines = [line for line in errors.strip().splitlines() if line.strip()]
    detail = lines[0] if lines else f"`dvc status` ended with exit status {code}."
    return Status(state="failed", detail=detail, seconds=seconds)


def remedy(status: Status) -> str | None:
    """The command that mends what is stale, None where nothing is."""
    if status.state != "stale":
        return None
    changes = [change for changes in status.stages.values() for change in changes]
    if changes and all(change.startswith("changed outs: deleted ") for change in changes):
        return "dvc pull"
    return "dvc repro"


def caching(status: Status) -> str | None:
    """The command that puts outputs into DVC's cache that it alone lacks, None where it lacks none.

    `dvc repro` would compute them again, for it takes what the cache lacks for changed.
    """
    if not status.uncached:
        return None
    # Stages that are stale are for `dvc repro`: committed, they would count as computed.
    return " ".join(["dvc commit", *(status.uncached if status.stages else ())])
