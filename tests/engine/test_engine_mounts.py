"""Which file system holds a path, by the text of /proc/self/mountinfo."""

from __future__ import annotations

from pathlib import Path

import pytest

from polytune.engine.mounts import kind_of, may_be_shared, network_kind

mountinfo = """\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 27 0:40 / /home rw,relatime shared:2 master:1 - nfs4 server:/home rw,vers=4.2
31 30 254:1 / /home/ann/local rw - xfs /dev/vdb rw
32 27 0:41 / /mnt/two\\040words rw - fuse.sshfs ann@host:/ rw
33 27 0:42 / /over rw - ext4 /dev/vdc rw
34 33 0:43 / /over rw - cifs //server/over rw
not a line of it
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/homes/x", "ext4"),
        ("/home", "nfs4"),
        ("/home/ann/x", "nfs4"),
        ("/home/ann/local/x", "xfs"),
        ("/home/ann/locals", "nfs4"),
        ("/mnt/two words/x", "fuse.sshfs"),
        ("/over/x", "cifs"),
    ],
)
def test_the_kind_is_that_of_the_innermost_mount(path: str, kind: str) -> None:
    """Of the last one there, at whole path components, with escaped names."""
    assert kind_of(path, mountinfo) == kind


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse", "fuse.sshfs", "fuse.a-program-of-tomorrow"])
def test_a_fuse_program_that_is_not_known_counts_as_shared(kind: str) -> None:
    """A rollback journal is safe everywhere; a write-ahead log only on one machine."""
    assert may_be_shared(kind)


@pytest.mark.parametrize("kind", ["ext4", "overlay", "fuseblk", "fuse.fuse-overlayfs", ""])
def test_what_is_on_this_machine_is_not_shared(kind: str) -> None:
    """Also what a program on this machine shows of its disks."""
    assert not may_be_shared(kind)


def test_nothing_is_known_without_mounts() -> None:
    """An empty or foreign text tells no kind."""
    assert kind_of("/home", "") == ""


def test_a_local_folder_is_on_no_network(tmp_path: Path) -> None:
    """The real file is read, also for a path that does not exist yet."""
    assert network_kind(tmp_path / "later" / "ledger.sqlite3") == ""
