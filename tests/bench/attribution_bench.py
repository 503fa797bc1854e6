"""Attribution against circuit-tracer's: time, numbers, memory."""

import json
import statistics
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from pipeline.attribution.estimate import estimate
from tests.bench.cases import organism_subjects, wide_subject
from tests.bench.comparison import begun, compare
from tests.bench.gpu_case import gpu_figures

ROOT: Final = Path(__file__).parents[2]
_ORGANISM_PROMPTS: Final = 6
_PAIRS: Final = 1
"""Runs of circuit-tracer on a prompt: of the wide case one takes 18 seconds; of the organism the figure is
the median over prompts."""


def attribution_figures(folder: Path) -> dict[str, Any]:
    """Speed and largest difference, by turns in one process; peak memory in processes of their own.

    Both sides get the same model, targets and settings. A difference is relative to the
    largest entry of circuit-tracer's adjacency; nodes are the same ones, or those that
    both have where selections differ among ties (`swapped` in `raw` counts them).
    """
    subject = wide_subject(folder / "attribution_tokenizer")
    wide, estimated = compare(subject, _PAIRS), estimate(begun(subject), subject.max_feature_nodes)
    organism = {subject.name: compare(subject, _PAIRS) for subject in organism_subjects(_ORGANISM_PROMPTS)}
    gpu = gpu_figures(folder / "gpu_tokenizer")
    raw = gpu.pop("raw")
    errors = [wide.max_rel_error, *(found.max_rel_error for found in organism.values())]
    if gpu["attribution_speedup_gpu"] is not None:
        errors.append(raw["attribution_gpu"]["max_rel_error"])
    peaks = {side: _peak(side) for side in ("circuit_tracer", "engine")}
    return {
        "attribution_speedup_wide": wide.speedup,
        "attribution_speedup_organism": statistics.median(found.speedup for found in organism.values()),
        **gpu,
        "attribution_max_rel_error": max(errors),
        "attribution_memory_ratio": peaks["engine"]["peak"] / peaks["circuit_tracer"]["peak"],
        "raw": {
            **raw,
            "attribution_wide": asdict(wide),
            "attribution_organism": {name: asdict(found) for name, found in organism.items()},
            "attribution_memory": peaks,
            "attribution_estimate": {"seconds": estimated.seconds, "bytes": estimated.bytes},
        },
    }


def _peak(side: str) -> dict[str, int]:
    """Bytes resident at most; see `tests.bench.peak`."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.bench.peak", side]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True)
    found: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return found
