"""Strudel programs with what must be said of them, and the small helpers that judge them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from polytune.graders.interface import Case, Grader, GraderSpec, Verdict
from polytune.settings import Settings
from tests.messages import message

CANARY = 's("bd sd")'

GOOD = {
    "techno": 's("bd*4, [~ hh]*4, ~ cp").bank("RolandTR909").gain(.9)',
    "house": """stack(
  s("bd*4, [~ cp]*2, hh*8").bank("RolandTR707"),
  note("<c2 g1 a1 e1>").s("sawtooth").lpf(sine.range(400, 1800).slow(4)).resonance(12)
)""",
    "ambient": 'note("[c2,g2,eb3]").s("gm_pad_warm").attack(2).release(4).room(.9).size(8).slow(4)',
    "jazz": 'chord("<Cm7 F7 Bb^7 Eb^7>").voicing().s("gm_epiano1").swingBy(1/3, 4).room(.4)',
    "drums": 's("bd(3,8), hh*16?, ~ sd, lt(<2 3>,8,2)").every(4, x => x.fast(2)).pan(rand).shape(.2)',
    "experimental": 's("{bd sd rim, cp hh oh perc tb}%4").degradeBy(.2).iter(4).jux(rev).off(1/16, fast(2))',
    "lofi": 'n("<0 2 4 6>/2").scale("C4:minor:pentatonic").s("triangle").delay(.5).crush(6).hpf(200)',
    "hiphop": 's("bd ~ [~ bd] ~, ~ sd ~ sd, hh*8").bank("AkaiLinn").swingBy(1/6, 4).late("[0 .01]*4")',
    "labels": 'setcpm(130/4)\n$: s("bd*4").bank("tr909")\n$: note("c2 eb2").s(\'sawtooth\').lpenv(4)',
    "variables": "const kick = s('bd').fast(2)\nstack(kick, s(\"hh*4\")) // both",
    "function": 'const riff = (x) => note(x).s("sine")\nriff("c e g")',
    "template": "note(`<\n[e5 [b4 c5] d5]\n[a4 a4@2 c5!2]\n>`).s('square')",
    "feet": 's("bd:2*4 . hh*3 . sd")',
    "choice": 's("bd | sd | cp")',
    "notes": 'note("c4@3 d4 e4!2 ~ - _ g4?0.3 b4*<2 3> 60 62.5 c#5 fs4 Bb3").fm(2).fmh(1.5).fmattack(.1)',
    "picked": 's("<a b>".pick({a: "bd*2", b: "cp"}))',
    "spread": 'stack(...[0, 1, 2].map(i => s("hh*4").late(i / 16)))',
    "drawn": 's("bd hh").color("red")._pianoroll()',
    "full name": 's("RolandTR808_bd casio:1 wt_digital")',
    "own samples": "samples({honk: 'honk.wav'}, 'github:a/b')\ns(\"honk\")",
    "registered": "register('wob', (amount, pat) => pat.lpf(amount))\ns(\"bd\").wob(300)",
    "prototype": 'Pattern.prototype.s = function () { return this }; sound("bd")',
    "mixed": 'n("0 1").add.mix(n("10 20")).s("piano")',
}
"""Valid programs, for the engine and the checker alike."""

BAD = {
    "empty": ("", "no code"),
    "comment only": ("// s('bd')", "no code"),
    "open string": ('s("bd', "(?i)unterminated|not closed"),
    "open bracket": ('s("bd"', "(?i)unexpected|not closed"),
    "prose": ('Here is your pattern: s("bd")', "(?i)unexpected"),
    "missing comma": ('stack(s("bd") s("hh"))', "(?i)unexpected"),
    "two dots": ('s("bd")..gain(1)', "(?i)unexpected"),
    "open group": ('s("bd [hh sd")', r"mini"),
    "open angle": ('s("bd <hh sd")', r"mini"),
    "bare operator": ('s("bd*")', r"mini"),
    "empty layer": ('s("bd, , sd")', r"mini"),
    "unknown function": ('drums("bd")', "drums"),
    "unknown method": ('s("bd").wobble(3)', "wobble"),
    "play": ('s("bd").play()', "play"),
    "unquoted": ("s(bd)", "bd"),
    "ends in a declaration": ('let x = s("bd")', "pattern"),
    "unknown sound": ('s("zzz")', 'unknown sound "zzz"'),
    "unknown bank": ('s("bd").bank("NoSuchBox")', 'unknown bank "NoSuchBox"'),
    "bad note": ('note("zz")', message("graders/zz-is-not-note")),
    "no such note": ('note("c3 h3")', message("graders/is-not-note", name="h3")),
    "bad number": ('n("0 x").scale("C:major").s("piano")', '"x"'),
    "no sound": ('"c e g"', "s\\(...\\) or note\\(...\\) is missing"),
    "rests only": ('s("~ ~")', "silent|rests"),
    "import": ("import('node:fs'); s(\"bd\")", "(?i)import"),
    "haskell": ('d1 $ sound "bd*4"', "(?i)unexpected"),
    "json": ('{"code": "s(bd)"}', "(?i)unexpected|mini"),
}
"""Programs that the engine and the checker both refuse, with a pattern that their reasons match."""


def judged(
    grader: type[Grader], spec: GraderSpec, settings: Settings, answers: Sequence[str]
) -> list[Verdict]:
    """The verdicts of one grader on some answers, in order; the grader is closed after."""

    async def work() -> list[Verdict]:
        async with grader(spec, Path.cwd(), settings) as judge:
            return [await judge.judge(Case(prompt="", answer=answer)) for answer in answers]

    return asyncio.run(work())
