"""A teacher that composes Strudel pieces from a grammar, offline: no language model is involved.

It is for rehearsals, tests and the quickstart. What it answers follows from the request and the draw
alone. It honours the variables `style`, `complexity`, `tempo`, `key`, `kit`, `instruments` and `mood`
(also as `bpm`, `scale`, `instrument`); where one is missing or unknown it chooses. It reads no prompt.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import msgspec

from polytune.fingerprint import fingerprint
from polytune.settings import Settings
from polytune.strudel.composer_grammar import Brief, compose
from polytune.strudel.composer_styles import STYLES
from polytune.strudel.composer_words import (
    find_instruments,
    find_kit,
    find_mood,
    find_scale,
    find_tempo,
)
from polytune.strudel.dice import Dice
from polytune.teachers.interface import Answer, Request, Teacher, TeacherSpec, Usage

characters_per_token = 4
complexities = ("simple", "medium", "complex")


class ComposerSpec(TeacherSpec):
    """Composes answers offline from a grammar; no language model, no cost."""

    dialect: Literal["strudel"] = "strudel"
    """The language it composes in."""
    grammar: Literal[1] = 1
    """The version of its grammar: the same request keeps the same answer as long as this stays."""


class Composer(Teacher):
    """Answers at once, from a grammar."""

    Spec: ClassVar[type[TeacherSpec]] = ComposerSpec
    label: ClassVar[str] = "composed offline from a grammar, no language model"

    def __init__(self, spec: TeacherSpec, files: Mapping[str, Path], settings: Settings) -> None:
        super().__init__(spec, files, settings)
        self._seed = fingerprint("polytune.composer.v1", spec.model_dump(mode="json"))

    async def answer(self, request: Request, draw: int) -> Answer:
        """A piece that fits the request's variables; another one for each draw."""
        question = {"seed": self._seed, "request": msgspec.to_builtins(request), "draw": draw}
        dice = Dice(fingerprint("polytune.composer.v1", question))
        text = compose(_brief(request.variables, dice), dice)
        asked = len(request.system) + len(request.prompt)
        return Answer(text=text, usage=Usage(input_tokens=_tokens(asked), output_tokens=_tokens(len(text))))


def _brief(variables: Mapping[str, str | int | float], dice: Dice) -> Brief:
    words = {name.lower(): str(value) for name, value in variables.items()}
    style = STYLES[_known(words.get("style", ""), tuple(STYLES), dice)]
    scale = find_scale(words.get("key", words.get("scale", "")))
    kit = find_kit(words.get("kit", ""))
    return Brief(
        style=style,
        complexity=_known(words.get("complexity", ""), complexities, dice),
        tempo=find_tempo(words.get("tempo", words.get("bpm", ""))) or str(dice.pick(style.tempos)),
        scale=scale or find_scale(dice.pick(style.keys)),
        bank=kit or dice.pick(style.banks),
        mood=find_mood(words.get("mood", "")),
        instruments=tuple(find_instruments(words.get("instruments", words.get("instrument", "")))),
        drummed=bool(kit),
        keyed=bool(scale),
    )


def _known(word: str, known: tuple[str, ...], dice: Dice) -> str:
    """The word if it is one of the known ones, else one of them by chance."""
    plain = word.lower().replace("-", "").replace(" ", "")
    return plain if plain in known else dice.pick(known)


def _tokens(characters: int) -> int:
    return -(-characters // characters_per_token)
