"""The observer inside of a Python program: it reports what is read, and the program does not notice."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from polytune.programs.reads import FileRead, ReadReport, undeclared_text


@pytest.fixture
def report(tmp_path: Path) -> Iterator[ReadReport]:
    """A report on everything below a temporary folder."""
    found = ReadReport(tmp_path)
    yield found
    found.close()


def ran(report: ReadReport, folder: Path, code: str, *options: str) -> str:
    """Run some code with the observer; return what it printed on both streams."""
    environment = report.environment({"PATH": os.environ["PATH"]})
    done = subprocess.run(
        [sys.executable, *options, "-c", code],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout


def test_reads_are_reported_once_and_in_order(report: ReadReport, tmp_path: Path) -> None:
    """Each file is in the report once, under its absolute path; files outside are not."""
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)

    ran(report, tmp_path, "for n in ('two', 'one', './two', '/etc/hostname', 'two'): open(n).read()")

    assert list(report.new_reads()) == [
        FileRead(str(tmp_path / "two"), is_folder=False),
        FileRead(str(tmp_path / "one"), is_folder=False),
    ]
    assert report.has_started
    assert list(report.new_reads()) == []


@pytest.mark.parametrize("name", [b"new\nline", b"\xff\xfe", "é ü".encode(), b"R", b"a" * 200])
def test_any_name_survives(name: bytes, report: ReadReport, tmp_path: Path) -> None:
    """A name with a line break, or one that is no UTF-8, is reported as it is."""
    path = os.fsencode(tmp_path) + b"/" + name
    Path(os.fsdecode(path)).write_text("x")

    ran(report, tmp_path, f"open({name!r}).read()")

    assert list(report.new_reads()) == [FileRead(os.fsdecode(path), is_folder=False)]


def test_a_name_by_another_way_is_the_same_file(report: ReadReport, tmp_path: Path) -> None:
    """A relative name means another file in another current folder, and a link is followed into the root."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "f").write_text("1")
    (tmp_path / "sub" / "f").write_text("2")

    ran(report, tmp_path, "import os; open('f').read(); os.chdir('sub'); open('f').read()")

    assert [read.path for read in report.new_reads()] == [str(tmp_path / "f"), str(tmp_path / "sub" / "f")]


@pytest.mark.parametrize(
    "code",
    [
        "import os; os.closerange(3, 256); print(open('f').read())",
        "import os; os.open = None; os.path.abspath = None; print(open('f').read())",
        "import sys, threading; sys.setrecursionlimit(60); print(open('f').read())",
        "import atexit; atexit.register(lambda: print(open('f').read()))",
        "class A:\n    def __del__(self, open=open, print=print): print(open('f').read())\na = A()",
        "import os\nif not os.fork(): print(open('f').read(), flush=True); os._exit(0)\nos.wait()",
        "import os, sys; os.execv(sys.executable, [sys.executable, '-c', 'print(open(\"f\").read())'])",
        "import signal; signal.setitimer(signal.ITIMER_REAL, 60); print(open('f').read())",
    ],
)
def test_a_program_that_does_odd_things_is_observed_and_not_disturbed(
    code: str, report: ReadReport, tmp_path: Path
) -> None:
    """Programs that close descriptors, replace functions, fork or read at their end work as they should."""
    (tmp_path / "f").write_text("content")

    assert ran(report, tmp_path, code) == "content\n"
    assert [read.path for read in report.new_reads()] == [str(tmp_path / "f")]


@pytest.mark.parametrize(
    "code",
    [
        "open('nowhere')",
        "open(7_000)",
        "open('f\\0')",
        "open(b'nowhere')",
        "import os; os.listdir('nowhere')",
        "import os; os.scandir(7_000)",
        "import sqlite3; sqlite3.connect('/nowhere/at/all')",
        "import nowhere",
    ],
)
def test_errors_are_those_of_the_program_alone(code: str, report: ReadReport, tmp_path: Path) -> None:
    """What fails without the observer fails with the same traceback with it, also when the report is gone."""
    alone = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    ).stderr

    observed = ran(report, tmp_path, code)
    report.close()

    assert observed == ran(report, tmp_path, code) == alone


def test_what_is_written_first_is_not_read(report: ReadReport, tmp_path: Path) -> None:
    """A file that a program writes anew is its own, also for another program that reads it."""
    (tmp_path / "f").write_text("before")

    ran(report, tmp_path, "open('f', 'w').write('x')")
    ran(report, tmp_path, "open('f').read()")

    assert list(report.new_reads()) == []


def test_isolated_python_is_not_observed(report: ReadReport, tmp_path: Path) -> None:
    """A Python that ignores its environment reports nothing, not even its start."""
    (tmp_path / "f").write_text("x")

    for option in ("-I", "-E", "-S"):
        ran(report, tmp_path, "open('f').read()", option)

    assert list(report.new_reads()) == []
    assert not report.has_started


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_compiled_module_stands_for_its_source(elsewhere: bool, report: ReadReport, tmp_path: Path) -> None:
    """A module that Python takes from its cache, wherever that is, is reported as its source."""
    (tmp_path / "cached.py").write_text("x = 1")
    option = [f"-Xpycache_prefix={tmp_path / 'cache'}"] if elsewhere else []

    for _ in range(2):
        ran(report, tmp_path, "import cached", *option)

    reads = [read.path for read in report.new_reads()]
    assert set(reads) == {str(tmp_path / "cached.py")}
    assert len(reads) == 2


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("words.txt", "words.txt"),
        ("../a/b-c.md", "../a/b-c.md"),
        ("deep/er/x", "deep/er/x"),
        ("two words.txt", '"two words.txt"'),
        ("1.5", '"1.5"'),
        ("null", '"null"'),
        (".inf", '".inf"'),
        ("*.txt", '"*.txt"'),
        ("a, b]", '"a, b]"'),
        ('say "x".md', '"say \\"x\\".md"'),
        ("é.txt", "é.txt"),
    ],
)
def test_the_line_to_add_is_yaml(name: str, shown: str, tmp_path: Path) -> None:
    """Whatever a file is called, the line that is proposed reads as its name."""
    text = undeclared_text("place", [str(tmp_path / name)], tmp_path, [])

    line = text.partition("`")[2].partition("` to it")[0]
    assert line == f"files: [{shown}]"
    assert yaml.safe_load(line) == {"files": [name]}
