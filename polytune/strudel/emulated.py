"""Strudel patterns as answers of emulated models: small, valid, and deterministic for a given seed.

stack(
  s("bd*4, ~ cp ~ cp, hh*8").bank("RolandTR909"),
  n("0 ~ 3 [5 7]").scale("C:minor").s("sawtooth").lpf(700)
).cpm(128/4)
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from polytune.emulator.domains.interface import DomainQuestion, EmulatedDomain

# The labels of style and complexity in Polychat's system prompt.
marked = re.compile(r"\b(STYLE|COMPLEXITY):\s*(\w+)")
word = re.compile(r"[a-z]+")


@dataclass(frozen=True)
class Palette:
    """The building blocks of a style."""

    drums: tuple[str, ...]
    bank: str
    """The drum machine; '' for the default drums."""
    scales: tuple[str, ...]
    synths: tuple[str, ...]
    tempos: tuple[int, int]
    """The usual range of tempos, in beats per minute."""


palettes = {
    "techno": Palette(
        ("bd*4, hh*8", "bd*4, ~ cp ~ cp, [~ hh]*4", "bd*4, hh*16, ~ ~ rim ~"),
        "RolandTR909",
        ("minor", "phrygian"),
        ("sawtooth", "square"),
        (124, 138),
    ),
    "house": Palette(
        ("bd*4, ~ cp ~ cp, [~ oh]*4", "bd*4, ~ sd ~ sd, hh*8", "bd*4, [~ hh]*4"),
        "RolandTR909",
        ("minor", "dorian"),
        ("sawtooth", "piano"),
        (118, 126),
    ),
    "ambient": Palette(
        ("<bd ~>, ~ ~ hh ~", "~ hh ~ <hh rim>", "<bd ~ ~ ~>"),
        "",
        ("lydian", "major"),
        ("sine", "triangle"),
        (60, 84),
    ),
    "jazz": Palette(
        ("rd [~ rd] rd [~ rd], ~ hh ~ hh", "rd*4, <bd ~> ~ ~ bd", "hh(3,8), ~ sd ~ <~ sd>"),
        "",
        ("dorian", "mixolydian"),
        ("piano", "triangle"),
        (90, 160),
    ),
    "drums": Palette(
        ("bd [~ bd] sd ~, hh*8", "bd(3,8), sd(2,8,4), hh*16", "bd ~ [sd cp] ~, hh(5,8)"),
        "RolandTR808",
        ("minor", "major"),
        ("sine", "square"),
        (90, 174),
    ),
    "experimental": Palette(
        ("bd(5,8), {hh hh rim}%8", "<bd sd> cp(3,8)", "bd? hh*5, ~ <rim cb>"),
        "",
        ("chromatic", "whole tone"),
        ("triangle", "sawtooth"),
        (70, 150),
    ),
}
plain = palettes["house"]
"""The palette for a request without a known style."""
roots = ("C", "D", "E", "F", "G", "A")
lines = ("0 ~ 3 [5 7]", "0 2 4 <5 6>", "<0 3 4 2>(3,8)", "[0 7] ~ [3 5] ~", "0 <2 4> 7 ~", "0(5,8) 3 5 2")
effects = (".room(0.5)", ".delay(0.25)", ".gain(0.7)", ".pan(sine.slow(4))", ".lpf(900)", ".hpf(200)")
evolutions = (
    ".every(4, x => x.rev())",
    ".sometimesBy(0.3, x => x.fast(2))",
    ".jux(rev)",
    ".off(1/8, x => x.gain(0.4))",
)
voices = {"simple": 1, "medium": 2, "complex": 4}
"""The number of melodic voices, in addition to the drums, by complexity."""


class StrudelDomain(EmulatedDomain):
    """Answers questions about Strudel with patterns."""

    def covers(self, text: str) -> bool:
        """Whether the text mentions Strudel."""
        return "strudel" in text.lower()

    def answer(self, seed: str, question: DomainQuestion) -> str:
        """A pattern in the style that the fields, the system prompt or the prompt name, in this order."""
        # Polychat's API passes style and tempo as fields; through Bedrock they are only in the prompts.
        if fields := question.fields:
            style, complexity = str(fields.get("style", "")), str(fields.get("complexity", ""))
            return write_pattern(seed, style, complexity, float(fields.get("tempo", 0)))
        stated = {kind: value.lower() for kind, value in marked.findall(question.system)}
        words = word.findall(question.prompt.lower())
        style = stated.get("STYLE") or next((w for w in words if w in palettes), "")
        complexity = stated.get("COMPLEXITY") or next((w for w in words if w in voices), "medium")
        return write_pattern(seed, style, complexity)


def write_pattern(seed: str, style: str = "", complexity: str = "medium", tempo: float = 0) -> str:
    """One Strudel expression. Equal arguments give equal code; another seed almost always gives other code.

    An unknown style is treated as house. `tempo` is in beats per minute; 0 chooses one that suits the style.
    """
    palette = palettes.get(style, plain)
    dice = _SeededChoice(seed)
    bank = f'.bank("{palette.bank}")' if palette.bank else ""
    written = [f's("{dice.pick(palette.drums)}"){bank}{dice.pick(effects)}']
    root, scale = dice.pick(roots), dice.pick(palette.scales).replace(" ", ":")
    for voice in range(voices.get(complexity, 2)):
        notes, synth = dice.pick(lines), dice.pick(palette.synths)
        changing = dice.pick(evolutions) if complexity == "complex" and voice % 2 else ""
        key = f"{root}{3 + dice.below(2)}:{scale}"
        written.append(f'n("{notes}").scale("{key}").s("{synth}"){dice.pick(effects)}{changing}')
    slow, fast = palette.tempos
    beats = f"{tempo:g}" if tempo else str(slow + dice.below(fast - slow + 1))
    body = ",\n  ".join(written)
    return f"stack(\n  {body}\n).cpm({beats}/4)"


class _SeededChoice:
    """Choices that depend on a seed only, the same on every machine."""

    # One 512-bit number, consumed digit by digit: enough for the few dozen choices of a pattern.

    def __init__(self, seed: str) -> None:
        self._number = int.from_bytes(hashlib.sha512(seed.encode()).digest(), "big")

    def below(self, count: int) -> int:
        self._number, left = divmod(self._number, count)
        return left

    def pick(self, options: tuple[str, ...]) -> str:
        return options[self.below(len(options))]
