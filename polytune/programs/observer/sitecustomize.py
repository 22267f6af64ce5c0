"""Python imports this when an observed program starts; from then on, each file that it reads is noted.

The launcher puts this folder on PYTHONPATH, and names a report file and some root folders in two variables.
Each path below a root is appended to the report once, after a letter and before a zero byte:

    H/usr/bin/python3      a Python program has started and is observed
    R/work/rubric.md       it opened this file for reading
    W/work/cache.json      it wrote this file anew, so that what it reads there is its own
    L/work/data            it listed this folder
    Pnode\x1fjudge.js       it started this program with these words

It stands alone, because it runs in whichever Python the program uses, and it never disturbs the program.
"""

from __future__ import annotations

import os
import sys

report_variable = "POLYTUNE_READS_REPORT"
roots_variable = "POLYTUNE_READS_ROOTS"
most_known = 20_000
longest_call = 2_000
unit = "\x1f"
# What these read of a folder on sys.path is how Python finds modules, and not what the program asked for.
finders = (
    "importlib",
    "_frozen_importlib_external",
    "importlib_metadata",
    "pkgutil",
    "pkg_resources",
    "setuptools",
)


# Bound now: a program may replace what `os` holds, and Python empties modules at its end.
from_path, encode, abspath, realpath = os.fsdecode, os.fsencode, os.path.abspath, os.path.realpath
open_file, write, close, readlink, frame = os.open, os.write, os.close, os.readlink, sys._getframe
appending = os.O_WRONLY | os.O_APPEND
writing_only, either, anew = os.O_WRONLY, os.O_WRONLY | os.O_RDWR, os.O_TRUNC | os.O_EXCL


class Observer:
    """Reports what this process reads below some folders."""

    def __init__(self, report: str, roots: list[str]) -> None:
        self.report = report
        self.below = tuple(root.rstrip("/") + "/" for root in roots)
        # Python itself is no input, also where it is installed inside of a root.
        prefixes = {sys.prefix + "/", sys.base_prefix + "/"}
        self.python = tuple(
            prefix for prefix in prefixes if not any(root.startswith(prefix) for root in self.below)
        )
        self.told: set[tuple[str, str]] = set()
        # Files that were opened already, as they were named: many programs read the same ones for each case.
        self.known: set[tuple[object, int]] = set()
        self.reactions = {
            "open": self.opened,
            "sqlite3.connect": self.connected,
            "os.listdir": self.listed,
            "os.scandir": self.listed,
            "import": self.imported,
            "os.chdir": self.moved,
            "subprocess.Popen": self.started,
            "os.posix_spawn": self.started,
            "os.exec": self.started,
            "os.system": self.started_shell,
        }

    def start(self) -> None:
        """From now on, what the process reads is in the report."""
        self.append("H", sys.executable or "python")
        sys.addaudithook(self.hook)

    def hook(self, event: str, arguments: tuple[object, ...]) -> None:
        """React to one event."""
        reaction = self.reactions.get(event)
        if reaction is not None:
            try:
                reaction(arguments)
            except Exception:  # noqa: BLE001  (nothing that happens here may reach the program)
                return

    def opened(self, arguments: tuple[object, ...]) -> None:
        """A file is about to be opened, in whichever way."""
        path, _, flags = arguments
        if isinstance(path, int) or not isinstance(flags, int) or (path, flags) in self.known:
            return
        if path == self.report:
            return
        if len(self.known) >= most_known:
            self.known.clear()
        self.known.add((path, flags))
        place = _source_of(_absolute(path))
        if flags & anew:
            self.tell("W", place)
            self.told.add(("R", place))
        elif flags & either != writing_only:
            self.tell("R", place)

    def connected(self, arguments: tuple[object, ...]) -> None:
        """An SQLite database is about to be opened."""
        name = from_path(arguments[0])  # type: ignore[arg-type]
        if name.startswith("file:"):
            name = name[5:].partition("?")[0]
        if name and name != ":memory:":
            self.tell("R", abspath(name))

    def listed(self, arguments: tuple[object, ...]) -> None:
        """A folder is about to be listed."""
        # Up from here: this method, the hook, and who lists.
        caller = str(frame(2).f_globals.get("__name__", ""))
        if caller.partition(".")[0] in finders:
            return
        path = arguments[0]
        self.tell("L", readlink(f"/proc/self/fd/{path}") if isinstance(path, int) else _absolute(path or "."))

    def moved(self, arguments: tuple[object, ...]) -> None:
        """The current folder is about to change, and with it what relative names mean."""
        self.known.clear()

    def started(self, arguments: tuple[object, ...]) -> None:
        """Another program is about to be started."""
        program, words = arguments[0], arguments[1]
        further = [from_path(word) for word in list(words)[1:]] if isinstance(words, (list, tuple)) else []
        call = unit.join([from_path(program), *further])[:longest_call]  # type: ignore[arg-type]
        if ("P", call) not in self.told:
            self.told.add(("P", call))
            self.append("P", call)

    def started_shell(self, arguments: tuple[object, ...]) -> None:
        """A shell is about to be started."""
        self.started(("sh", ["sh", "-c", arguments[0]]))

    def imported(self, arguments: tuple[object, ...]) -> None:
        """A module is about to be imported; a file is given for compiled ones, and others are opened."""
        if isinstance(arguments[1], str):
            self.tell("R", abspath(arguments[1]))

    def tell(self, letter: str, path: str) -> None:
        """Report a path, unless it was reported before or is below no root."""
        if path.startswith(self.python):
            return
        if not (path + "/").startswith(self.below):
            path = realpath(path)
            if not (path + "/").startswith(self.below):
                return
        if (letter, path) not in self.told:
            self.told.add((letter, path))
            self.append(letter, path)

    def append(self, letter: str, path: str) -> None:
        """Append one entry to the report, which child processes share."""
        # Opened anew each time: a program may close every descriptor that it finds.
        descriptor = open_file(self.report, appending)
        try:
            write(descriptor, encode(letter + path) + b"\0")
        finally:
            close(descriptor)


def _source_of(path: str) -> str:
    """Return the source that a compiled file was made from; other paths as they are."""
    if not path.endswith(".pyc"):
        return path
    folder, name = os.path.split(path)
    if os.path.basename(folder) == "__pycache__":
        folder = os.path.dirname(folder)
    # Python may be told to keep compiled files in a tree of their own.
    elif sys.pycache_prefix and path.startswith(sys.pycache_prefix + "/"):
        folder = folder[len(sys.pycache_prefix) :]
    else:
        return path
    return os.path.join(folder, name.partition(".")[0] + ".py")


def _absolute(path: object) -> str:
    return abspath(from_path(path))  # type: ignore[arg-type]


def give_way() -> None:
    """The program's own `sitecustomize` has run, as if this one had never been found."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder) != here]
    mine = sys.modules.pop("sitecustomize", None)
    try:
        __import__("sitecustomize")
    except ImportError as error:
        if error.name != "sitecustomize":
            raise
        # Python expects a module under this name after it has imported it.
        if mine is not None:
            sys.modules["sitecustomize"] = mine


if __name__ == "sitecustomize":
    if os.environ.get(report_variable):
        try:  # noqa: SIM105  (contextlib is not imported yet, and takes its time)
            Observer(
                os.environ[report_variable], os.environ.get(roots_variable, "/").split(os.pathsep)
            ).start()
        except Exception:  # noqa: BLE001  (a program that cannot be observed runs all the same)
            pass
    give_way()
