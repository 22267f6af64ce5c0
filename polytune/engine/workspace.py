"""Where a workspace keeps things: the layout of `runs/`.

runs/ledger.sqlite3                        results, answers, jobs and file digests
runs/objects/sha256/ab/cdef...             finished outputs, by content
runs/<experiment>/<run-id>/...             what happened, for people and for git
runs/.locks/<key>                          which process is working on which step
runs/.gc.lock                              held while `gc` removes, shared while a run announces itself
runs/.jobs/<token>/                        local child processes and what they wrote
runs/.buckets/<name>/                      the local platform's storage
runs/.rehearsal/                           all of the above again, for runs against an emulator
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from polytune.errors import UsageError

manifest_name = "manifest.json"
compiled_name = "compiled.json"
"""In a run's folder: the experiment as compiled, which `resume` continues."""
lock_name = ".lock"
"""In a run's folder: held by the process that is working on the run."""

ignore_rules = """\
# Kept in git: manifests and resolved specs. Everything else is rebuilt or restored.
*
!*/
!.gitignore
!*/*/manifest.json
!*/*/spec.yaml
/.*/
/objects/
"""


@dataclass(frozen=True)
class Workspace:
    """A folder whose `runs/` holds everything polytune remembers."""

    root: Path
    rehearsal: bool = False
    """Whether this is the part for rehearsals, which real runs never read."""

    @property
    def runs(self) -> Path:
        return self.root / "runs" / ".rehearsal" if self.rehearsal else self.root / "runs"

    @property
    def placed(self) -> Path:
        """Root of the files that a step places in the workspace; a rehearsal never overwrites a real file."""
        return self.runs if self.rehearsal else self.root

    @property
    def ledger(self) -> Path:
        return self.runs / "ledger.sqlite3"

    @property
    def objects(self) -> Path:
        return self.runs / "objects" / "sha256"

    @property
    def removal_lock(self) -> Path:
        """Held by `gc` while it removes, and shared by runs while they announce themselves."""
        return self.runs / ".gc.lock"

    @property
    def locks(self) -> Path:
        return self.runs / ".locks"

    @property
    def jobs(self) -> Path:
        return self.runs / ".jobs"

    @property
    def buckets(self) -> Path:
        return self.runs / ".buckets"

    def run_folder(self, experiment: str, run_id: str) -> Path:
        """Return the folder of one run's manifest and outputs."""
        return self.runs / experiment / run_id

    def told_runs(
        self, known: Container[str], experiment: str | None = None, files: Sequence[str] = (manifest_name,)
    ) -> Iterator[Path]:
        """Yield the folder of every run that is not `known` by its id and has one of the `files`, sorted."""
        places = [self.runs / experiment] if experiment else sorted(self.runs.glob("[!.]*"))
        for place in places:
            # Names first: with thousands of known runs, a look at each would take longer than all the rest.
            names = sorted(os.listdir(place)) if place.is_dir() else []
            for name in names:
                if name not in known and name[0] != "." and any((place / name / f).is_file() for f in files):
                    yield place / name

    def relative(self, path: Path) -> str:
        """Return the path as records and messages show it: relative to the workspace if inside it."""
        if ".." not in path.parts and path.is_relative_to(self.root):
            return str(path.relative_to(self.root))
        # One may have come here by a link or through `..`; the root is a real path.
        real = Path(os.path.realpath(path.parent), path.name)
        return str(real.relative_to(self.root)) if real.is_relative_to(self.root) else str(path)

    def create(self) -> None:
        """Create `runs/` and the .gitignore that says what to keep in git."""
        self.runs.mkdir(parents=True, exist_ok=True)
        ignore = self.runs / ".gitignore"
        # Never overwritten: the user may keep other things in git.
        if not ignore.exists():
            ignore.write_text(ignore_rules, encoding="utf-8")


def find_workspace(near: Path | None, override: Path | None = None) -> Workspace:
    """Return the workspace of an experiment file: the nearest folder above it with `runs/` or `.git`.

    Falls back to the current folder; `override` wins. Raises UsageError when the override is not a folder.
    """
    if override is not None:
        if not override.is_dir():
            raise UsageError(f"--workspace {override}: no such folder")
        return Workspace(override.resolve())
    start = (near or Path.cwd() / "x").absolute().parent
    for folder in (start, *start.parents):
        if (folder / "runs").is_dir() or (folder / ".git").exists():
            # realpath: records hold paths relative to the root, which must not depend on the
            # symlink one came by.
            return Workspace(Path(os.path.realpath(folder)))
    return Workspace(Path.cwd())
