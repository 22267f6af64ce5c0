"""What both child programs do before importing torch: check the model's folder, set the environment."""

from __future__ import annotations

import os
from pathlib import Path

from polytune.errors import UsageError
from polytune.extras import install_command

# Offline: models come from local folders only, and a training must not depend on what a hub serves today.
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


def check_folder(folder: Path) -> None:
    """Raises UsageError unless the folder looks like a saved Hugging Face model with a tokenizer."""
    if not folder.is_dir():
        raise UsageError(f"base model {folder}: there is no such folder; correct its path")
    tokenizer = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json")
    if not (folder / "config.json").is_file() or not any((folder / name).is_file() for name in tokenizer):
        raise UsageError(
            f"base model {folder}: not a Hugging Face model; it needs config.json, weights and a tokenizer"
        )


def set_environment(threads: int) -> int:
    """Libraries imported after this call work offline, print little and use `threads` threads (0: all cores).

    Returns the number of threads.
    """
    # Must run before torch is imported: OpenMP reads the number of threads once, when it is loaded.
    count = threads or _usable_cores()
    os.environ.update(_QUIET_AND_OFFLINE)
    os.environ.update({"OMP_NUM_THREADS": str(count), "MKL_NUM_THREADS": str(count)})
    return count


def explained(where: str, error: Exception) -> str:
    """Cause and remedy of an unexpected failure, in one line."""
    # torch raises RuntimeError for memory on the CPU and its own type on the GPU, so the texts are compared.
    text = str(error)
    if isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text:
        remedy = "lower batch_size or max_length, train by lora, or take a machine with more memory"
        return f"{where}: out of memory; {remedy}"
    if isinstance(error, ImportError):
        return f"{where}: {text}; run `{install_command('local')}`"
    first = text.strip().splitlines()[0] if text.strip() else "no message"
    return f"{where}: {type(error).__name__}: {first}; the log has all of it"


def _usable_cores() -> int:
    # In a container or under taskset fewer cores may be usable than the machine has.
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
