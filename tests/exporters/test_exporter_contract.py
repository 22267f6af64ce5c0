"""What every exporter promises: a whole file whose values survive their language, however hostile."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from polytune.exporters.interface import EXPORTERS, Exporter, ModelConfig
from tests.examples import Example, examples_of
from tests.exporters.exporter_samples import as_json, hostile_configs, plain, unknown

others = {
    "parameters": 1,
    "context_tokens": 2,
    "max_output_tokens": 3,
    "input_usd_per_million_tokens": 4,
    "output_usd_per_million_tokens": 5,
    "usd_per_hour": 6,
    "inputs": ("text", "video"),
    "outputs": ("image",),
    "capabilities": ("reasoning",),
}
"""Another value than the plain configuration's, for the fields that take no text."""


def _python_value(text: str) -> dict[str, Any]:
    # A module of its own, since a dataclass looks its module up.
    names: dict[str, Any] = {"__name__": "builtins"}
    exec(compile(text, "config.py", "exec"), names)
    found: dict[str, Any] = json.loads(json.dumps(vars(names["model"])))
    return found


readers: dict[str, Callable[[str], Any]] = {
    "json": json.loads,
    "python": _python_value,
    "yaml": yaml.safe_load,
}
"""By language, how a file is read; files of TypeScript are read by tests of their own, with Node.js."""


class ExporterExample(Example, kw_only=True):
    """What an exporter writes."""

    language: str
    """Of the file: json, python, yaml, or another one."""
    at: list[str | int] = []
    """Where in the file the whole configuration stands."""


examples = {each.member: each.example for each in examples_of(EXPORTERS, ExporterExample)}
readable = [name for name, example in examples.items() if example.language in readers]


def read_back(name: str, config: ModelConfig) -> object:
    """The configuration in the file that an exporter writes."""
    value = readers[examples[name].language](EXPORTERS.load(name)().render(config))
    for key in examples[name].at:
        value = value[key]
    return value


def variants() -> dict[str, Exporter]:
    """Each member of the family with each choice of its options."""
    found = {}
    for name in EXPORTERS.names():
        cls = EXPORTERS.load(name)
        for values in product(*cls.options.values()):
            found["-".join((name, *values))] = cls(dict(zip(cls.options, values, strict=True)))
    return found


@pytest.fixture(params=list(variants().values()), ids=list(variants()))
def exporter(request: pytest.FixtureRequest) -> Exporter:
    """Each member of the family, with each choice of its options."""
    found: Exporter = request.param
    return found


def test_a_file_is_whole_and_the_same_each_time(exporter: Exporter) -> None:
    """An exporter ends its file with one newline, names its extension, and repeats itself exactly."""
    for config in (plain, unknown):
        text = exporter.render(config)

        assert text == exporter.render(config)
        assert text.endswith("\n")
        assert not text.endswith("\n\n")
    assert exporter.extension.startswith(".")


def test_a_change_of_any_value_is_seen(exporter: Exporter) -> None:
    """No field of the configuration is left out of the file."""
    for name in ModelConfig.__struct_fields__:
        changed = msgspec.structs.replace(plain, **{name: others.get(name, "something else")})
        assert exporter.render(changed) != exporter.render(plain), name


def test_unknown_facts_are_written_as_unknown(exporter: Exporter) -> None:
    """A fact that nobody knows is null or None in the file, never a number of ours."""
    text = exporter.render(unknown)

    assert "null" in text or "None" in text
    assert not any(str(number) in text for number in (8192, 300_000, 4096))


def test_a_value_cannot_end_a_script_element(exporter: Exporter) -> None:
    """What an application may put into a page holds no `</script>`, whatever the values hold."""
    texts = [exporter.render(config) for config in hostile_configs()]

    assert any("script>" in text for text in texts)
    assert exporter.extension in (".py", ".yaml") or not any("</script" in text for text in texts)


@pytest.mark.parametrize("name", readable)
def test_hostile_values_survive(name: str) -> None:
    """Quotes, comment ends, newlines, control characters and YAML's own words are read back exactly."""
    for config in (plain, unknown, *hostile_configs()):
        assert read_back(name, config) == as_json(config)


@pytest.mark.parametrize("name", readable)
@given(text=st.text(st.characters(exclude_categories=["Cs"])), number=st.none() | st.floats(0, 1e9))
def test_values_survive(name: str, text: str, number: float | None) -> None:
    """Any text and any price is read back exactly, from a name as from a system prompt."""
    config = msgspec.structs.replace(
        plain, name=text, system=text, uri=text + "'''\"\"\"*/", input_usd_per_million_tokens=number
    )

    found = read_back(name, config)

    assert found == as_json(config)


def test_defaults_are_the_first_values() -> None:
    """An exporter that is told nothing takes the first value of each of its options."""
    for name in EXPORTERS.names():
        cls = EXPORTERS.load(name)
        told = cls({option: values[0] for option, values in cls.options.items()})

        assert cls().render(plain) == told.render(plain)
