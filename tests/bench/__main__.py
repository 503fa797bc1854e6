"""``python -m tests.bench``: every figure beside its bar; exit code 1 if one is missed."""

import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from store.base.atomic import write_text
from store.base.errors import StoreError
from tests.bench.answers_bench import answer_figures
from tests.bench.attribution_bench import attribution_figures
from tests.bench.behaviour_bench import behaviour_figures
from tests.bench.carry_bench import carry_figures
from tests.bench.coverage_bench import coverage_figures
from tests.bench.dashboard_bench import labelling_figures, steering_figures
from tests.bench.doctor_bench import doctor_figures
from tests.bench.influence_bench import influence_figures
from tests.bench.intervention_bench import intervention_figures
from tests.bench.label_bench import label_figures, noise_figures
from tests.bench.mining_bench import mining_figures
from tests.bench.ranking_bench import ranking_figures
from tests.bench.steered_bench import steered_figures
from tests.bench.store_bench import byte_figures, index_figures, opening_figures, push_figures

BARS: Final[dict[str, tuple[str, float]]] = {
    "attribution_speedup_wide": (">=", 25.0),
    "attribution_speedup_organism": (">=", 8.0),
    "attribution_speedup_gpu": (">=", 5.0),
    "attribution_max_rel_error": ("<=", 1e-5),
    "attribution_memory_ratio": ("<=", 0.60),
    "influence_speedup_wide": (">=", 5.0),
    "store_bytes_ratio_organism": ("<=", 0.20),
    "store_bytes_ratio_wide": ("<=", 0.25),
    "store_default_bytes_ratio": ("<=", 0.03),
    "store_open_speedup": (">=", 5.0),
    "index_10k_seconds": ("<=", 1.0),
    "push_increment_share": ("<=", 0.05),
    "steering_release_ms": ("<=", 300.0),
    "stream_first_ms": ("<=", 300.0),
    "label_mark_ms": ("<=", 50.0),
    "label_disk_ms": ("<=", 500.0),
    "answers_speedup": (">=", 10.0),
    "answers_speedup_natural": (">=", 10.0),
    "behaviour_graphs_speed_share": (">=", 0.45),
    "carry_units_share": (">=", 0.80),
    "steered_speed_share": (">=", 0.80),
    "settings_speedup": (">=", 20.0),
    "steered_answers_speedup": (">=", 4.2),
    "interval_coverage_lowest": (">=", 0.93),
    "interval_coverage_highest": ("<=", 0.97),
    "rate_coverage_lowest": (">=", 0.93),
    "aimed_first_by_noisy_labels": (">=", 0.95),
    "label_page_speedup": (">=", 20.0),
    "misalignment_coverage_lowest": (">=", 0.90),
    "doctor_memory_error": ("<=", 0.15),
    "sign_flip_speedup": (">=", 8.0),
    "mining_precision": (">=", 0.80),
    "mining_recall": (">=", 0.50),
    "mining_null_share": ("<=", 0.05),
}
MEASURES: Final = (
    attribution_figures,
    influence_figures,
    byte_figures,
    opening_figures,
    index_figures,
    push_figures,
    steering_figures,
    labelling_figures,
    answer_figures,
    intervention_figures,
    behaviour_figures,
    carry_figures,
    steered_figures,
    coverage_figures,
    noise_figures,
    label_figures,
    doctor_figures,
    ranking_figures,
    mining_figures,
)
LIBRARIES: Final = ("circuit-tracer", "numpy", "pandas", "torch", "transformers", "xarray", "zarr")


def _met(name: str, value: float | None) -> bool:
    """Whether a figure keeps its bar; one that cannot be measured here misses none."""
    sign, bar = BARS[name]
    return value is None or (value <= bar if sign == "<=" else value >= bar)


def twice_if_missed(measure: Callable[[Path], dict[str, Any]], folder: Path) -> dict[str, Any]:
    """Figures, taken once more if one misses its bar.

    A machine that is busy for a moment misses a bar; twice is no accident. The folder stays:
    some figures are taken of what others have written there.
    """
    found = measure(folder)
    missed = {name: value for name, value in found.items() if name in BARS and not _met(name, value)}
    if not missed:
        return found
    told = ", ".join(f"{name} {value:.3g}" for name, value in missed.items())
    print(f"  missed: {told}; measured once more", flush=True)
    return measure(folder)


def main() -> int:
    """Measure, print a table and write ``metrics/bench.json``."""
    figures: dict[str, Any] = {}
    raw: dict[str, Any] = {}
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for measure in MEASURES:
            name = measure.__name__.replace("_", " ")
            print(f"{name} ...", flush=True)
            begun = time.perf_counter()
            found = twice_if_missed(measure, Path(folder))
            seconds[name] = round(time.perf_counter() - begun, 1)
            print(f"  {seconds[name]} seconds", flush=True)
            raw |= found.pop("raw")
            figures |= found
    document = {
        **figures,
        "raw": raw | {"seconds": seconds},
        "versions": {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
        "machine": {"system": platform.platform(), "processors": os.cpu_count()},
    }
    write_text(Path("metrics/bench.json"), json.dumps(document, indent=1) + "\n")
    print(f"\n{'figure':30} {'value':>12} {'bar':>12}")
    for name, (sign, bar) in BARS.items():
        measured = figures[name] is not None
        value = f"{figures[name]:.4g}" if measured else "not measured"
        verdict = ("ok" if measured else "-") if _met(name, figures[name]) else "MISSED"
        print(f"{name:30} {value:>12} {sign:>5}{bar:7g}  {verdict}")
    return int(not all(_met(name, figures[name]) for name in BARS))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except StoreError as error:
        sys.exit(str(error))
