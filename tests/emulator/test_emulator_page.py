"""docs/emulator.md says what is true: its tables and lists are compared with the code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from polytune.emulator.bedrock.faults import CallFault, JobFault

from .emulator_differences import DIFFERENCES
from .test_emulator_contract import elsewhere, implemented

page = (Path(__file__).parents[2] / "docs" / "emulator.md").read_text()


def table(heading: str) -> list[tuple[str, ...]]:
    """The cells of the table that begins with these column names, without backquotes."""
    lines = page[page.index(f"| {heading} |") :].split("\n\n")[0].splitlines()[2:]
    return [tuple(cell.strip().strip("`") for cell in line.strip("|").split("|")) for line in lines]


def test_the_known_differences_are_those_of_the_contract() -> None:
    """Row by row, in the same order."""
    assert table("operation | member | between | why") == [tuple(each) for each in DIFFERENCES]


def test_every_kind_of_fault_is_explained() -> None:
    """The table of kinds is complete, and names nothing that does not exist."""
    kinds = {kind for union in (CallFault, JobFault) for kind in get_args(union)}

    assert {row[0] for row in table("kind | what happens")} == kinds


def test_the_list_of_operations_is_complete() -> None:
    """Every implemented operation of the control plane is named, and no other."""
    listed = page[page.index("Operations of the control plane:") :].split("Any other")[0]

    assert set(re.findall(r"\b[A-Z][a-z]+[A-Z]\w+", listed)) == implemented() - set(elsewhere)
