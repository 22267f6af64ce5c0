"""What else a plan chooses: drawn slots, seed rows, personas, examples, and the user's later turns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polytune.errors import SpecError
from polytune.fingerprint import Json, fingerprint
from polytune.prompts.distributions import SlotDistribution
from polytune.prompts.library import load_library
from polytune.prompts.seeds import read_seeds
from tests.foreign import THEIRS, with_their_words
from tests.messages import matching, message
from tests.prompts.prompt_files import library, planned, seed_set

styles = {"style": ("techno", "house")}
chances = st.floats(0, 1, exclude_max=True)
numbers = st.integers(-50, 50)


@given(chances, numbers, st.integers(1, 100))
def test_a_range_stays_inside(chance: float, low: int, width: int) -> None:
    """Whole numbers between two whole numbers, both included; decimals as stated."""
    whole = SlotDistribution(range=(low, low + width)).draw(chance)
    parts = SlotDistribution(range=(float(low), float(low + width)), digits=3).draw(chance)

    assert isinstance(whole, int)
    assert low <= whole <= low + width
    assert low <= float(parts) <= low + width
    assert parts == round(float(parts), 3)


@given(chances, numbers, st.integers(1, 20))
def test_a_clipped_normal_stays_inside(chance: float, mean: int, spread: int) -> None:
    """A normal distribution never leaves its clip."""
    found = SlotDistribution(normal=(mean, spread), clip=(mean - spread, mean + spread)).draw(chance)

    assert mean - spread <= int(found) <= mean + spread


def test_quantiles_are_what_the_distributions_say() -> None:
    """The middle of a normal is its mean, and weights split the chance in proportion."""
    weighted = SlotDistribution(weights={"dark": 3, "bright": 1})

    assert SlotDistribution(normal=(120, 15)).draw(0.5) == 120
    assert SlotDistribution(normal=(0.0, 1.0)).draw(0.975) == 1.96
    assert [weighted.draw(chance) for chance in (0, 0.74, 0.76, 0.999)] == [
        "dark",
        "dark",
        "bright",
        "bright",
    ]
    assert [SlotDistribution(range=(1, 4)).draw(chance) for chance in (0, 0.26, 0.99)] == [1, 2, 4]


def test_drawn_slots_differ_by_sample_and_stay_for_ever() -> None:
    """A drawn slot has many values over a plan, the same ones each time, in every template that uses it."""
    loaded = library(
        styles,
        templates=["a {{ tempo }} {{ mood }}"],
        slots={"tempo": {"range": [60, 180]}, "mood": ["x", "y"]},
    )

    samples = planned(styles, loaded, 200)

    assert len({sample.slots["tempo"] for sample in samples}) > 60
    assert samples == planned(styles, loaded, 200)
    assert planned(styles, loaded, 200, seed=8) != samples
    assert [sample.slots["tempo"] for sample in samples[:4]] == [90, 125, 87, 142]


def test_weighted_slots_come_by_weight() -> None:
    """A slot of weights takes its values about as often as they weigh, and by axis value."""
    loaded = library(
        styles,
        templates=["a {{ mood }}"],
        slots={"mood": {"techno": {"weights": {"dark": 3, "bright": 1}}, "default": ["calm"]}},
    )

    counts = Counter((s.cell["style"], s.slots["mood"]) for s in planned(styles, loaded, 2000))

    assert counts["house", "calm"] == 1000
    assert 690 < counts["techno", "dark"] < 810


@settings(max_examples=40)
@given(st.integers(0, 300), st.integers(1, 5), st.integers(1, 4), st.integers(0, 4))
def test_draws_number_identical_questions(amount: int, width: int, rows: int, shots: int) -> None:
    """However a question is chosen, its draw is the number of samples before it that ask the same."""
    loaded = library(
        styles,
        seed_set([{"topic": f"t{number}"} for number in range(rows)]),
        templates=["a {{ x }} {{ topic }}", "b {{ y }}"],
        slots={"x": {"range": [1, 1 + width]}, "y": ["p", "q"]},
        examples=[{"prompt": f"p{n}", "answer": "a"} for n in range(4 * (shots > 0))],
        shots=shots,
    )
    asked: Counter[Hashable] = Counter()

    for sample in planned(styles, loaded, amount):
        rendered = loaded.render(sample.cell, sample.template_index, sample.slots, sample.shots)
        question = (sample.seed, rendered.system, rendered.prompt, tuple(sample.cell.items()))
        if "{{ topic }}" not in loaded.templates(sample.cell)[sample.template_index].text:
            question = ("", *question[1:])
        assert sample.draw == asked[question]
        asked[question] += 1


@settings(max_examples=60)
@given(st.integers(1, 12), st.integers(1, 5), st.integers(0, 150))
def test_every_seed_row_comes_before_any_comes_again(rows: int, values: int, amount: int) -> None:
    """In any prefix, two rows that serve all cells were used equally often, give or take one."""
    axes = {"a": tuple(range(values))}
    loaded = library(axes, seed_set([{"x": number} for number in range(rows)]), templates=["{{ x }}"])
    counts = Counter({f"s{number}": 0 for number in range(rows)})

    for sample in planned(axes, loaded, amount):
        counts[sample.seed] += 1
        assert max(counts.values()) - min(counts.values()) <= 1


@settings(max_examples=40)
@given(st.integers(1, 6), st.integers(1, 5))
def test_rows_and_cells_meet_in_every_pairing(rows: int, values: int) -> None:
    """Over as many samples as there are pairs, each row met each cell exactly once."""
    axes = {"a": tuple(range(values))}
    loaded = library(axes, seed_set([{"x": number} for number in range(rows)]), templates=["{{ x }}"])

    samples = planned(axes, loaded, rows * values)

    assert len({(sample.seed, sample.cell["a"]) for sample in samples}) == rows * values


def test_a_row_that_names_an_axis_value_serves_only_those_cells() -> None:
    """A column named like an axis limits the row, an empty one does not, and it is no slot."""
    seeds = seed_set([{"style": "techno", "x": 1}, {"style": "house", "x": 2}, {"x": 3}])
    loaded = library(styles, seeds, templates=["{{ style }} {{ x }}"])

    met = {(sample.cell["style"], sample.slots["x"]) for sample in planned(styles, loaded, 40)}

    assert met == {("techno", 1), ("techno", 3), ("house", 2), ("house", 3)}
    assert all(sample.slots.keys() == {"x"} for sample in planned(styles, loaded, 4))


def test_rows_added_at_the_end_keep_the_samples_of_the_first_pass() -> None:
    """As long as no row came twice, a longer file gives the same samples."""
    rows = [{"x": number} for number in range(60)]
    shorter = library(styles, seed_set(rows[:50]), templates=["{{ x }}"])
    longer = library(styles, seed_set(rows), templates=["{{ x }}"])

    assert planned(styles, longer, 60)[:50] == planned(styles, shorter, 50)


def test_rows_must_fit_the_matrix() -> None:
    """A row with an unknown axis value, and a kind of cell that no row serves, are told at their places."""
    with pytest.raises(
        SpecError,
        match=r"^seeds\.jsonl:1:1: "
        + matching("prompts/seed-value-is-not-on-axis", name="tecno", axis="style"),
    ):
        library(styles, seed_set([{"style": "tecno", "x": 1}]), templates=["{{ x }}"])
    with pytest.raises(
        SpecError, match=r"^seeds\.jsonl: " + matching("prompts/no-row-serves-style", name="house")
    ):
        library(styles, seed_set([{"style": "techno", "x": 1}]), templates=["{{ x }}"])
    with pytest.raises(
        SpecError, match=r"slots\.x: " + matching("prompts/is-column-of-seeds-already", name="x")
    ):
        library(styles, seed_set([{"x": 1}]), templates=["{{ x }}"], slots={"x": [1]})
    with pytest.raises(SpecError, match=matching("prompts/which-is-no-slot", name="y")):
        library(styles, seed_set([{"x": 1}]), templates=["{{ y }}"])


seed_files: dict[str, tuple[str, str, list[str]]] = {
    "JSONL": ("s.jsonl", '{"id": "r", "topic": "rain", "n": 2}\n\n{"topic": "sun", "n": null}\n', []),
    "CSV": ("s.csv", 'id,topic,n\nr,"rain, heavy",2\n,sun,\n', []),
    "wrong JSONL": (
        "s.jsonl",
        '{"a": }\n[1]\n{"a": {}}\n{"a-b": 1}\n{"id": "x"}\n{"id": "x"}\n{"a": true}\n',
        [
            f"s.jsonl:1:1: not JSON: {THEIRS}",
            's.jsonl:2:1: a row is a JSON object, such as {"topic": "rain"}',
            "s.jsonl:3:1: a: " + message("prompts/value-must-be-text-or-number"),
            "s.jsonl:4:1: " + message("prompts/column-cannot-be-used-in-template", column="a-b"),
            "s.jsonl:6:1: " + message("prompts/is-same-seed-as-line", line=5, name="x"),
            "s.jsonl:7:1: a: " + message("prompts/value-must-be-text-or-number"),
        ],
    ),
    "wrong CSV": (
        "s.csv",
        "a,b\n1,2,3\n",
        ["s.csv:2:1: " + message("prompts/has-columns", columns=3)],
    ),
    "nothing": ("s.csv", "a,b\n", ["s.csv: " + message("prompts/holds-no-row")]),
}


@pytest.mark.parametrize("name", seed_files)
def test_seed_files_are_read_or_refused(tmp_path: Path, name: str) -> None:
    """JSONL and CSV give rows with ids; every bad line is told at once."""
    file, text, problems = seed_files[name]
    (tmp_path / file).write_text(text, encoding="utf-8")

    if problems:
        with pytest.raises(SpecError, match=file) as caught:
            read_seeds(tmp_path / file, file)
        told = str(caught.value)
        assert told == with_their_words("\n".join(problems), told)
    else:
        first, second = read_seeds(tmp_path / file, file).rows
        assert (first.id, str(first.values["n"])) == ("r", "2")
        assert (second.id, second.values) == ("aa667db638c2", {"topic": "sun"})


def test_personas_take_turns() -> None:
    """A persona is a name in templates; where a template does not use it, the teacher is told of it."""
    loaded = library({}, system="Be brief.", templates=["{{ persona }} asks", "hi"], personas=["Ann", "Bob"])

    said = [loaded.render({}, s.template_index, s.slots) for s in planned({}, loaded, 4)]

    assert {(each.system, each.prompt) for each in said} == {
        ("Be brief.", "Ann asks"),
        ("Be brief.", "Bob asks"),
        ("Be brief.\n\nPERSONA: Ann", "hi"),
        ("Be brief.\n\nPERSONA: Bob", "hi"),
    }


def test_personas_may_be_a_file(tmp_path: Path) -> None:
    """A path names a file beside the prompt file, one persona a line; the library says that it read it."""
    (tmp_path / "people.txt").write_text("Ann\n\n Bob \nAnn\n")
    (tmp_path / "p.yaml").write_text("templates: ['{{ persona }}']\npersonas: people.txt\n")

    loaded = load_library(tmp_path / "p.yaml", {})

    assert {str(s.slots["persona"]) for s in planned({}, loaded, 4)} == {"Ann", "Bob"}
    assert loaded.files == (tmp_path / "people.txt",)
    (tmp_path / "people.txt").unlink()
    with pytest.raises(SpecError, match="2:11: " + matching("prompts/cannot-be-read-as-text-file")):
        load_library(tmp_path / "p.yaml", {})


def test_examples_take_turns_in_the_system_prompt() -> None:
    """Each sample's teacher sees as many examples as stated, of those for its cell, all equally often."""
    examples: list[dict[str, Any]] = [{"prompt": f"q{n}", "answer": f"a{n}"} for n in range(4)]
    examples.append({"prompt": "h", "answer": "H", "when": {"style": "house"}})
    loaded = library(styles, system="Be brief.", templates=["x", "y"], examples=examples, shots=2)

    samples = planned(styles, loaded, 80)

    techno = [sample for sample in samples if sample.cell["style"] == "techno"]
    counts = Counter(place for sample in techno for place in sample.shots)
    assert counts == {0: 20, 1: 20, 2: 20, 3: 20}
    assert any(4 in sample.shots for sample in samples)
    shown = loaded.render(techno[0].cell, 0, {}, (1, 0))
    assert shown.system == "Be brief.\n\nEXAMPLES\n\nUSER: q1\nANSWER: a1\n\nUSER: q0\nANSWER: a0"


def test_a_list_is_one_conversation() -> None:
    """The turns of a template are rendered with one choice of values; the first is the prompt."""
    loaded = library({}, templates=[["A {{ x }}", "more {{ x }}", "less"], "alone"], slots={"x": [1, 2]})

    said = [loaded.render({}, s.template_index, s.slots) for s in planned({}, loaded, 4)]

    turns = {(each.prompt, *each.follow_ups) for each in said}
    assert turns == {("A 1", "more 1", "less"), ("A 2", "more 2", "less"), ("alone",)}
    assert loaded.most_turns == 3


def test_a_template_serves_the_cells_that_its_condition_names() -> None:
    """A template with `when` is asked in those cells only; the others rotate through the rest."""
    templates = ["all", {"text": "techno only", "when": {"style": "techno"}}]
    loaded = library(styles, templates=templates)

    counts = Counter((s.cell["style"], s.template) for s in planned(styles, loaded, 40))

    assert counts == {("techno", "1"): 10, ("techno", "2"): 10, ("house", "1"): 20}


wrong_files: dict[str, tuple[str, list[str]]] = {
    "distributions": (
        """\
templates: [a]
slots:
  a: {range: [3, 1]}
  b: {normal: [1, 0], clip: [0, 9]}
  c: {range: [1, 2], weights: {x: 1}}
  d: {weights: {x: 0}}
  e: {range: [1, 2, 3]}
  f: {rnage: [1, 2], range: [1, 2]}
  g: {clip: [1, 2]}
""",
        [
            "p.yaml:7:14: slots.e.range: " + message("prompts/has-items", items=3, number=2),
            "p.yaml:8:7: slots.f.rnage: " + message("prompts/unknown-key-suggestion", suggestion="range"),
        ],
    ),
    "distributions that say too much or too little": (
        """\
templates: [a]
slots:
  a: {range: [3, 1]}
  b: {normal: [1, 0], clip: [0, 9]}
  c: {range: [1, 2], weights: {x: 1}}
  d: {weights: {x: 0}}
  g: {clip: [1, 2]}
""",
        [
            "p.yaml:3:6: slots.a: " + message("prompts/range-to-holds-nothing"),
            "p.yaml:4:6: slots.b: " + message("prompts/standard-deviation-must-be-above"),
            "p.yaml:5:6: slots.c: " + message("prompts/states-range-and-weights"),
            "p.yaml:6:6: slots.d: " + message("prompts/weight-must-be-above"),
            "p.yaml:7:6: slots.g: " + message("prompts/clip-belongs-to-normal"),
            "p.yaml:7:6: slots.g: " + message("prompts/states-no-values"),
        ],
    ),
    "templates": (
        "templates:\n  - 3\n  - {txt: a}\n  - [a, 4]\n  - []\n",
        [
            "p.yaml:2:5: templates[0]: " + message("prompts/must-be-text", number=3),
            "p.yaml:3:5: templates[1]: the key `turns` is missing",
            "p.yaml:3:6: templates[1].txt: " + message("prompts/unknown-key-suggestion", suggestion="text"),
            "p.yaml:4:9: templates[2][1]: " + message("prompts/must-be-text", number=4),
            "p.yaml:5:5: templates[3]: has 0 items; must have at least 1",
        ],
    ),
    "conditions": (
        """\
templates:
  - {text: a, when: {stile: techno}}
  - {text: b, when: {style: tecno}}
examples: [{prompt: a, answer: b, when: {style: [house, x]}}]
""",
        [
            "p.yaml:2:22: templates[0].when.stile: "
            + message("prompts/matrix-has-no-such-axis", axis="stile", suggestion="style"),
            "p.yaml:3:29: templates[1].when.style: "
            + message(
                "prompts/value-is-not-on-axis-suggestion", name="tecno", axis="style", suggestion="techno"
            ),
            "p.yaml:4:1: " + message("prompts/say-with-shots-how-many"),
            "p.yaml:4:49: examples[0].when.style: "
            + message("prompts/value-is-not-on-axis-known", name="x", axis="style", known="house, techno"),
        ],
    ),
    "cells that no template is for": (
        "templates:\n  - {text: a, when: {style: techno}}\n",
        ["p.yaml:1:1: " + message("prompts/no-template-is-for-style", name="house")],
    ),
    "a later turn": (
        "templates:\n  - [a, '{{ b', '{{ x }}']\n  - [a, '{{ x }}']\n",
        [
            f"p.yaml:2:9: templates[0][1]: template 1: {THEIRS}",
            "p.yaml:3:13: templates[1]: "
            + message("prompts/template-uses-unknown-name-known", number=2, name="x", known="style"),
        ],
    ),
    "personas that are a slot": (
        "templates: [a]\npersonas: [x]\nslots: {persona: [y]}\nshots: 2\n",
        [
            "p.yaml:2:1: personas: 'persona' is a slot already",
            "p.yaml:4:1: " + message("prompts/there-are-no-examples-to-show"),
        ],
    ),
}


@pytest.mark.parametrize("name", wrong_files)
def test_every_problem_is_told_at_its_place(tmp_path: Path, name: str) -> None:
    """A wrong file is refused with one line per problem: place, what, and the likely remedy."""
    text, expected = wrong_files[name]
    (tmp_path / "p.yaml").write_text(text, encoding="utf-8")

    with pytest.raises(SpecError, match=r"^p\.yaml:") as caught:
        load_library(tmp_path / "p.yaml", styles, shown="p.yaml")

    told = str(caught.value)
    assert told == with_their_words("\n".join(expected), told)


def test_plans_that_use_nothing_new_are_as_they_were() -> None:
    """A thousand samples of the shipped prompt file are, to the byte, the ones of the first release."""
    axes = {
        "style": ("techno", "house", "ambient", "jazz", "drums", "experimental"),
        "complexity": ("simple", "medium", "complex"),
    }
    loaded = load_library(Path(__file__).parents[2] / "prompts" / "strudel.yaml", axes)
    lines: list[Json] = []
    for sample in planned(axes, loaded, 1000):
        rendered = loaded.render(sample.cell, sample.template_index, sample.slots)
        chosen: list[Json] = [sample.template, sample.template_index, sample.slots, sample.draw]
        lines.append([sample.index, sample.cell, *chosen, rendered.system, rendered.prompt])

    digest = "4bfc2e9063432de6dd694106c20c5f2ad7f306e349664ab16660fea38b5deb86"
    assert fingerprint("polytune.test.v1", lines) == digest
