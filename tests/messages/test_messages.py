"""The gallery itself: every message is used, named once and written like the others."""

from __future__ import annotations

import ast
from functools import cache

import pytest

from tests.messages import area, folder

areas = sorted(path.stem for path in folder.glob("*.yaml"))
messages = [(f"{name}/{key}", text) for name in areas for key, text in area(name).items()]


@cache
def keys_in_tests() -> frozenset[str]:
    """The keys that the tests name."""
    found = set()
    for path in folder.parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
                key = getattr(node.args[0], "value", None)
                if node.func.id in ("message", "matching") and isinstance(key, str) and "/" in key:
                    found.add(key)
    return frozenset(found)


def test_every_message_is_used_and_every_used_one_is_there() -> None:
    """The gallery holds the messages that tests name, and no others."""
    assert {key for key, _ in messages} == keys_in_tests()


def test_no_message_is_there_twice() -> None:
    """A wording has one key, whatever its area."""
    texts = [text for _, text in messages]

    assert sorted({text for text in texts if texts.count(text) > 1}) == []


@pytest.mark.parametrize("name", areas)
def test_the_keys_of_an_area_are_sorted(name: str) -> None:
    """The keys are in alphabetical order, in small letters, digits and hyphens."""
    keys = list(area(name))

    assert keys == sorted(keys)
    assert [key for key in keys if not key.replace("-", "").isalnum() or key != key.lower()] == []


def test_messages_are_one_line_without_loose_spaces() -> None:
    """A message is one line that starts and ends with a visible character."""
    assert [key for key, text in messages if not text or text != text.strip() or "\n" in text] == []
