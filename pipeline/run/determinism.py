"""What fixes the last bit: seeds, thread counts and kernels."""

import os
import random
import warnings

import numpy as np
import torch


def make_deterministic(seed: int, threads: int) -> None:
    """Fix seeds and thread counts, and refuse kernels whose result varies.

    Must run before any torch work: the number of threads fixes the order of sums.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    random.seed(seed)
    # Libraries may draw from the legacy global generator; our own code passes generators.
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=False)
    warnings.filterwarnings("ignore", message=".*torch_dtype.*")
