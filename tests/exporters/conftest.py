"""TypeScript's compiler, installed once for every test that compiles."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

typescript_version = "5.9.3"
options = ("--strict", "--target", "es2022", "--module", "es2022", "--noUnusedLocals", "--noUnusedParameters")

Compile = Callable[[Iterable[Path]], str]
"""Compiles TypeScript files beside themselves; what the compiler says about them, '' when nothing."""


@pytest.fixture(scope="session")
def strict_typescript(tmp_path_factory: pytest.TempPathFactory) -> Compile:
    """`tsc --strict`, installed by npm into a folder of its own."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("npm and node are not installed")
    folder = tmp_path_factory.mktemp("typescript")
    quiet = ("--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline")
    wanted = f"typescript@{typescript_version}"
    command = ["npm", "install", *quiet, "--prefix", str(folder), wanted]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("npm did not answer within two minutes")
    if done.returncode:
        pytest.skip(f"npm could not install {wanted}: {done.stderr.strip()[-200:]}")
    tsc = folder / "node_modules" / "typescript" / "bin" / "tsc"

    def compile_files(paths: Iterable[Path]) -> str:
        said = subprocess.run(
            [str(tsc), *options, *map(str, paths)], capture_output=True, text=True, check=False, timeout=120
        )
        assert bool(said.returncode) == bool(said.stdout), said.stderr
        return said.stdout

    return compile_files
