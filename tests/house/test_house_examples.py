"""Every member of every family has an example, so that the contract suites leave nobody out."""

from __future__ import annotations

from typing import Any

import pytest

from polytune.graders.interface import GRADERS
from polytune.registry import Family
from polytune.teachers.interface import TEACHERS
from tests.examples import members_with_examples

families: list[Family[Any]] = [GRADERS, TEACHERS]


@pytest.mark.parametrize("family", families, ids=lambda family: family.name)
def test_every_member_has_an_example(family: Family[Any]) -> None:
    """The files in tests/examples/<family> are named as the members are, none more and none less."""
    assert members_with_examples(family.name) == set(family.names())
