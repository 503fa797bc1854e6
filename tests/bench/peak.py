"""Peak memory of attributing the wide case once: ``python -m tests.bench.peak circuit_tracer|engine``.

Prints one JSON object: `built` and `peak`, in bytes, before attribution and after it.
"""

import json
import sys
import tempfile
from pathlib import Path

from tests.bench.cases import wide_subject
from tests.bench.comparison import by_circuit_tracer, by_engine


def peak_bytes() -> int:
    """Peak resident memory of this process so far.

    Not `resource.getrusage`: a process that Python starts takes over its parent's peak
    there, and a benchmark's own is larger than what is measured.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def main() -> None:
    """Build, attribute, print."""
    attributed = {"circuit_tracer": by_circuit_tracer, "engine": by_engine}[sys.argv[1]]
    with tempfile.TemporaryDirectory(prefix="peak-") as folder:
        subject = wide_subject(Path(folder))
        built = peak_bytes()
        attributed(subject)
    print(json.dumps({"built": built, "peak": peak_bytes()}))


if __name__ == "__main__":
    main()
