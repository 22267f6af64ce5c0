"""`polytune diff A B`: shows the first difference of two runs or files, its cause, and then all others."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from polytune import parts
from polytune.cli import options
from polytune.engine.comparand import Comparand, comparand_of_file, comparand_of_run
from polytune.engine.compiled import Compiled
from polytune.engine.difference import Structure, structural_difference
from polytune.engine.manifest import read_manifest
from polytune.engine.selection import Selection
from polytune.engine.workspace import manifest_name
from polytune.errors import ExitCode, UsageError, did_you_mean
from polytune.report.shape import Difference, nothing
from polytune.wiring import OpenWorkspace

file_endings = (".yaml", ".yml")


@click.command("diff")
@click.argument("a")
@click.argument("b")
@click.option(
    "--rows",
    type=click.IntRange(min=0),
    default=3,
    show_default=True,
    help="Show this many rows of each kind.",
)
@click.option("--markdown", is_flag=True, help="Print Markdown for a pull request.")
@options.workspace
@options.rehearsal
@options.as_json
@click.pass_context
def command(ctx: click.Context, /, a: str, b: str, rows: int, workspace: Path | None, **flags: bool) -> None:
    """Compare A with B: the first difference, its cause, and its effects.

    Each is a run id (or its beginning), an experiment (its latest run), a run's folder or manifest, or an
    experiment file; FILE@VARIANT is one variant of a matrix. Exits with 0 when they are the same, and with 1
    when they differ.
    """
    workspaces = _Workspaces(workspace, flags["rehearsal"])
    old, new = workspaces.side(a), workspaces.side(b)
    structure = structural_difference(old, new)
    found = _figures(old, new, structure, rows) if structure.first else nothing(old, new, structure)
    if flags["as_json"]:
        click.echo(msgspec.json.encode(found))
    else:
        page = parts.markdown.markdown_lines if flags["markdown"] else parts.text.text_lines
        click.echo("\n".join(page(found)))
    ctx.exit(ExitCode.DONE if found.same else ExitCode.FAILED)


def _figures(old: Comparand, new: Comparand, structure: Structure, rows: int) -> Difference:
    return parts.differences.compare_figures(old, new, structure, rows)


class _Workspaces:
    """The workspaces of the two sides, each opened once."""

    def __init__(self, override: Path | None, rehearsal: bool) -> None:
        self.override = override
        self.rehearsal = rehearsal
        self._open: dict[Path, OpenWorkspace] = {}

    def side(self, name: str) -> Comparand:
        """The side of that name. Raises UsageError when there is none."""
        path = Path(name)
        # A name with a YAML ending always means a file, so that a misspelt file is not reported as a run.
        file, _, variant = name.rpartition("@")
        if name.endswith(file_endings):
            return self._file(path, "")
        if file.endswith(file_endings):
            return self._file(Path(file), variant)
        if path.is_dir() and (path / manifest_name).is_file():
            return self._manifest(path / manifest_name)
        if path.is_file() or path.suffix == ".json":
            return self._manifest(path)
        opened = self._near(None)
        return comparand_of_run(opened.manifest(opened.run(name)), opened.store)

    def _near(self, path: Path | None) -> OpenWorkspace:
        opened = OpenWorkspace.open(path, self.override, rehearsal=self.rehearsal)
        # Two sides in the same workspace share its store.
        return self._open.setdefault(opened.workspace.root, opened)

    def _manifest(self, path: Path) -> Comparand:
        return comparand_of_run(read_manifest(path), self._near(path).store)

    def _file(self, path: Path, variant: str) -> Comparand:
        opened = self._near(path)
        compiled = _chosen(opened.compile(path, ()), path, variant)
        return comparand_of_file(compiled, opened.planner(compiled, Selection()))


def _chosen(variants: tuple[Compiled, ...], path: Path, name: str) -> Compiled:
    """The variant of that name, or the only one."""
    if not name and len(variants) == 1:
        return variants[0]
    known = [each.name.partition("@")[2] for each in variants]
    if name not in known:
        which = (
            f"no variant '{name}'." if name else f"has {len(variants)} variants; name one: {path}@VARIANT."
        )
        hint = did_you_mean(name, known) if any(known) else " It has none."
        raise UsageError(f"{path}: {which}{hint}")
    return variants[known.index(name)]
