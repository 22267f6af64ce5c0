"""The object store: every finished output once, by digest, and checks of the outputs in place.

A file in place is `ok`, `missing` or `tampered`; the last two are restored from the store. A corrupted
object counts as missing and is never returned.
"""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path

from polytune.engine.artifacts import Artifact, FileEntry
from polytune.engine.filememory import FileMemory
from polytune.engine.workspace import Workspace
from polytune.errors import StepFailed
from polytune.files import copy_whole, remove_tree
from polytune.umask import like_any_file


class Condition(StrEnum):
    """How outputs in place compare with the record."""

    OK = "ok"
    MISSING = "missing"
    TAMPERED = "tampered"
    LOST = "lost"
    """Missing or tampered, and the store has no intact copy either."""


class Store:
    """Reads and writes the workspace's objects, and checks outputs in place."""

    def __init__(self, workspace: Workspace, memory: FileMemory) -> None:
        self.workspace = workspace
        self.memory = memory

    def object_path(self, digest: str) -> Path:
        """Return where the content with that digest is or would be."""
        return self.workspace.objects / digest[:2] / digest[2:]

    def put(self, path: Path) -> str:
        """Store the file's content durably; return its digest."""
        digest = self.memory.digest(path)
        if digest is None:
            raise StepFailed(f"{self.workspace.relative(path)}: disappeared before it was stored")
        target = self.object_path(digest)
        # The copy is hashed too: the file may have changed after its digest was taken. A corrupted object
        # is detected by the first condition and replaced.
        if self.memory.digest(target) != digest and copy_whole(path, target) != digest:
            target.unlink(missing_ok=True)
            raise StepFailed(f"{self.workspace.relative(path)}: changed while it was being stored. Run again")
        return digest

    def holds(self, digest: str) -> bool:
        """Whether the store has an intact copy of that content."""
        return self.memory.digest(self.object_path(digest)) == digest

    def path_of(self, entry: FileEntry) -> Path:
        """Return the absolute path of an output in place."""
        return self.workspace.root / entry.path

    def condition(self, artifact: Artifact) -> Condition:
        """Return the worst condition of an artifact's files. Reads only files whose stat is new."""
        worst = Condition.OK
        for entry in artifact.files.values():
            found = self.memory.digest(self.path_of(entry))
            if found == entry.digest:
                continue
            if not self.holds(entry.digest):
                return Condition.LOST
            worst = Condition.TAMPERED if found or worst is Condition.TAMPERED else Condition.MISSING
        return worst

    def restore(self, artifact: Artifact) -> list[FileEntry]:
        """Put every file of the artifact back in place; return those that had to be written.

        Raises StepFailed when the store has no intact copy.
        """
        written = [e for e in artifact.files.values() if self.memory.digest(self.path_of(e)) != e.digest]
        for entry in written:
            self._restore(entry)
        return written

    def place(self, source: Path, target: Path) -> str:
        """Write a durable copy; return its digest. Outside of `runs/` it has the permissions of any file."""
        digest = copy_whole(source, target)
        if not target.is_relative_to(self.workspace.runs):
            like_any_file(target)
        return digest

    def _clear(self, place: Path) -> None:
        """Remove what stands in the way of an output: only below `runs/`, and links, never their targets.

        Raises StepFailed for a folder in the way anywhere else, such as one in place of an export.
        """
        runs = self.workspace.runs
        if not place.is_relative_to(runs):
            if place.is_dir() and not place.is_symlink():
                shown = self.workspace.relative(place)
                raise StepFailed(
                    f"{shown}: a folder is in the place of an output; move it away, then run again"
                )
            return
        for parent in reversed(place.relative_to(runs).parents[:-1]):
            found = runs / parent
            # A link out of `runs/` would carry the output into somebody else's folder.
            leads_out = found.is_symlink() and not found.resolve().is_relative_to(runs.resolve())
            if leads_out or (os.path.lexists(found) and not found.is_dir()):
                found.unlink()
        if place.is_dir() and not place.is_symlink():
            remove_tree(place)

    def _restore(self, entry: FileEntry) -> None:
        self._clear(self.path_of(entry))
        source = self.object_path(entry.digest)
        # The digest of the bytes actually copied is compared: the object may change after it was checked.
        if not self.holds(entry.digest) or self.place(source, self.path_of(entry)) != entry.digest:
            raise StepFailed(
                f"{entry.path}: lost, and the store has no intact copy; run the step with --force"
            )
