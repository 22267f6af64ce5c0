"""Which file system holds a path, and whether it is shared over a network.

SQLite's write-ahead log needs memory that all its processes share, so it corrupts data when they are on
different machines (sqlite.org/wal.html, "all processes using a database must be on the same host"). On a
network file system the ledger therefore keeps a rollback journal instead.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

network_kinds = frozenset(
    [
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "davfs",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs3",
        "nfs4",
        "ocfs2",
        "smb2",
        "smb3",
        "smbfs",
    ]
)
local_fuse = frozenset(
    [
        "fuse.bindfs",
        "fuse.encfs",
        "fuse.exfat",
        "fuse.fuse-overlayfs",
        "fuse.gocryptfs",
        "fuse.mergerfs",
        "fuse.ntfs-3g",
    ]
)
"""Programs that show what is on this machine. Any other may show a network's files."""
mounted_here = Path("/proc/self/mountinfo")
escaped = re.compile(r"\\([0-7]{3})")


def network_kind(path: Path) -> str:
    """Return the kind of the network file system that holds a path; '' for a local or an unknown one."""
    try:
        kind = kind_of(os.path.realpath(path), mounted_here.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        # Only Linux has this file; elsewhere the kind is unknown.
        return ""
    return kind if may_be_shared(kind) else ""


def may_be_shared(kind: str) -> bool:
    """Whether processes of several machines may use such a file system at once."""
    foreign = kind == "fuse" or (kind.startswith("fuse.") and kind not in local_fuse)
    return kind in network_kinds or foreign


def kind_of(path: str, mountinfo: str) -> str:
    """Return the kind of file system at an absolute path, by the text of /proc/self/mountinfo (proc(5))."""
    best, kind = "", ""
    for line in mountinfo.splitlines():
        before, separator, after = line.partition(" - ")
        fields = before.split(" ")
        if not separator or len(fields) < 5:
            continue
        point = escaped.sub(lambda octal: chr(int(octal[1], 8)), fields[4])
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        # Of two mounts at one place, the later one hides the earlier.
        if inside and len(point) >= len(best):
            best, kind = point, after.split(" ", 1)[0]
    return kind
