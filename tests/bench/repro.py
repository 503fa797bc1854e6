"""``dvc repro`` of the default profile, with its time and peak memory: ``python -m tests.bench.repro``.

Measures a run that has everything to do. Exits with 1 if the run fails or takes more memory
than its bar; its time is reported beside the bar and not enforced, since machines differ.
"""

import subprocess
import sys
import time
from typing import Final

import psutil

SECONDS: Final = 900.0
GIGABYTES: Final = 4.0
_EVERY: Final = 0.5
"""Seconds from one look at the memory to the next."""


def tree_bytes(process: psutil.Process) -> int:
    """Memory of a process and all below it; what several share counts once (proportional set size)."""
    total = 0
    for each in (process, *process.children(recursive=True)):
        try:
            total += each.memory_full_info().pss
        except psutil.Error:  # it has ended
            continue
    return total


def main() -> int:
    """Run, and say what it took."""
    begun, peak = time.perf_counter(), 0
    run = subprocess.Popen(["dvc", "repro"])
    while run.poll() is None:
        try:
            peak = max(peak, tree_bytes(psutil.Process(run.pid)))
        except psutil.Error:  # it ended between two lines
            break
        time.sleep(_EVERY)
    code = run.wait()
    seconds, gigabytes = time.perf_counter() - begun, peak / 1e9
    for what, value, bar, unit in (("time", seconds, SECONDS, "s"), ("memory", gigabytes, GIGABYTES, "GB")):
        print(f"dvc repro {what}: {value:.1f} {unit}, bar {bar:.0f}  {'ok' if value <= bar else 'MISSED'}")
    return code or int(gigabytes > GIGABYTES)


if __name__ == "__main__":
    sys.exit(main())
