"""What every exporter promises: a whole file whose values survive their language, however hostile."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polytune.exporters.interface import EXPORTERS, Exporter, ModelConfig

plain = ModelConfig(
    name="strudel-v1",
    uri="file:runs/.models/0123456789abcdef",
    platform="local",
    base_model="tiny-llama",
    layout="prompt-completion",
    system="Reply with code.",
    parameters=920_000,
    context_tokens=1024,
    max_output_tokens=512,
    input_usd_per_million_tokens=1e-9,
    output_usd_per_million_tokens=0.25,
    digest="0" * 64,
)


def _json_value(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found


def _python_value(text: str) -> dict[str, Any]:
    # A module of its own, since a dataclass looks its module up.
    names: dict[str, Any] = {"__name__": "builtins"}
    exec(compile(text, "config.py", "exec"), names)
    return dict(vars(names["model"]))


readers: dict[str, Callable[[str], dict[str, Any]]] = {"json": _json_value, "python": _python_value}
"""Exporters whose output Python can read back; TypeScript has a test of its own."""


@pytest.fixture(params=EXPORTERS.names())
def exporter(request: pytest.FixtureRequest) -> Exporter:
    """Each member of the family."""
    return EXPORTERS.load(request.param)()


def test_a_file_is_whole_and_the_same_each_time(exporter: Exporter) -> None:
    """An exporter ends its file with one newline, names its extension, and repeats itself exactly."""
    text = exporter.render(plain)

    assert text == exporter.render(plain)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert exporter.extension.startswith(".")


def test_a_change_of_any_value_is_seen(exporter: Exporter) -> None:
    """No field of the configuration is left out of the file."""
    other = {"parameters": 1, "context_tokens": 2, "max_output_tokens": 3}
    other |= {"input_usd_per_million_tokens": 4, "output_usd_per_million_tokens": 5}
    for name in ModelConfig.__struct_fields__:
        changed = msgspec.structs.replace(plain, **{name: other.get(name, "something else")})
        assert exporter.render(changed) != exporter.render(plain), name


def test_unknown_facts_are_written_as_unknown(exporter: Exporter) -> None:
    """A fact that nobody knows is null or None in the file, never a number of ours."""
    text = exporter.render(msgspec.structs.replace(plain, parameters=None))

    assert "null" in text or "None" in text


@pytest.mark.parametrize("name", sorted(readers))
@settings(deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"])), number=st.none() | st.floats(0, 1e9))
def test_values_survive(name: str, text: str, number: float | None) -> None:
    """Any text and any price is read back exactly, from a name as from a system prompt."""
    config = msgspec.structs.replace(
        plain, name=text, system=text, uri=text + "'''\"\"\"*/", input_usd_per_million_tokens=number
    )

    found = readers[name](EXPORTERS.load(name)().render(config))

    assert found == msgspec.structs.asdict(config)
