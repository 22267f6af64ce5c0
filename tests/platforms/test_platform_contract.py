"""What every platform promises before the outside world is asked, for every example of every member."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from polytune.platforms.interface import PLATFORMS, Offer, Platform
from polytune.settings import Settings
from tests.examples import Example, Named, examples_of, placed


@pytest.fixture(params=examples_of(PLATFORMS, Example), ids=str)
def platform(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Platform]:
    """Each example in turn, for an empty workspace."""
    named: Named[Example] = request.param
    cls = PLATFORMS.load(named.member)
    with placed(named, tmp_path, Settings()) as place:
        assert cls.name == named.member
        yield cls(cls.Spec.model_validate(place.fields), tmp_path, place.settings)


def test_a_platform_offers_known_things(platform: Platform) -> None:
    """Offers are among those that steps ask for."""
    assert platform.offers <= set(get_args(Offer))


@pytest.mark.parametrize("offer", get_args(Offer))
def test_what_is_lacking_is_said_in_a_line(platform: Platform, offer: Offer) -> None:
    """What it does not offer is named; what it offers is lacking only as far as the whole platform is."""
    lacking = platform.lacks(offer)

    if offer in platform.offers:
        assert lacking == platform.missing()
    else:
        assert platform.name in str(lacking)
    assert "\n" not in str(lacking)


def test_facts_of_a_key_repeat(platform: Platform) -> None:
    """The platform's part of a key is the same when asked again."""
    assert platform.key_facts() == platform.key_facts()


def test_asking_leaves_nothing_behind(platform: Platform) -> None:
    """Making a platform and asking what it lacks writes nothing into the workspace."""
    platform.missing()
    platform.key_facts()

    assert list(platform.root.iterdir()) == []
