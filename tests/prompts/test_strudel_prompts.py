"""The shipped `prompts/strudel.yaml`: complete, various, understood by the composer, safe to train on."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from polytune.prompts.library import Library, Rendered, load_library
from polytune.prompts.plan import PlannedSample, plan
from polytune.strudel.composer_words import find_instruments, find_kit, find_mood, find_scale, find_tempo

prompt_file = Path(__file__).parents[2] / "prompts" / "strudel.yaml"
axes = {
    "style": ("techno", "house", "ambient", "jazz", "drums", "experimental", "lofi", "hiphop"),
    "complexity": ("simple", "medium", "complex"),
}
reserved = ("user:", "assistant:", "system:", "bot:", "[eos]", "<image>", "<video>", "thought:", "<unk>")
"""What Bedrock refuses in training data for Nova: AWS's user guide and its validators, as of 2026-11-21."""


@pytest.fixture(scope="module")
def library() -> Library:
    """The shipped file, loaded for its whole matrix."""
    return load_library(prompt_file, axes)


def _thousand(library: Library) -> Iterator[tuple[PlannedSample, Rendered]]:
    for sample in islice(plan(axes, library, 7), 1000):
        yield sample, library.render(sample.cell, sample.template_index, sample.slots)


def test_a_thousand_samples_have_distinct_prompts(library: Library) -> None:
    """At least 990 of 1,000 samples over all styles and complexities have prompts of their own."""
    prompts = {rendered.prompt for _, rendered in _thousand(library)}

    assert len(prompts) >= 990


def test_every_style_has_templates_with_slots(library: Library) -> None:
    """Each style has five templates or more, and each template uses at least three slots."""
    for style in axes["style"]:
        cell = {"style": style, "complexity": "medium"}
        templates = library.templates(cell)
        assert len(templates) >= 5
        assert all(len(library.slot_values(cell, index)) >= 3 for index in range(len(templates)))


def test_prompts_alone_tell_style_and_tempo(library: Library) -> None:
    """A student that never sees the guides can still read the style and the tempo in the prompt."""
    for sample, rendered in _thousand(library):
        assert str(sample.cell["style"]) in rendered.prompt.lower()
        assert f"{sample.slots['tempo']} bpm" in rendered.prompt


def test_nothing_reserved_is_said(library: Library) -> None:
    """No prompt, guide or system prompt holds a string that Bedrock reserves."""
    for _, rendered in _thousand(library):
        said = f"{rendered.system}\n{rendered.prompt}\n{library.short_system}".lower()
        assert not [word for word in reserved if word in said]


def test_composer_understands_every_slot_value(library: Library) -> None:
    """Each tempo, key, kit, instrument and mood of the file means something to the offline composer."""
    finders = {
        "tempo": find_tempo,
        "key": find_scale,
        "kit": find_kit,
        "mood": find_mood,
        "instruments": find_instruments,
    }
    for name, choices in library.prompts.slots.items():
        for value in (value for values in choices.values() for value in values):
            assert name == "scope" or finders[name](str(value)), f"{name}: {value}"


def test_short_system_prompt_is_short(library: Library) -> None:
    """The system prompt for training rows is two sentences at most; the teacher's is a full rule sheet."""
    assert 20 < len(library.short_system) < 160
    assert len(library.prompts.system) > 2000
