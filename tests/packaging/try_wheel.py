"""Builds the wheel and uses it as a stranger would: in an environment without anything of this checkout.

    python tests/packaging/try_wheel.py [3.11 3.12 ...]

Without versions it is tried with the Python that runs this. Versions that are not installed are named and
left out. The packages that the wheel requires come from the registry, in the versions of requirements.lock.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

top = Path(__file__).parents[2]
inputs = ("experiments", "prompts")
"""What a plan of the quickstart reads."""


class Failed(Exception):
    """A program did not do what it should."""


blocked = 3
"""How `polytune plan` ends where a step can't start: here, training without the packages of an extra."""


def ran(folder: Path, *words: str | Path, ends: int = 0) -> str:
    """What a program printed. Raises Failed, with all it said, unless it ended as it should."""
    ours = ("PYTHON", "POLYTUNE_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != ends:
        raise Failed(f"{' '.join(map(str, words))}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def built(folder: Path) -> Path:
    """The wheel, made with the build backend that is installed here."""
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
    ran(top, *pip, "--wheel-dir", folder, ".")
    (wheel,) = folder.glob("*.whl")
    return wheel


def constraints(folder: Path) -> Path:
    """The versions of the lock without its hashes: a wheel that was just built has none."""
    text = (top / "requirements.lock").read_text("utf-8").replace("\\\n", "")
    path = folder / "constraints.txt"
    path.write_text("".join(f"{line.split('--hash=')[0].rstrip()}\n" for line in text.splitlines()), "utf-8")
    return path


def pythons(version: str) -> Iterator[str]:
    """Programs that may be this version: on the path, then those of pyenv."""
    if found := shutil.which(f"python{version}"):
        yield found
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    yield from (str(folder / "bin" / "python") for folder in sorted(versions.glob(f"{version}.*")))


def python_of(version: str) -> str | None:
    """A Python of this version that starts and can make environments."""
    check = f"import sys, venv; sys.exit('%d.%d' % sys.version_info[:2] != '{version}')"
    for program in pythons(version):
        if not subprocess.run([program, "-c", check], capture_output=True, check=False).returncode:
            return program
    return None


def tried(python: str, wheel: Path, limits: Path, folder: Path) -> None:
    """The wheel installs, and its command works outside of the checkout. Raises Failed."""
    venv, project = folder / "venv", folder / "project"
    ran(folder, python, "-m", "venv", "--without-pip", venv)
    # This environment's pip installs into the other one, which spares each of them a pip of its own.
    pip = (sys.executable, "-m", "pip", "--python", venv / "bin" / "python", "--disable-pip-version-check")
    ran(folder, *pip, "install", "--quiet", "--constraint", limits, wheel)
    for name in inputs:
        shutil.copytree(top / name, project / name)
    (project / "runs").mkdir()
    polytune = venv / "bin" / "polytune"
    if "version" not in (told := ran(project, polytune, "--version")):
        raise Failed(f"polytune --version: {told}")
    json.loads(ran(project, polytune, "schema"))
    ran(project, polytune, "plan", "experiments/quickstart.yaml", ends=blocked)
    ran(project, polytune, "init", folder / "new")
    ran(folder / "new", polytune, "plan", "experiments/new.yaml", ends=blocked)


def main(versions: list[str]) -> int:
    """Tries each version and says how it went."""
    here = "{}.{}".format(*sys.version_info)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheel = built(folder)
        limits = constraints(folder)
        for version in versions or [here]:
            python = sys.executable if version == here else python_of(version)
            if python is None:
                sys.stdout.write(f"wheel: Python {version} is not installed; skipped\n")
                continue
            place = folder / version
            place.mkdir()
            try:
                tried(python, wheel, limits, place)
            except Failed as failure:
                sys.stderr.write(f"wheel: Python {version}: {failure}\n")
                return 1
            sys.stdout.write(f"wheel: Python {version}: installs; --version, schema, plan and init work\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
