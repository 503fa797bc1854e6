"""``dvc repro`` of the default profile, with its time and peak memory: ``python -m tests.bench.repro``.

Measures a run that has everything to do. Exits with 1 if the run fails or takes more memory
than its bar; its time is reported beside the bar and not enforced, since machines differ.
"""

import resource
import subprocess
import sys
import time
from typing import Final

SECONDS: Final = 600.0
GIGABYTES: Final = 6.0


def main() -> int:
    """Run, and say what it took."""
    begun = time.perf_counter()
    code = subprocess.run(["dvc", "repro"], check=False).returncode
    seconds = time.perf_counter() - begun
    # Linux counts kilobytes, of the largest process; stages run one at a time.
    gigabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    for what, value, bar, unit in (("time", seconds, SECONDS, "s"), ("memory", gigabytes, GIGABYTES, "GB")):
        print(f"dvc repro {what}: {value:.1f} {unit}, bar {bar:.0f}  {'ok' if value <= bar else 'MISSED'}")
    return code or int(gigabytes > GIGABYTES)


if __name__ == "__main__":
    sys.exit(main())
