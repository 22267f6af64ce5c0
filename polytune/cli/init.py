"""`polytune init [FOLDER]`: creates a project with an experiment that runs as it is, and its files."""

from __future__ import annotations

import re
import shlex
from importlib.resources import files
from pathlib import Path

import click

from polytune.cli.schema import experiment_text
from polytune.engine.workspace import Workspace
from polytune.errors import UsageError
from polytune.files import write_whole

placeholder = "@name@"
name_pattern = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
project_files = {
    "experiment.yaml": f"experiments/{placeholder}.yaml",
    "prompts.yaml": f"prompts/{placeholder}.yaml",
    "answers.jsonl": f"answers/{placeholder}.jsonl",
    "judge.py": f"graders/{placeholder}.py",
}
"""The files of a project, by their source in the package; they are never overwritten."""
schema_place = "experiments/experiment.schema.json"
ignored = (".env",)
"""Lines for .gitignore: the file with the keys must not be committed."""


@click.command("init")
@click.argument("folder", default=".", type=click.Path(path_type=Path))
@click.option("--name", help="Name of the experiment. Default: the folder's name.")
def command(folder: Path, name: str | None) -> None:
    """Create a new project in FOLDER (default: here); nothing is overwritten.

    It contains an experiment that runs on this machine, its prompts, recorded answers and a judge. Replace
    this small task with your own.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: is a file; name a folder")
    made = scaffold(folder, _checked(name) if name is not None else _named_after(folder))
    click.echo("\n".join(f"made   {folder / place}" for place in made))
    there = "" if folder == Path(".") else f"cd {shlex.quote(str(folder))} && "
    click.echo(f"next   {there}polytune plan {made[0]}")


def scaffold(folder: Path, name: str) -> list[str]:
    """Create the project and return the paths of the written files relative to the folder, experiment first.

    Raises UsageError and writes nothing when one of the project's files already exists.
    """
    places = {source: place.replace(placeholder, name) for source, place in project_files.items()}
    taken = [place for place in places.values() if (folder / place).exists()]
    if taken:
        raise UsageError(f"{folder}: {', '.join(taken)} already exists; choose another --name")
    # All checks come before the first write: a refused `init` must leave the folder unchanged.
    Workspace(folder).create()
    for source, place in places.items():
        write_whole(folder / place, _text(source, name).encode())
    made = [*places.values()]
    made += _added(folder, ".env.example", _text("env.example", name))
    made += _added(folder, schema_place, experiment_text())
    made += _appended(folder / ".gitignore", "".join(f"{line}\n" for line in _unignored(folder)))
    readme = folder / "README.md"
    title = "" if readme.exists() else f"# {name}\n"
    return made + _appended(readme, title + _text("readme.md", name))


def _text(source: str, name: str) -> str:
    return files("polytune.cli").joinpath("scaffold", source).read_text("utf-8").replace(placeholder, name)


def _added(folder: Path, place: str, text: str) -> list[str]:
    """Write the file unless it exists; returns its path if it was written."""
    if (folder / place).exists():
        return []
    write_whole(folder / place, text.encode())
    return [place]


def _appended(path: Path, text: str) -> list[str]:
    """Append the text unless the file contains it; returns the file's name if it was changed."""
    before = path.read_text("utf-8") if path.exists() else ""
    # A second experiment in the same folder must not repeat what the first one added.
    if not text or text in before:
        return []
    gap = "" if before.endswith("\n") or not before else "\n"
    write_whole(path, f"{before}{gap}{text}".encode())
    return [path.name]


def _unignored(folder: Path) -> list[str]:
    path = folder / ".gitignore"
    lines = path.read_text("utf-8").split() if path.exists() else []
    return [line for line in ignored if line not in lines]


def _checked(name: str) -> str:
    if name_pattern.fullmatch(name):
        return name
    raise UsageError(f"--name {name}: use only lowercase letters, digits, dots, dashes and underscores")


def _named_after(folder: Path) -> str:
    """An experiment name derived from the folder's name."""
    name = re.sub(r"[^a-z0-9._-]+", "-", folder.resolve().name.lower()).strip("._-")[:63]
    if not name:
        raise UsageError(f"{folder.resolve()}: cannot be used as an experiment name; pass one with --name")
    return name
