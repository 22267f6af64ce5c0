"""Commands that only read work where nothing may be written, and leave nothing behind there.

A read-only file system is a bind mount in a mount namespace of its own. Another user's workspace belongs to
`nobody`, and the program runs as root without the right to override permissions.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from polytune.files import digest_of
from tests.cli.cli_program import Polytune, file, program_seconds

ledger_name = "runs/ledger.sqlite3"
nobody = 65534
reading = (
    ("ls",),
    ("status",),
    ("show", "lines"),
    ("show", "lines", "generate"),
    ("plan", file),
    ("plan", file, "--set", "steps.generate.count=30"),
    ("why", file, "format"),
    ("diff", "lines", "lines"),
    ("diff", "lines", file),
    ("ledger", "verify"),
    ("ledger", "path"),
    ("gc",),
    ("job", "list", "--platform", "local"),
)
writing = (
    ("run", file, "--force", "format"),
    ("resume",),
    ("preview", file),
    ("gc", "--yes"),
    ("ledger", "init"),
    ("ledger", "rebuild", "--force"),
)
in_namespace = ("unshare", "--mount", "--propagation", "private")
without_override = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search,-fowner,-chown")


def can(*words: str) -> bool:
    """Whether this machine lets the tests do that."""
    return (
        bool(shutil.which(words[0]))
        and not subprocess.run(words, capture_output=True, check=False).returncode
    )


needs_mounts = pytest.mark.skipif(
    not can(*in_namespace, "mount", "--bind", "/tmp", "/tmp"), reason="needs the right to mount"
)
needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or not can(*without_override, "true"), reason="needs root, for files of another user"
)


def outcome(
    folder: Path, before: Sequence[str], words: Sequence[str], **environment: str
) -> tuple[int, str, str]:
    """The exit code and output of the program, started by another one."""
    done = subprocess.run(
        [*before, sys.executable, "-m", "polytune", *words],
        cwd=folder,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=program_seconds,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def contents(folder: Path) -> dict[str, tuple[object, ...]]:
    """Everything in a folder, with its owner, permissions, time and bytes."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(folder.rglob("*")):
        stat = path.lstat()
        digest = digest_of(path) if path.is_file() else ""
        found[str(path.relative_to(folder))] = (stat.st_uid, stat.st_mode, stat.st_mtime_ns, digest)
    return found


def mounted(folder: Path) -> list[str]:
    """The beginning of a command line that runs with the folder on a read-only file system."""
    place = shlex.quote(str(folder))
    script = f'mount --bind {place} {place} && mount -o remount,ro,bind {place} && cd {place} && exec "$@"'
    return [*in_namespace, "sh", "-c", script, "sh"]


def given_to_nobody(folder: Path) -> None:
    """The workspace belongs to another user, and everyone may read it."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, nobody, os.getegid(), follow_symlinks=False)
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)


def crashed(folder: Path) -> None:
    """The ledger's log is left over, as after a crash."""
    script = f"""
import os, sqlite3
ledger = sqlite3.connect({ledger_name!r})
ledger.execute("PRAGMA wal_autocheckpoint = 0")
ledger.execute("INSERT OR REPLACE INTO notes VALUES ('crash', '')")
ledger.commit()
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", script], cwd=folder, check=False)
    assert (folder / f"{ledger_name}-wal").stat().st_size > 0


@needs_mounts
@pytest.mark.parametrize("words", reading, ids=" ".join)
def test_reading_works_on_a_read_only_file_system(space: Path, words: tuple[str, ...]) -> None:
    """Each command says there what it says elsewhere."""
    usual = outcome(space, (), words)
    before = contents(space)

    assert outcome(space, mounted(space), words) == usual
    assert usual[0] == 0
    assert contents(space) == before


@needs_mounts
@pytest.mark.parametrize("words", writing, ids=" ".join)
def test_writing_to_a_read_only_file_system_is_refused_at_once(space: Path, words: tuple[str, ...]) -> None:
    """The one message says what the folder is and what to do."""
    told = f"{space}/runs is on a read-only file system. Keep runs elsewhere with --workspace FOLDER\n"

    assert outcome(space, mounted(space), words) == (2, "", told)


@needs_root
@pytest.mark.parametrize("words", reading, ids=" ".join)
def test_reading_works_in_somebody_elses_workspace(space: Path, words: tuple[str, ...]) -> None:
    """Also for a user who could write there: no file of a foreign owner appears."""
    usual = outcome(space, (), words)
    given_to_nobody(space)
    before = contents(space)

    assert outcome(space, without_override, words) == usual
    assert outcome(space, (), words) == usual
    assert contents(space) == before


@needs_root
@pytest.mark.parametrize("memory", [True, False], ids=["with -shm", "without -shm"])
def test_a_log_that_a_crash_left_over_is_read_too(space: Path, *, memory: bool) -> None:
    """In place if the file beside it is there, otherwise from a copy; it is never applied to the ledger."""
    crashed(space)
    if not memory:
        (space / f"{ledger_name}-shm").unlink()
    given_to_nobody(space)
    before = contents(space)

    code, told, _ = outcome(space, without_override, ("ls",))

    assert (code, told.count("done")) == (0, 1)
    assert contents(space) == before


@needs_root
@pytest.mark.parametrize("words", writing, ids=" ".join)
def test_writing_to_somebody_elses_workspace_says_whose_it_is(space: Path, words: tuple[str, ...]) -> None:
    """With how to share it. Nothing is written, even by a user who could."""
    given_to_nobody(space)
    before = contents(space)

    for start in ((), without_override):
        code, _, told = outcome(space, start, words)
        assert code == 2
        assert told.startswith(f"{space}/runs belongs to nobody. To share it with a group, let nobody run ")
    assert contents(space) == before


@needs_root
def test_a_private_workspace_cannot_be_read_by_others(space: Path) -> None:
    """The message says whose it is; a folder that is the user's own is shown the way to mend it."""
    given_to_nobody(space)
    (space / "runs").chmod(0o700)

    for words in (("ls",), ("plan", file), ("run", file)):
        code, _, told = outcome(space, without_override, words)
        assert code == 2
        assert told.startswith(f"{space}/runs belongs to nobody, and is private. To share it")


@needs_root
def test_a_shared_workspace_is_used_by_its_whole_group(space: Path) -> None:
    """Its owner shares what is there; a member's new files can be changed by every member."""
    assert outcome(space, (), ("ledger", "init"), POLYTUNE_SHARED="group")[0] == 0
    for path in (space, *space.rglob("*")):
        os.chown(path, nobody, os.getegid(), follow_symlinks=False)

    member = outcome(space, without_override, ("run", file, "--force", "format"), POLYTUNE_SHARED="group")

    assert member[0] == 0, member[2]
    for path in (space / "runs").rglob("*"):
        if not path.is_symlink():
            assert path.stat().st_mode & 0o060 == 0o060, path


def test_a_new_workspace_is_private(polytune: Polytune, finished: Path, tmp_path: Path) -> None:
    """Only its owner may look into `runs/`."""
    shutil.copytree(finished, tmp_path / "new", ignore=shutil.ignore_patterns("runs"))
    (tmp_path / "new" / ".git").mkdir()

    assert polytune(tmp_path / "new", "run", file).returncode == 0

    runs = tmp_path / "new" / "runs"
    for path in (runs, *runs.rglob("*")):
        if not path.is_symlink():
            assert not path.stat().st_mode & 0o077, path


def committed(space: Path, tmp_path: Path) -> Path:
    """A clone of a repository that keeps what `runs/.gitignore` does not leave out."""
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main")
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-q", "-m", "runs")):
        subprocess.run([*git, *words], cwd=space, check=True)
    subprocess.run([*git, "clone", "-q", str(space), str(tmp_path / "clone")], check=True)
    return tmp_path / "clone"


def test_a_fresh_clone_lists_and_shows_the_runs_whose_manifests_it_has(
    polytune: Polytune, space: Path, tmp_path: Path
) -> None:
    """As the original does, before and after its own first run; reading makes no ledger."""
    clone = committed(space, tmp_path)
    (run_id,) = (each.name for each in (clone / "runs" / "lines").iterdir())
    for words in (
        ("ls",),
        ("status",),
        ("show", "lines"),
        ("show", run_id[:12], "format"),
        ("diff", run_id, file),
    ):
        said = polytune(clone, *words)
        assert (said.returncode, said.stdout) == (0, polytune(space, *words).stdout), said.stderr
    assert not (clone / ledger_name).exists()

    assert polytune(clone, "run", file).returncode == 0
    assert run_id in polytune(clone, "ls").stdout


def test_a_manifest_that_cannot_be_read_is_listed_as_such(
    polytune: Polytune, space: Path, tmp_path: Path
) -> None:
    """It hides no other run."""
    clone = committed(space, tmp_path)
    broken = clone / "runs" / "lines" / "20200101T000000000-aaaa"
    broken.mkdir()
    (broken / "manifest.json").write_text("{")

    told = polytune(clone, "ls").stdout.splitlines()

    assert [line.split()[1] for line in told] == ["done", "unreadable"]


@needs_mounts
def test_on_a_network_file_system_the_ledger_has_no_write_ahead_log(space: Path, tmp_path: Path) -> None:
    """It says so once, when that changes; back on a local one, the log is used again."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "27 1 254:0 / / rw - ext4 /dev/vda rw\n"
        f"99 27 0:55 / {space} rw,relatime shared:1 - nfs4 server:/export rw,vers=4.2\n"
    )
    script = f'mount --bind {shlex.quote(str(mounts))} /proc/$$/mountinfo && exec "$@"'
    elsewhere = [*in_namespace, "sh", "-c", script, "sh"]

    def journal() -> str:
        with closing(sqlite3.connect(space / ledger_name)) as connection:
            (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        return str(mode)

    first = outcome(space, elsewhere, ("run", file, "--force", "format"))
    assert first[0] == 0
    assert (
        f"{space}/{ledger_name} is on a network file system (nfs4): the ledger keeps a rollback" in first[2]
    )
    assert journal() == "delete"
    assert "network" not in outcome(space, elsewhere, ("plan", file))[2]

    assert outcome(space, (), ("plan", file))[0] == 0
    assert journal() == "wal"


def test_after_an_unclean_end_the_ledger_is_checked(polytune: Polytune, space: Path) -> None:
    """Damage is found before anything is spent; a sound ledger goes on as if nothing had been."""
    crashed(space)
    assert polytune(space, "run", file, "--force", "format").returncode == 0

    crashed(space)
    with (space / ledger_name).open("r+b") as database:
        size = database.seek(0, os.SEEK_END)
        database.seek(size - 4096)
        database.write(b"\xff" * 4096)
    done = polytune(space, "run", file, "--force", "format")

    assert done.returncode == 1
    assert done.stderr.startswith("the ledger is damaged (")
    assert "Run `polytune ledger rebuild --force`" in done.stderr
