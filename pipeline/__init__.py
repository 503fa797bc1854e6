"""The pipeline: science modules, and the thin DVC stages that call them.

Science modules know nothing of DVC or Streamlit; stages know nothing of formulas.
"""

import os

# An idle OpenMP thread spins for a while before it sleeps. By default that is long enough to take half
# the speed of the work on a busy machine; none at all is too short for the small products of a small
# model, whose training is then three times slower on two threads. 100,000 rounds are a fraction of a
# millisecond. The library reads this when torch is imported, so it stands where every stage passes first.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "100000")
