"""Who may read and write a workspace's `runs/`: its owner, or with POLYTUNE_SHARED=group the folder's group.

Everyone else only reads, and leaves nothing behind: a file made by somebody else is one that the owner can't
replace. What polytune places outside of `runs/` has the usual permissions.
"""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

from polytune import umask
from polytune.errors import UsageError

private_umask = 0o077
group_umask = 0o007


def refusal(runs: Path, *, shared: bool) -> str:
    """Return why this process must not write to a workspace's `runs/`, and the remedy; '' when it may."""
    folder = next(each for each in (runs, *runs.parents) if each.exists())
    found = folder.stat()
    mine = found.st_uid == os.geteuid()
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        return f"{folder} is on a read-only file system. Keep runs elsewhere with --workspace FOLDER"
    allowed = os.access(folder, os.W_OK | os.X_OK)
    # A folder that does not hold runs yet is no workspace: whoever may write there may begin one.
    if allowed and (mine or shared or folder != runs):
        return ""
    if mine:
        return f"{folder} is yours, but not writable. Run `chmod -R u+rwX {folder}`"
    return f"{folder} belongs to {_user(found.st_uid)}. {_sharing(found)}"


def check_readable(runs: Path) -> None:
    """Do nothing if `runs/` can be read, or does not exist. Raises UsageError otherwise."""
    if not os.path.lexists(runs) or os.access(runs, os.R_OK | os.X_OK):
        return
    found = runs.stat()
    raise UsageError(f"{runs} belongs to {_user(found.st_uid)}, and is private. {_sharing(found)}")


def _sharing(found: os.stat_result) -> str:
    owner = _user(found.st_uid)
    return (
        f"To share it with a group, let {owner} run `POLYTUNE_SHARED=group polytune ledger init` there, and"
        " set POLYTUNE_SHARED=group yourself; or keep runs elsewhere with --workspace FOLDER"
    )


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def claim(runs: Path, *, shared: bool) -> None:
    """Make this process one that writes to `runs/`: its new files are for the owner, or for the group too.

    An owner who shares a workspace for the first time gives the group what is in it already. Raises
    UsageError when this process must not write there.
    """
    if refused := refusal(runs, shared=shared):
        raise UsageError(refused)
    umask.narrow(group_umask if shared else private_umask)
    runs.mkdir(parents=True, exist_ok=True)
    found = runs.stat()
    if shared and found.st_uid == os.geteuid() and not found.st_mode & stat.S_ISGID:
        _share(runs)


def _share(runs: Path) -> None:
    for place, _, names in os.walk(runs):
        for path in (Path(place, name) for name in names):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | stat.S_IRGRP | stat.S_IWGRP)
        # New files in a set-group-id folder belong to the folder's group, not to their maker's.
        Path(place).chmod(Path(place).stat().st_mode | stat.S_IRWXG | stat.S_ISGID)
