"""One module a DVC stage: read params and inputs, call the science, write to the store."""

import os

from pipeline.run.interrupts import end_on_interrupt

end_on_interrupt()
# Before NumPy is there: threads of its products wait for each other, busily, longer than they work, and
# on a busy machine several times as long. What has many products makes several of them at a time.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
