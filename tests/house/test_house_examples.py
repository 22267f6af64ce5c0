"""Every member of every family has an example, so that the contract suites leave nobody out."""

from __future__ import annotations

from typing import Any

import pytest

from polytune.data.lint.rules.interface import RULES
from polytune.engine.step import STEPS
from polytune.exporters.interface import EXPORTERS
from polytune.formats.interface import FORMATS
from polytune.graders.interface import GRADERS
from polytune.platforms.interface import PLATFORMS
from polytune.registry import Family
from polytune.sources.interface import SOURCES
from polytune.teachers.interface import TEACHERS
from tests.examples import members_with_examples

families: list[Family[Any]] = [
    *(EXPORTERS, FORMATS, GRADERS, PLATFORMS, RULES, SOURCES, STEPS, TEACHERS),
]


@pytest.mark.parametrize("family", families, ids=lambda family: family.name)
def test_every_member_has_an_example(family: Family[Any]) -> None:
    """The files in tests/examples/<family> are named as the members are, none more and none less."""
    assert members_with_examples(family.name) == set(family.names())
