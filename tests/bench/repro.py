"""``dvc repro`` of the default profile, with its time and peak memory: ``python -m tests.bench.repro``.

Measures a run that has everything to do, and says by stage where time and memory go. Exits with 1 if
the run fails or takes more memory than its bar; its time is reported beside the bar and not enforced,
since machines differ.
"""

import subprocess
import sys
import time
from collections import defaultdict
from typing import Final

import psutil

SECONDS: Final = 900.0
"""Of the whole; and what each capability that came after the organism may take."""
GROWTH: Final = {
    "validation": (60.0, {"validation"}),
    "interventions": (180.0, {"recipes", "faithfulness", "steered", "components", "interventions"}),
    "behaviours": (
        180.0,
        {
            "behaviour_words",
            "behaviour_prompts",
            "baseline",
            "behaviour_features",
            "behaviour_graphs",
            "circuits",
            "behaviour_interventions",
        },
    ),
}
GIGABYTES: Final = 6.0
"""Of all processes together."""
_EVERY: Final = 2.0
"""Seconds from one look to the next: a look at the memory of all takes a tenth of one."""


def look(process: psutil.Process) -> tuple[str, int]:
    """The stage that a run is at, and the memory of all its processes.

    What several processes share counts once (proportional set size).
    """
    stage, total = "dvc", 0
    for each in (process, *process.children(recursive=True)):
        try:
            total += each.memory_full_info().pss
            named = [word for word in each.cmdline() if word.startswith("pipeline.stages.")]
        except psutil.Error:  # it has ended
            continue
        stage = named[0].rpartition(".")[2] if named else stage
    return stage, total


def main() -> int:
    """Run, and say what it took."""
    begun = now = time.perf_counter()
    spent: dict[str, float] = defaultdict(float)
    peaks: dict[str, int] = defaultdict(int)
    run = subprocess.Popen(["dvc", "repro"])
    while run.poll() is None:
        try:
            stage, size = look(psutil.Process(run.pid))
        except psutil.Error:  # it ended between two lines
            break
        peaks[stage] = max(peaks[stage], size)
        time.sleep(_EVERY)
        before, now = now, time.perf_counter()
        spent[stage] += now - before
    code = run.wait()
    for stage, seconds in spent.items():
        print(f"{stage:>12}: {seconds:5.0f} s, {peaks[stage] / 1e9:.1f} GB")
    seconds, gigabytes = time.perf_counter() - begun, max(peaks.values()) / 1e9
    grown = {name: sum(spent[stage] for stage in stages) for name, (_, stages) in GROWTH.items()}
    figures = [
        ("time", seconds, SECONDS, "s"),
        *((f"time of {name}", grown[name], bar, "s") for name, (bar, _) in GROWTH.items()),
        ("time of all else", seconds - sum(grown.values()), SECONDS, "s"),
        ("memory", gigabytes, GIGABYTES, "GB"),
    ]
    for what, value, bar, unit in figures:
        print(f"dvc repro {what}: {value:.1f} {unit}, bar {bar:.0f}  {'ok' if value <= bar else 'MISSED'}")
    return code or int(gigabytes > GIGABYTES)


if __name__ == "__main__":
    sys.exit(main())
