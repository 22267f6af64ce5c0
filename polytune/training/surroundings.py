"""The environment of a training or answering process, set before torch is imported; needs no torch."""

from __future__ import annotations

import os

_QUIET_AND_OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TQDM_DISABLE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    # cuBLAS repeats its results only with a fixed workspace (PyTorch notes on reproducibility, 2026-11).
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
}


def arrange(threads: int) -> int:
    """Libraries imported from now on stay offline and quiet, on `threads` threads (0: every core).

    Returns the number of threads.
    """
    count = threads or _usable_cores()
    os.environ.update(_QUIET_AND_OFFLINE)
    os.environ.update({"OMP_NUM_THREADS": str(count), "MKL_NUM_THREADS": str(count)})
    return count


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
