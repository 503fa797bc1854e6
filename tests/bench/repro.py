"""``dvc repro`` of the default profile, with its time and peak memory: ``python -m tests.bench.repro``.

Measures a run that has everything to do; exits with 1 above a bar, or if the run fails.
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
    print(f"dvc repro took {seconds:.0f} s, bar {SECONDS:.0f}")
    print(f"peak memory was {gigabytes:.1f} GB, bar {GIGABYTES:.0f}")
    return code or int(seconds > SECONDS or gigabytes > GIGABYTES)


if __name__ == "__main__":
    sys.exit(main())
