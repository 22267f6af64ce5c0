"""Builds Strudel's engine as one file on the user's machine, from npm packages.

The @strudel packages are AGPL-3.0-or-later, so polytune does not ship their code. `javascript/` contains the
list of packages to download (exact versions, each with its digest) and an entry file that names them. A
bundle is two files in the cache folder. The description is written last: its presence means "complete".

    strudel/strudel-1.2.6.js      the packages, joined by esbuild
    strudel/strudel-1.2.6.json    their versions, the bundle's SHA-256 and the recipe's
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import msgspec

from polytune.errors import StepFailed, Unavailable
from polytune.files import copy_whole, digest_of, write_whole

engine_version = "1.2.6"
recipe_files = ("entry.mjs", "kabelsalat.mjs", "package.json", "package-lock.json")
npm_seconds = 600
# `iife`: the isolate that runs the bundle has no module loader. The alias replaces a package that only works
# in browsers and fails on import elsewhere. `legal-comments` keeps the license texts in the bundle.
esbuild_options = (
    "--bundle",
    "--format=iife",
    "--global-name=strudelPackages",
    "--main-fields=module,main",
    "--target=es2022",
    "--minify",
    "--legal-comments=inline",
    "--alias:@kabelsalat/web=./kabelsalat.mjs",
    '--define:process.env.NODE_ENV="production"',
    "--log-level=warning",
)


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """The description file of a bundle."""

    versions: dict[str, str]
    """The packages in it and their versions."""
    sha256: str
    recipe: str
    """The digest of polytune's own build files. A bundle built from other ones is out of date."""
    license: str = "AGPL-3.0-or-later (the @strudel packages); built on this machine, not for redistribution"


@dataclass(frozen=True)
class Bundle:
    """A complete bundle that this version of polytune can use."""

    path: Path
    digest: str
    versions: dict[str, str]


def bundle_path(cache_folder: Path) -> Path:
    """The path of the bundle, whether or not it exists."""
    return cache_folder / "strudel" / f"strudel-{engine_version}.js"


def description_path(cache_folder: Path) -> Path:
    """The path of the bundle's description, whether or not it exists."""
    return bundle_path(cache_folder).with_suffix(".json")


def bundle_in(cache_folder: Path) -> Bundle | None:
    """The bundle in a cache folder; None if it is missing, out of date or damaged."""
    path = bundle_path(cache_folder)
    try:
        described = msgspec.json.decode(description_path(cache_folder).read_bytes(), type=Description)
        whole = described.recipe == recipe_digest() and described.sha256 == digest_of(path)
    except (OSError, msgspec.DecodeError):
        return None
    return Bundle(path, described.sha256, described.versions) if whole else None


def build_bundle(cache_folder: Path) -> Path:
    """A new bundle is in the cache folder. Returns its path.

    Takes about 10 seconds and 40 MB of npm packages, which are deleted afterwards. Raises Unavailable if npm
    is not installed, and StepFailed, with the end of its output, if it fails.
    """
    npm = _program("npm")
    with tempfile.TemporaryDirectory(prefix="polytune-strudel-") as name:
        folder = Path(name)
        _lay_out(folder)
        # `ci` installs exactly what the lock file lists and verifies every digest. No package gets to run its
        # install scripts.
        _run((npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"), folder)
        # Newer npm releases skip install scripts; this one puts esbuild's binary for this machine in place.
        _run((_program("node"), "node_modules/esbuild/install.js"), folder)
        _run(
            ("node_modules/esbuild/bin/esbuild", "entry.mjs", *esbuild_options, "--outfile=bundle.js"), folder
        )
        return _publish(folder / "bundle.js", _versions(folder), cache_folder)


def recipe_digest() -> str:
    """The digest of polytune's own build files and options for a bundle."""
    running = hashlib.sha256("\0".join(esbuild_options).encode())
    for name in recipe_files:
        running.update(_recipe(name))
    return running.hexdigest()


def _lay_out(folder: Path) -> None:
    for name in recipe_files:
        (folder / name).write_bytes(_recipe(name))


def _recipe(name: str) -> bytes:
    return files(__package__).joinpath("javascript", name).read_bytes()


def _publish(built: Path, versions: dict[str, str], cache_folder: Path) -> Path:
    path = bundle_path(cache_folder)
    digest = copy_whole(built, path)
    described = Description(versions=versions, sha256=digest, recipe=recipe_digest())
    write_whole(description_path(cache_folder), msgspec.json.format(msgspec.json.encode(described)) + b"\n")
    return path


def _versions(folder: Path) -> dict[str, str]:
    wanted = msgspec.json.decode(_recipe("package.json"), type=_Package).dependencies
    return {name: _installed(folder, name) for name in sorted(wanted)}


def _installed(folder: Path, name: str) -> str:
    manifest = folder / "node_modules" / name / "package.json"
    return msgspec.json.decode(manifest.read_bytes(), type=_Package).version


class _Package(msgspec.Struct):
    version: str = ""
    dependencies: dict[str, str] = {}


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise Unavailable(
            f"strudel engine: {name} is not on PATH. Install Node.js 18 or newer (it brings npm) and build "
            "again; until then the Python checker judges."
        )
    return found


def _run(command: Sequence[str], folder: Path) -> None:
    shown = " ".join((Path(command[0]).name, *command[1:2]))
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=npm_seconds,
            env={**os.environ, "NO_COLOR": "1", "NO_UPDATE_NOTIFIER": "1"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StepFailed(f"strudel engine: `{shown}` took longer than {npm_seconds} s. {_advice}") from None
    if done.returncode:
        words = done.stdout.decode(errors="replace").strip().splitlines()[-12:]
        raise StepFailed(
            f"strudel engine: `{shown}` failed with status {done.returncode}. {_advice} Its last words:\n"
            + "\n".join(words)
        )


_advice = "Check that this machine reaches the npm registry (`npm ping`), then build again."
