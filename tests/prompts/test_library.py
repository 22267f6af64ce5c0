"""Prompt files: what they render, and the exact words about everything that can be wrong in one."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polytune.errors import SpecError, StepFailed
from polytune.prompts.library import Library, load_library
from polytune.prompts.model import Value
from tests.foreign import THEIRS, with_their_words
from tests.messages import matching, message

axes = {"style": ("techno", "house"), "complexity": ("simple", "complex")}
good = """\
system: |
  Be exact.
short_system: Be brief.
guides:
  style: {techno: Hard., house: Warm.}
  complexity:
    simple: One voice.
    complex: Many voices.
template_axis: style
templates:
  techno: ["A {{ mood }} {{ style }} loop at {{ tempo }} bpm", "Techno at {{ tempo }}"]
  house: ["House in {{ key }}{% if complexity == 'complex' %}, busy{% endif %}"]
  polka: ["Polka {{ tempo }}"]
slots:
  tempo: {techno: [128, 132.5], default: [120]}
  mood: [dark, bright]
  key: {complexity=simple: [C major], complex: [F minor, G minor]}
"""


def _load(folder: Path, text: str, matrix: dict[str, tuple[Value, ...]] | None = None) -> Library:
    path = folder / "p.yaml"
    path.write_text(text, encoding="utf-8")
    return load_library(path, axes if matrix is None else matrix, shown="p.yaml")


def test_system_prompt_is_the_base_and_the_guides_of_the_cell(tmp_path: Path) -> None:
    """Each axis with a guide adds a line `AXIS: value` and the guide, in the matrix's order."""
    library = _load(tmp_path, good)

    rendered = library.render({"style": "techno", "complexity": "simple"}, 0, {"mood": "dark", "tempo": 128})

    assert rendered.system == "Be exact.\n\nSTYLE: techno\nHard.\n\nCOMPLEXITY: simple\nOne voice."
    assert rendered.prompt == "A dark techno loop at 128 bpm"
    assert library.short_system == "Be brief."


def test_templates_may_depend_on_axes(tmp_path: Path) -> None:
    """An axis is a name in every template, also in conditions."""
    library = _load(tmp_path, good)

    prompts = [
        library.render({"style": "house", "complexity": value}, 0, {"key": "C"}).prompt
        for value in axes["complexity"]
    ]

    assert prompts == ["House in C", "House in C, busy"]


def test_slot_values_depend_on_the_cell(tmp_path: Path) -> None:
    """A key that names a value of the cell chooses the slot's values, else `default` does."""
    library = _load(tmp_path, good)

    def values(style: str, complexity: str, template: int = 0) -> dict[str, tuple[Value, ...]]:
        return library.slot_values({"style": style, "complexity": complexity}, template)

    assert values("techno", "simple") == {"mood": ("dark", "bright"), "tempo": (128, 132.5)}
    assert values("techno", "simple", 1) == {"tempo": (128, 132.5)}
    assert values("house", "simple") == {"key": ("C major",)}
    assert values("house", "complex") == {"key": ("F minor", "G minor")}


def test_one_list_of_templates_is_a_whole_file(tmp_path: Path) -> None:
    """A file with nothing but templates serves any matrix, or none."""
    library = _load(tmp_path, "templates: [Tell me a joke, Tell me a riddle]\n", {})

    assert [template.id for template in library.templates({})] == ["1", "2"]
    assert library.render({}, 1, {}).prompt == "Tell me a riddle"
    assert library.render({}, 1, {}).system == ""


def test_axis_values_may_be_numbers(tmp_path: Path) -> None:
    """A matrix value 2 finds the guide, templates and slot values under the key `2`."""
    text = """\
template_axis: level
guides: {level: {"1": Easy., "2": Hard.}}
templates: {"1": ["{{ word }}"], "2": ["{{ word }}!"]}
slots: {word: {"1": [a], level=2: [b]}}
"""
    library = _load(tmp_path, text, {"level": (1, 2)})

    assert library.slot_values({"level": 2}, 0) == {"word": ("b",)}
    assert library.render({"level": 2}, 0, {"word": "b"}).prompt == "b!"
    assert library.system({"level": 2}) == "LEVEL: 2\nHard."


def test_unfit_values_fail_by_name(tmp_path: Path) -> None:
    """A template that fails for values that were not tried at first stops the step and says which."""
    library = _load(tmp_path, "templates: ['{{ 10 // number }}']\nslots: {number: [1, 0]}\n", {})

    with pytest.raises(
        StepFailed,
        match=r"^p\.yaml: "
        + matching("prompts/template-cannot-be-rendered-with", number=1, name="number=0")
        + " ",
    ):
        library.render({}, 0, {"number": 0})


bad_files = {
    "wrong keys and types": (
        """\
sytem: hi
guides: {complexity: {simple: 3}}
templates: {techno: [a, 3]}
slots: {tempo: 120, mood: {techno: {b: c}}, key: [[a]]}
""",
        [
            "p.yaml:1:1: " + message("prompts/unknown-key-sytem", suggestion="system"),
            "p.yaml:2:31: guides.complexity.simple: " + message("prompts/must-be-text", number=3),
            "p.yaml:3:25: templates.techno[1]: " + message("prompts/must-be-text", number=3),
            "p.yaml:4:16: slots.tempo: " + message("prompts/must-be-list-or-mapping", number=120),
            "p.yaml:4:36: slots.mood.techno: " + message("prompts/must-be-list"),
            "p.yaml:4:51: slots.key[0]: " + message("prompts/must-be-text-or-number-not-list"),
        ],
    ),
    "no templates": ("system: hi\n", ["p.yaml:1:1: " + message("prompts/key-templates-is-missing")]),
    "a list": ("- a\n", ["p.yaml:1:1: " + message("prompts/prompt-file-is-mapping-with-key")]),
    "YAML that does not parse": (
        "templates: [a\n",
        ["p.yaml:1:12: " + message("general/this-is-not-closed")],
    ),
    "unknown names": (
        'templates: ["{{ moood }} {{ mood }}", "{% if tempo %}{{ mood }}{% endif %}"]\nslots: {mood: [a]}\n',
        [
            "p.yaml:1:17: templates[0]: "
            + message(
                "prompts/template-uses-unknown-name-suggestion", number=1, name="moood", suggestion="mood"
            ),
            "p.yaml:1:46: templates[1]: "
            + message(
                "prompts/template-uses-unknown-name-known",
                number=2,
                name="tempo",
                known="complexity, mood, style",
            ),
        ],
    ),
    "a name in a block of text": (
        "templates:\n  - |\n    First line\n    and {{ colour }}\n",
        [
            "p.yaml:4:12: templates[0]: "
            + message(
                "prompts/template-uses-unknown-name-known", number=1, name="colour", known="complexity, style"
            )
        ],
    ),
    "syntax errors": (
        'templates: ["{{ tempo ", "{{ a|nofilter }}"]\n',
        [
            "p.yaml:1:13: templates[0]: " + message("prompts/unexpected-end-of-template", number=1),
            "p.yaml:1:26: templates[1]: template 2: No filter named 'nofilter'.",
        ],
    ),
    "chance in a template": (
        "templates: [\"{{ ['a', 'b']|random }}\"]\n",
        ["p.yaml:1:13: templates[0]: template 1: No filter named 'random'."],
    ),
    "no template axis": (
        "templates: {techno: [a], house: [b]}\n",
        ["p.yaml:1:1: " + message("prompts/say-with-template-axis-which-axis")],
    ),
    "needless template axis": (
        "templates: [a]\ntemplate_axis: style\n",
        ["p.yaml:2:16: " + message("prompts/templates-is-one-list-for-every", name="template_axis")],
    ),
    "template axis not in the matrix": (
        "template_axis: stile\ntemplates: {techno: [a], house: [b]}\n",
        [
            "p.yaml:1:16: "
            + message("prompts/key-is-not-an-axis", name="template_axis", axis="stile", suggestion="style")
        ],
    ),
    "matrix values without templates or guides": (
        """\
template_axis: style
templates: {techno: []}
guides:
  style: {tecno: x, house: y}
  complexity: {simple: z}
""",
        [
            "p.yaml:2:1: " + message("prompts/no-templates-for-style", name="house"),
            "p.yaml:2:21: templates.techno: " + message("prompts/holds-no-template"),
            "p.yaml:4:3: guides.style: "
            + message("prompts/no-guide-for-style", name="techno", name2="tecno"),
            "p.yaml:5:3: guides.complexity: " + message("prompts/no-guide-for-complexity", name="complex"),
        ],
    ),
    "misspelt axis": (
        "templates: [a]\nguides: {complexty: {simple: x}}\n",
        [
            "p.yaml:2:10: guides.complexty: "
            + message("prompts/matrix-has-no-such-axis", axis="complexty", suggestion="complexity")
        ],
    ),
    "slots": (
        """\
templates: ["a {{ tempo }}"]
slots:
  tempo: [120, 120, "120"]
  key: []
  mood: {tecno: [a]}
  style: [b]
  a-b: [c]
""",
        [
            "p.yaml:3:16: slots.tempo[1]: " + message("prompts/lists-number-a-second-time", number=120),
            "p.yaml:3:21: slots.tempo[2]: " + message("prompts/lists-text-a-second-time", number=120),
            "p.yaml:4:8: slots.key: " + message("prompts/slot-has-no-values", slot="key"),
            "p.yaml:5:10: slots.mood.tecno: "
            + message("prompts/value-is-not-on-any-axis", name="tecno", suggestion="techno"),
            "p.yaml:6:3: slots.style: " + message("prompts/is-axis-of-matrix-already", name="style"),
            "p.yaml:7:3: slots.a-b: " + message("prompts/cannot-be-used-in-template", name="a-b"),
        ],
    ),
    "slot without values for some cells": (
        'templates: ["a {{ mood }}"]\nslots: {mood: {techno: [a]}}\n',
        [
            "p.yaml:1:19: templates[0]: "
            + message(
                "prompts/slot-has-no-values-for-style", slot="mood", name="house", name2="simple", number=1
            )
        ],
    ),
    "the same template twice": (
        "templates: [a, b, ' a ']\n",
        ["p.yaml:1:19: templates[2]: " + message("prompts/is-same-as-template")],
    ),
    "templates that cannot be rendered": (
        """\
templates:
  - "{{ n.a.b }}"
  - "{{ 1 // 0 }}"
  - "{# nothing #}"
  - "{% include 'x' %}"
  - "{{ n.__class__ }}"
  - "{{ 'x' + n }}"
slots: {n: [1]}
""",
        [
            "p.yaml:2:5: templates[0]: "
            + message("prompts/template-cannot-be-rendered", number=1, theirs=THEIRS),
            "p.yaml:3:5: templates[1]: "
            + message("prompts/template-cannot-be-rendered", number=2, theirs=THEIRS),
            "p.yaml:4:5: templates[2]: " + message("prompts/template-renders-to-nothing", number=3),
            "p.yaml:5:5: templates[3]: "
            + message("prompts/template-cannot-be-rendered", number=4, theirs=THEIRS),
            "p.yaml:6:5: templates[4]: "
            + message("prompts/template-cannot-be-rendered", number=5, theirs=THEIRS),
            "p.yaml:7:5: templates[5]: "
            + message("prompts/template-cannot-be-rendered", number=6, theirs=THEIRS),
        ],
    ),
}


@pytest.mark.parametrize("name", bad_files)
def test_every_problem_is_told_at_once_at_its_place(tmp_path: Path, name: str) -> None:
    """A wrong file is refused with one line per problem: place, what, and the likely remedy."""
    text, expected = bad_files[name]

    with pytest.raises(SpecError, match=r"^p\.yaml:") as caught:
        _load(tmp_path, text)

    told = str(caught.value)
    assert told == with_their_words("\n".join(expected), told)


def test_absent_file_is_named(tmp_path: Path) -> None:
    """A prompt file that is not there is a problem like any other."""
    with pytest.raises(SpecError, match=r"^prompts/none\.yaml: no such file$"):
        load_library(tmp_path / "none.yaml", axes, shown="prompts/none.yaml")


def test_a_file_may_cover_more_than_the_matrix(tmp_path: Path) -> None:
    """Guides, templates and slot values of styles that the matrix leaves out are no problem."""
    library = _load(tmp_path, good, {"style": ("techno",), "complexity": ("simple",)})

    assert [template.id for template in library.templates({"style": "techno"})] == ["techno/1", "techno/2"]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(0, len(good) - 1),
    st.integers(0, 6),
    st.sampled_from(["", "{", "}}", ":", "- ", "é", "\t", "%}"]),
)
def test_no_mutation_gives_anything_but_a_library_or_problems(
    tmp_path: Path, place: int, cut: int, insert: str
) -> None:
    """However a good file is damaged, it loads or is refused with problems in it; nothing else is raised."""
    mutated = good[:place] + insert + good[place + cut :]

    with suppress(SpecError):
        assert _load(tmp_path, mutated).templates({"style": "techno"})
