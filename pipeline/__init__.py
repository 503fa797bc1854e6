"""The pipeline: science modules, and the thin DVC stages that call them.

Science modules know nothing of DVC or Streamlit; stages know nothing of formulas.
"""

import os

# Idle OpenMP threads would spin, at half the speed of the work on a busy machine; the
# library reads this when torch is imported, so it stands where every stage passes first.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
