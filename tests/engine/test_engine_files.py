"""What is remembered of files, and content by digest: hashed once, never trusted too early, never wrong."""

from __future__ import annotations

import os
import time
from hashlib import sha256
from pathlib import Path

import pytest

from polytune.engine.artifacts import Artifact, FileEntry
from polytune.engine.filememory import FileMemory, fine_clock_ns
from polytune.engine.ledger import Ledger
from polytune.engine.store import Condition, Store
from polytune.engine.workspace import Workspace
from polytune.errors import StepFailed
from tests.messages import matching

an_hour_ns = 3_600_000_000_000
forged = "f" * 64


def quiet(path: Path) -> Path:
    """The file, unchanged for long enough that its digest may be remembered."""
    time.sleep(2 * fine_clock_ns / 1e9)
    return path


def forge(ledger: Ledger) -> int:
    """Every remembered digest is a false one now; how many there were is returned."""
    with ledger.transaction() as connection:
        return connection.execute("UPDATE files SET digest = ?", (forged,)).rowcount


def test_a_file_is_hashed_once(tmp_path: Path, ledger: Ledger) -> None:
    """Later questions are answered from memory: a forged row is believed, so nothing was read.

    What a process has found out itself it does not look up again.
    """
    memory = FileMemory(ledger)
    path = tmp_path / "data"
    path.write_bytes(b"hello")

    first = memory.digest(quiet(path))
    remembered = forge(ledger)

    assert first == sha256(b"hello").hexdigest()
    assert remembered == 1
    assert FileMemory(ledger).digest(path) == forged
    assert memory.digest(path) == first


def test_memory_outlives_the_process(tmp_path: Path, workspace: Workspace, ledger: Ledger) -> None:
    """Another opening of the same ledger knows the digest."""
    path = tmp_path / "data"
    path.write_bytes(b"hello")
    FileMemory(ledger).digest(quiet(path))
    forge(ledger)

    other = Ledger.open(workspace.ledger)

    assert FileMemory(other).digest(path) == forged
    other.close()


def test_a_file_that_changed_a_moment_ago_is_not_remembered(tmp_path: Path, ledger: Ledger) -> None:
    """The racy-write rule: a second write could hide behind the same stamp, so the file is read again."""
    memory = FileMemory(ledger)
    path = tmp_path / "data"
    path.write_bytes(b"one")
    os.utime(path, ns=(time.time_ns() + an_hour_ns,) * 2)  # stamped as if the clock had not moved on

    memory.digest(path)

    assert forge(ledger) == 0


def test_one_whole_second_stamp_does_not_make_a_coarse_clock(tmp_path: Path, ledger: Ledger) -> None:
    """A file whose modification time was set to a whole second is remembered as soon as any other."""
    memory = FileMemory(ledger)
    path = tmp_path / "data"
    path.write_bytes(b"one")
    old = os.stat(path).st_ctime_ns // 1_000_000_000 * 1_000_000_000
    os.utime(path, ns=(old, old))

    memory.digest(quiet(path))

    assert forge(ledger) == 1


@pytest.mark.parametrize("change", ["write", "touch", "replace", "append", "mode"])
def test_any_change_of_a_file_is_noticed(tmp_path: Path, ledger: Ledger, change: str) -> None:
    """A new stamp, size or inode makes the file be read again; its digest is that of its bytes."""
    memory = FileMemory(ledger)
    path = tmp_path / "data"
    path.write_bytes(b"one")
    memory.digest(quiet(path))
    assert forge(ledger) == 1

    stat = os.stat(path)
    match change:
        case "write":
            path.write_bytes(b"two")
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        case "touch":
            path.touch()
        case "replace":
            (tmp_path / "other").write_bytes(b"two")
            os.replace(tmp_path / "other", path)
        case "append":
            with path.open("ab") as file:
                file.write(b"!")
        case "mode":
            path.chmod(0o600)

    assert memory.digest(path) == sha256(path.read_bytes()).hexdigest()


def test_a_touched_file_is_hashed_again_and_is_the_same(tmp_path: Path, ledger: Ledger) -> None:
    """After `touch` the digest is as before, and it is remembered under the new stamp."""
    memory = FileMemory(ledger)
    path = tmp_path / "data"
    path.write_bytes(b"one")
    before = memory.digest(quiet(path))

    path.touch()

    assert memory.digest(quiet(path)) == before
    assert forge(ledger) == 1
    assert FileMemory(ledger).digest(path) == forged


@pytest.mark.parametrize("name", ["absent", "folder", "file/below"])
def test_what_is_no_file_has_no_digest(tmp_path: Path, ledger: Ledger, name: str) -> None:
    """A missing file, a folder, and a path through a file have no digest, and raise nothing."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"")

    assert FileMemory(ledger).digest(tmp_path / name) is None


# the store


@pytest.fixture
def store(workspace: Workspace, ledger: Ledger) -> Store:
    """The workspace's store."""
    return Store(workspace, FileMemory(ledger))


def stored(store: Store, **contents: bytes) -> Artifact:
    """An artifact of these files, in place and in the store."""
    entries = {}
    for name, content in contents.items():
        path = store.workspace.root / "out" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        digest = store.put(path)
        entries[name] = FileEntry(path=f"out/{name}", digest=digest, bytes=len(content))
    return Artifact(type="Text", files=entries)


def place(store: Store, artifact: Artifact, name: str) -> Path:
    """Where a file of the artifact is in place."""
    return store.path_of(artifact.files[name])


def test_content_is_kept_once_under_its_digest(store: Store) -> None:
    """Two files of the same content share one object, which lies under its digest."""
    artifact = stored(store, a=b"same", b=b"same")

    digest = sha256(b"same").hexdigest()
    assert {entry.digest for entry in artifact.files.values()} == {digest}
    objects = [path for path in store.workspace.objects.rglob("*") if path.is_file()]
    assert objects == [store.workspace.objects / digest[:2] / digest[2:]]
    assert store.condition(artifact) is Condition.OK


def test_a_missing_file_is_restored(store: Store) -> None:
    """A removed output is `missing`, and comes back as it was; only it is written."""
    artifact = stored(store, a=b"one", b=b"two")
    place(store, artifact, "a").unlink()

    assert store.condition(artifact) is Condition.MISSING
    assert store.restore(artifact) == [artifact.files["a"]]
    assert place(store, artifact, "a").read_bytes() == b"one"
    assert store.condition(artifact) is Condition.OK


def test_a_tampered_file_is_told_from_a_missing_one_and_restored(store: Store) -> None:
    """A changed output is `tampered`, also when another is missing, and restoring undoes the change."""
    artifact = stored(store, a=b"one", b=b"two")
    place(store, artifact, "a").write_bytes(b"0ne")
    place(store, artifact, "b").unlink()

    assert store.condition(artifact) is Condition.TAMPERED
    store.restore(artifact)
    assert place(store, artifact, "a").read_bytes() == b"one"
    assert place(store, artifact, "b").read_bytes() == b"two"


@pytest.mark.parametrize("damage", ["removed", "corrupted", "emptied"])
def test_an_output_without_a_sound_object_is_lost(store: Store, damage: str) -> None:
    """With neither the output nor its object sound, the artifact is `lost` and cannot be restored."""
    artifact = stored(store, a=b"one", b=b"two")
    digest = artifact.files["a"].digest
    place(store, artifact, "a").unlink()
    target = store.object_path(digest)
    match damage:
        case "removed":
            target.unlink()
        case "corrupted":
            target.write_bytes(b"0ne")
        case "emptied":
            target.write_bytes(b"")

    assert not store.holds(digest)
    assert store.condition(artifact) is Condition.LOST
    with pytest.raises(StepFailed, match="out/a: " + matching("engine/and-store-has-no-sound-copy")):
        store.restore(artifact)
    assert not place(store, artifact, "a").exists()


def test_a_corrupted_object_is_replaced_when_its_content_is_stored_again(store: Store) -> None:
    """Storing the same content mends the object."""
    artifact = stored(store, a=b"one")
    digest = artifact.files["a"].digest
    store.object_path(digest).write_bytes(b"0ne")

    assert not store.holds(digest)
    store.put(place(store, artifact, "a"))
    assert store.holds(digest)


def test_an_output_in_place_needs_no_object(store: Store) -> None:
    """While every output is in place and sound, a lost object harms nobody."""
    artifact = stored(store, a=b"one")
    store.object_path(artifact.files["a"].digest).unlink()

    assert store.condition(artifact) is Condition.OK
    assert store.restore(artifact) == []


def test_a_folder_in_an_outputs_place_is_no_output(store: Store) -> None:
    """A folder where the output should be is found out without an error."""
    artifact = stored(store, a=b"one")
    path = place(store, artifact, "a")
    path.unlink()
    path.mkdir()

    assert store.condition(artifact) is Condition.MISSING


def test_storing_a_file_that_is_gone_is_told(store: Store) -> None:
    """A file that disappeared before it was stored is named, relative to the workspace."""
    with pytest.raises(
        StepFailed, match="^out/gone: " + matching("engine/disappeared-before-it-could-be-stored") + "$"
    ):
        store.put(store.workspace.root / "out" / "gone")
