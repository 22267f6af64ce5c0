"""Wrong files are told about with exactly the recorded messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.spec.spec_gallery import Case, cases, messages
from tests.spec.spec_samples import sample_member

GALLERY = cases(Path(__file__).parent / "gallery")


@pytest.mark.parametrize("case", GALLERY, ids=lambda case: case.name)
def test_messages_are_the_recorded_ones(case: Case, tmp_path: Path) -> None:
    """A wrong file is told about with exactly the recorded messages, in file order."""
    found = messages(case, tmp_path, sample_member)

    assert found == list(case.problems)


def test_every_case_is_wrong_in_its_own_way() -> None:
    """No two cases share a name, and each records at least one message."""
    assert len({case.name for case in GALLERY}) == len(GALLERY)
    assert all(case.problems for case in GALLERY)
