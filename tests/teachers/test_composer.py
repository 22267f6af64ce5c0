"""The composer: deterministic, obedient to the request's variables, and made of real Strudel only."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from itertools import islice, product
from pathlib import Path

import pytest

from polytune.prompts.library import load_library
from polytune.prompts.plan import plan
from polytune.settings import Settings
from polytune.strudel.checker import check
from polytune.strudel.composer import Composer, ComposerSpec
from polytune.strudel.composer_words import (
    INSTRUMENTS,
    KITS,
    MOODS,
    find_instruments,
    find_kit,
    find_mood,
    find_scale,
    find_tempo,
)
from polytune.strudel.vocabulary import functions, sounds
from polytune.teachers.interface import Request

prompt_file = Path(__file__).parents[2] / "prompts" / "strudel.yaml"
axes = {
    "style": ("techno", "house", "ambient", "jazz", "drums", "experimental", "lofi", "hiphop"),
    "complexity": ("simple", "medium", "complex"),
}
Variables = dict[str, str | int | float]
first_piece = """\
stack(
  s("bd*4, ~ cp ~ cp, [~ hh]*4").bank("RolandTR808").every(4, x => x.fast(2)),
  s("rim(3,8)").gain(0.6).sometimesBy(0.2, x => x.fast(2)),
  n("[~ 0]*4").scale("F#:minor").trans(-12).s("sawtooth").lpf(500),
  n("4 2 ~ 0").scale("F#:minor").s("square").lpf(1500)
).cpm(130/4)"""


def _compose(variables: Variables, prompt: str = "Compose.", draw: int = 0) -> str:
    composer = Composer(ComposerSpec(kind="composer"), {}, Settings())
    request = Request(system="", prompt=prompt, variables=variables)
    return asyncio.run(composer.answer(request, draw)).text


def _voices(code: str) -> list[str]:
    return [line.strip().removesuffix(",") for line in code.splitlines()[1:-1]]


def _planned(amount: int) -> Iterator[tuple[Variables, str]]:
    """Variables and code of the first samples that the shipped prompts ask for."""
    library = load_library(prompt_file, axes)
    for sample in islice(plan(axes, library, 7), amount):
        rendered = library.render(sample.cell, sample.template_index, sample.slots)
        variables = {**sample.cell, **sample.slots}
        yield variables, _compose(variables, rendered.prompt, sample.draw)


def test_answer_depends_on_request_and_draw_alone() -> None:
    """A request and draw have one answer for all time; other draws and prompts have others."""
    code = _compose({"style": "techno", "complexity": "complex", "tempo": 130, "key": "F# minor"})

    assert code == first_piece

    others = {_compose({"style": "techno"}, draw=draw) for draw in range(20)}
    others |= {_compose({"style": "techno"}, prompt=f"Piece {number}") for number in range(20)}
    assert len(others) > 35


@pytest.mark.parametrize("style", axes["style"])
@pytest.mark.parametrize(
    ("complexity", "fewest", "most"), [("simple", 1, 2), ("medium", 2, 3), ("complex", 3, 6)]
)
def test_complexity_sets_the_number_of_voices(style: str, complexity: str, fewest: int, most: int) -> None:
    """Simple pieces have one or two voices, medium two or three, complex three to six."""
    for draw in range(25):
        voices = _voices(_compose({"style": style, "complexity": complexity}, draw=draw))
        assert fewest <= len(voices) <= most


def test_complex_pieces_evolve_and_simple_ones_do_not() -> None:
    """Two voices of a complex piece change over time, by functions that simple pieces never use."""
    evolving = re.compile(r"=>|\.mask\(|\.jux\(|\.slow\(|\.degradeBy\(|perlin")
    for style, draw in product(axes["style"], range(10)):
        complex_voices = _voices(_compose({"style": style, "complexity": "complex"}, draw=draw))
        assert sum(bool(evolving.search(voice)) for voice in complex_voices) >= 2
        assert not evolving.search(_compose({"style": style, "complexity": "simple"}, draw=draw))


def test_variables_are_copied_into_the_code() -> None:
    """Tempo, key, kit, instrument and mood of the request are in the code, as Strudel writes them."""
    for variables, code in _planned(480):
        assert code.endswith(f").cpm({variables['tempo']}/4)")
        if "key" in variables:
            root, scale = str(variables["key"]).split(" ", 1)
            assert f'.scale("{root}:{scale.replace(" ", ":")}")' in code
            assert len(set(re.findall(r'\.scale\("([^"]*)"\)', code))) == 1
        if "kit" in variables:
            assert f'.bank("{find_kit(str(variables["kit"]))}")' in code
        if "instruments" in variables:
            (asked,) = find_instruments(str(variables["instruments"]))
            assert f'("{asked.code}' in code
        if "mood" in variables:
            assert find_mood(str(variables["mood"])) in code


def test_pieces_are_regular_and_of_moderate_length() -> None:
    """Every piece is one stack with a voice per line; lengths suit a small model."""
    for variables, code in _planned(480):
        assert re.fullmatch(r"stack\(\n(  \S.*,\n)*  \S.*\n\)\.cpm\([\d.]+/4\)", code)
        assert 50 <= len(code) <= (420 if variables["complexity"] == "complex" else 260)


def test_pieces_are_varied() -> None:
    """Hardly any two of 480 pieces are alike."""
    assert len({code for _, code in _planned(480)}) >= 475


def test_every_piece_passes_the_checker() -> None:
    """The checker finds nothing wrong with 480 pieces: brackets, mini-notation, functions, sounds, banks."""
    for _, code in _planned(480):
        assert not check(code, sounds()).reason


def test_missing_and_unknown_variables_are_chosen() -> None:
    """Without variables, or with ones that mean nothing here, a piece is composed all the same."""
    for draw in range(30):
        assert _compose({}, draw=draw).startswith("stack(\n")
        odd: Variables = {"style": "polka", "complexity": 9, "tempo": "fast", "key": "H moll", "kit": "mine"}
        assert re.search(r"\.cpm\(\d+/4\)$", _compose(odd, draw=draw))


def test_other_names_and_spellings_are_understood() -> None:
    """`bpm`, `scale` and `instrument`, `Hip-Hop` and `F#:minor` say the same as their usual forms."""
    code = _compose(
        {"style": "Hip-Hop", "bpm": "92.5 bpm", "scale": "f#:minor", "instrument": "a dusty Rhodes"}
    )

    assert code.endswith(".cpm(92.5/4)")
    assert '.scale("F#:minor")' in code
    assert '.s("gm_epiano1")' in code


@pytest.mark.parametrize(
    ("text", "scale"),
    [
        ("C minor", "C:minor"),
        ("bb major", "Bb:major"),
        ("F#:dorian", "F#:dorian"),
        ("D minor pentatonic", "D:minor:pentatonic"),
        ("H minor", ""),
        ("C", ""),
        ("C jazzy", ""),
        ("", ""),
    ],
)
def test_keys_are_read(text: str, scale: str) -> None:
    """A key is a root and a known scale; anything else is no key."""
    assert find_scale(text) == scale


@pytest.mark.parametrize(
    ("value", "tempo"),
    [(128, "128"), (92.5, "92.5"), ("120 bpm", "120"), ("fast", ""), (1280, ""), (7, ""), ("", "")],
)
def test_tempos_are_read(value: str | int | float, tempo: str) -> None:
    """A tempo is a number of two or three digits, with or without a unit."""
    assert find_tempo(value) == tempo


def test_longer_instrument_names_win() -> None:
    """`808 bass` is a bass, and two instruments of different roles are both heard."""
    assert [sound.code for sound in find_instruments("muted trumpet and upright bass")] == [
        "gm_muted_trumpet",
        "gm_acoustic_bass",
    ]
    code = _compose(
        {"style": "jazz", "complexity": "medium", "instruments": "muted trumpet and upright bass"}
    )
    assert '.s("gm_muted_trumpet")' in code
    assert '.s("gm_acoustic_bass")' in code


def test_every_word_means_something_real() -> None:
    """Each listed instrument is a sound, each kit a bank and each mood a method of Strudel."""
    assert all(sounds().has(sound.code) for sound in INSTRUMENTS.values())
    assert all(sounds().has(f"{bank}_{drum}") for bank in KITS.values() for drum in ("bd", "sd", "hh"))
    assert all(functions().chains(effect[1:].partition("(")[0]) for effect in MOODS.values())
