"""Imports are found without running the program, and what Python itself loads is the oracle."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from polytune.programs.inputs import CommandInputs
from polytune.programs.reads import ReadReport

MODULES = ("one", "two", "pack.__init__", "pack.a", "pack.b", "pack.deep.__init__", "pack.deep.c", "space.d")
STATEMENTS = (
    "import one",
    "import two as other",
    "import pack.a",
    "import pack.deep.c, two",
    "from pack import b",
    "from pack import *",
    "from pack.deep import c as name",
    "import space.d",
    "from space import d",
    "import json, re",
    "import nowhere",
    "from . import a",
    "from .deep import c",
    "from .. import b",
    "from ..a import name",
    "from ... import two",
    "import importlib; importlib.import_module('pack.b')",
    "__import__('one')",
    "def f():\n    import two\nf()",
)


def source(statements: list[str]) -> str:
    """Return code that survives every import that does not work, and defines a name to import."""
    tries = [
        "try:\n" + "".join(f"    {line}\n" for line in each.split("\n")) + "except ImportError: pass\n"
        for each in statements
    ]
    # `import *` is not allowed inside of a function, and that is all that is not caught here.
    return "name = 1\n" + "".join(tries)


programs = st.lists(
    st.lists(st.sampled_from(STATEMENTS), max_size=3), min_size=len(MODULES) + 1, max_size=len(MODULES) + 1
)


@given(programs, st.sampled_from(["script", "module", "code"]))
@settings(max_examples=25)
def test_everything_that_python_loads_is_found(program: list[list[str]], how: str) -> None:
    """Whatever modules import each other, those that a run reads are among those that were found."""
    with TemporaryDirectory() as name:
        root = Path(os.path.realpath(name))
        main, *others = map(source, program)
        for module, text in zip(MODULES, others, strict=True):
            path = root / f"{module.replace('.', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (root / "main.py").write_text(main)
        words = {"script": ["main.py"], "module": ["-m", "main"], "code": ["-c", main]}[how]
        found = set(CommandInputs([sys.executable, *words], root, root).inputs(()).all_files())
        report = ReadReport(root)
        environment = report.environment({"PATH": os.environ["PATH"]})

        subprocess.run([sys.executable, *words], cwd=root, env=environment, check=True)

        read = {Path(read.path) for read in report.new_reads() if Path(read.path).is_file()}
        report.close()
        assert report.has_started
        assert read - found == set()
