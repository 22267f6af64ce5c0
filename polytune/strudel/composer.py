"""A teacher that composes Strudel pieces offline from a grammar, without a language model.

It is meant for rehearsals, tests and the quickstart. The answer depends only on the request and the draw. The
composer follows the variables `style`, `complexity`, `tempo`, `key`, `kit`, `instruments` and `mood` (also
as `bpm`, `scale`, `instrument`), and chooses a value if one is missing or unknown. It does not read the
prompt.

A piece is one expression, with one voice per line and the tempo last:

    stack(
      s("bd*4, ~ cp ~ cp, [~ hh]*4").bank("RolandTR909"),
      n("0 [0 3] ~ 4").scale("C:minor").trans(-12).s("sawtooth").lpf(500)
    ).cpm(128/4)
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, TypeVar

import msgspec

from polytune.fingerprint import fingerprint
from polytune.settings import Settings
from polytune.strudel.composer_words import (
    STYLES,
    Form,
    Sound,
    Style,
    find_instruments,
    find_kit,
    find_mood,
    find_scale,
    find_tempo,
)
from polytune.teachers.interface import Answer, Request, Teacher, TeacherSpec, TokenUsage

characters_per_token = 4
complexities = ("simple", "medium", "complex")


class ComposerSpec(TeacherSpec):
    """Composes answers offline from a grammar, without a language model and at no cost."""

    dialect: Literal["strudel"] = "strudel"
    """The language it composes in."""
    grammar: Literal[1] = 1
    """The version of the grammar. The same request gets the same answer as long as it does not change."""


class Composer(Teacher):
    """Answers immediately, from a grammar."""

    Spec: ClassVar[type[TeacherSpec]] = ComposerSpec
    label: ClassVar[str] = "composed offline from a grammar, no language model"

    def __init__(self, spec: TeacherSpec, files: Mapping[str, Path], settings: Settings) -> None:
        super().__init__(spec, files, settings)
        # The grammar's version is in the spec, so a new grammar also gets new dice.
        self._seed = fingerprint("polytune.composer.v1", spec.model_dump(mode="json"))

    async def answer(self, request: Request, draw: int) -> Answer:
        """A piece that fits the request's variables. Each draw gives another one."""
        question = {"seed": self._seed, "request": msgspec.to_builtins(request), "draw": draw}
        dice = Dice(fingerprint("polytune.composer.v1", question))
        text = compose(_brief(request.variables, dice), dice)
        asked = len(request.system) + len(request.prompt)
        return Answer(
            text=text, usage=TokenUsage(input_tokens=_tokens(asked), output_tokens=_tokens(len(text)))
        )


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
    """The word if it is known, otherwise a random known one."""
    plain = word.lower().replace("-", "").replace(" ", "")
    return plain if plain in known else dice.pick(known)


def _tokens(characters: int) -> int:
    return -(-characters // characters_per_token)


melodic = ("bass", "pad", "chords", "lead")
evolutions = {
    "drums": (".every(4, x => x.fast(2))", ".sometimesBy(0.2, x => x.speed(2))"),
    "percussion": (".sometimesBy(0.2, x => x.fast(2))", '.mask("<1 1 1 0>")'),
    "bass": (".lpf(sine.range(200, 1200).slow(8))", ".every(4, x => x.rev())"),
    "pad": (".hpf(sine.range(100, 800).slow(8))", ".jux(rev)"),
    "chords": (".jux(rev)", '.mask("<1 1 1 0>")'),
    "lead": (".off(1/8, x => x.trans(12))", ".every(4, x => x.rev())"),
}
"""Changes over the cycles of a complex piece, by voice."""


@dataclass(frozen=True)
class Brief:
    """The requirements of a piece."""

    style: Style
    complexity: str
    tempo: str
    scale: str
    bank: str
    """The drum machine; '' for the default drums."""
    mood: str
    """The effect for the mood; '' for none."""
    instruments: tuple[Sound, ...]
    drummed: bool
    """Whether the request names a drum machine, so the piece must have drums."""
    keyed: bool
    """Whether the request names a key, so the piece must have a melodic voice."""


def compose(brief: Brief, dice: Dice) -> str:
    """The code of a piece that fits the brief."""
    form = _form(brief, dice)
    changing = _changing(form, brief, dice)
    # The mood's effect goes on the last melodic voice only: on all of them it would blur the piece.
    tinted = max((place for place, role in enumerate(form) if role in melodic), default=-1)
    lines = [
        _voice(role, brief, dice, tint=brief.mood if place == tinted else "")
        + (dice.pick(evolutions[role]) if place in changing else "")
        for place, role in enumerate(form)
    ]
    body = ",\n  ".join(lines)
    return f"stack(\n  {body}\n).cpm({brief.tempo}/4)"


def _form(brief: Brief, dice: Dice) -> Form:
    """The voices of the piece: the style's form that fits the brief best, adapted if necessary."""
    style = brief.style
    forms = {"simple": style.simple, "medium": style.medium, "complex": style.complex}[brief.complexity]
    wanted = {"percussion" if sound.role == "perc" else sound.role for sound in brief.instruments}
    if brief.drummed:
        wanted.add("drums")
    fits = [form for form in forms if not brief.keyed or any(role in melodic for role in form)] or list(forms)
    best = max(len(wanted & set(form)) for form in fits)
    form = list(dice.pick([form for form in fits if len(wanted & set(form)) == best]))
    # Sorted, because the order of a set differs between processes and the answer must not.
    for role in sorted(wanted - set(form)):
        _make_room(form, role, wanted)
    return tuple(form)


def _make_room(form: list[str], role: str, wanted: set[str]) -> None:
    """`role` is in the form. It replaces the last voice that was not requested, if there is one."""
    spare = [place for place, voice in enumerate(form) if voice not in wanted and voice != "drums"]
    if spare and len(form) > 1:
        form[spare[-1]] = role
    else:
        form.append(role)


def _changing(form: Form, brief: Brief, dice: Dice) -> list[int]:
    """The indexes of the voices that evolve: two in a complex piece, none in others."""
    able = [place for place, role in enumerate(form) if role in evolutions]
    return dice.some(able, 2) if brief.complexity == "complex" else []


def _voice(role: str, brief: Brief, dice: Dice, *, tint: str) -> str:
    """The code of one voice. `tint` replaces the default effects of its sound."""
    makers: dict[str, Callable[[Brief, Dice], str]] = {
        "drums": _drums,
        "percussion": _percussion,
        "toms": _toms,
        "accents": _accents,
        "texture": _texture,
    }
    if role in makers:
        return makers[role](brief, dice)
    sound = _sound(role, brief, dice)
    style = brief.style
    notes = dice.pick({"bass": style.bass, "lead": style.lead}.get(role, style.chords))
    rhythm = dice.pick(style.chord_rhythms) if role == "chords" else ""
    struct = f'.struct("{rhythm}")' if rhythm else ""
    low = ".trans(-12)" if role == "bass" else ""
    return f'n("{notes}"){struct}.scale("{brief.scale}"){low}.s("{sound.code}"){tint or sound.tone}'


def _sound(role: str, brief: Brief, dice: Dice) -> Sound:
    asked = next((sound for sound in brief.instruments if sound.role == role), None)
    if asked:
        return asked
    style = brief.style
    options = {"bass": style.bass_sounds, "lead": style.lead_sounds}.get(role, style.chord_sounds)
    code, tone = dice.pick(options)
    return Sound(role, code, tone)


def _drums(brief: Brief, dice: Dice) -> str:
    style = brief.style
    layers = [dice.pick(style.kicks), dice.pick(style.backbeats), dice.pick(style.hats)]
    # The kick always stays; a simple pattern drops the backbeat or the hats.
    if brief.complexity == "simple":
        layers.pop(1 + dice.below(2))
    return _hits(", ".join(layers), brief.bank)


def _percussion(brief: Brief, dice: Dice) -> str:
    asked = next((sound for sound in brief.instruments if sound.role == "perc"), None)
    if asked:
        beats = dice.pick(("(3,8)", "(5,8)", "*4"))
        return f"{_hits(asked.code + beats, '')}.gain(0.6)"
    return f"{_hits(dice.pick(brief.style.percussion), '')}.gain(0.6)"


def _toms(brief: Brief, dice: Dice) -> str:
    fill = dice.pick(("~ ~ lt [mt ht]", "lt(3,8)", "mt ~ lt ~"))
    return _hits(fill, brief.bank)


def _accents(brief: Brief, dice: Dice) -> str:
    return f"{_hits(dice.pick(('<cr ~ ~ ~>', 'oh(2,8)', '<cr ~>', '[~ oh]*2')), brief.bank)}.gain(0.5)"


def _texture(brief: Brief, dice: Dice) -> str:
    return dice.pick(
        (
            's("crackle*4").density(0.1).gain(0.3)',
            's("pink").lpf(sine.range(200, 800).slow(8)).gain(0.1)',
        )
    )


def _hits(pattern: str, bank: str) -> str:
    return f's("{pattern}").bank("{bank}")' if bank else f's("{pattern}")'


T = TypeVar("T")


class Dice:
    """An endless sequence of pseudo-random choices. Equal seeds give equal choices."""

    # Not `random.Random`: Python guarantees only its raw numbers across versions, not what `choice` and
    # `sample` make of them, and an answer must stay the same.

    def __init__(self, seed: str) -> None:
        self._numbers = _numbers(seed.encode())

    def below(self, sides: int) -> int:
        """A number from 0 to sides - 1."""
        return next(self._numbers) % sides

    def pick(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[self.below(len(options))]

    def some(self, options: Sequence[T], amount: int) -> list[T]:
        """Up to `amount` different options, in their original order."""
        left = list(range(len(options)))
        while len(left) > amount:
            left.pop(self.below(len(left)))
        return [options[index] for index in left]


def _numbers(seed: bytes) -> Iterator[int]:
    """An endless sequence of 32-bit numbers: the SHA-256 digests of the seed and a counter."""
    block = 0
    while True:
        digest = hashlib.sha256(seed + block.to_bytes(4, "big")).digest()
        for start in range(0, len(digest), 4):
            yield int.from_bytes(digest[start : start + 4], "big")
        block += 1
