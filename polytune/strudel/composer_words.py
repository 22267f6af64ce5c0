"""What words in a request mean in Strudel: drum kits, instruments, moods, keys.

Sound names are those that strudel.cc loads by itself (its tidal-drum-machines, VCSL and General MIDI
listings, read 2026-11-21); only drums that every listed kit has are played with a bank.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

KITS = {
    "909": "RolandTR909",
    "808": "RolandTR808",
    "707": "RolandTR707",
    "linn": "LinnDrum",
    "mpc": "AkaiMPC60",
    "sp-12": "EmuSP12",
}
"""A part of what a drum machine is called -> its bank."""


@dataclass(frozen=True)
class Sound:
    """An instrument and the voice of a piece that it naturally plays."""

    role: str
    """`bass`, `chords`, `pad`, `lead` or `perc`."""
    code: str
    """Its name in Strudel."""
    tone: str = ""
    """Methods that make it sound like itself."""


INSTRUMENTS = {
    "acid bass": Sound("bass", "sawtooth", ".lpf(700).lpq(12)"),
    "sub bass": Sound("bass", "sine"),
    "808 bass": Sound("bass", "sine", ".decay(0.6)"),
    "upright bass": Sound("bass", "gm_acoustic_bass"),
    "slap bass": Sound("bass", "gm_slap_bass_1"),
    "fretless bass": Sound("bass", "gm_fretless_bass"),
    "saw stab": Sound("chords", "supersaw", ".lpf(1500)"),
    "square lead": Sound("lead", "square", ".lpf(1800)"),
    "FM bell": Sound("lead", "sine", ".fm(3)"),
    "Rhodes": Sound("chords", "gm_epiano1"),
    "piano": Sound("chords", "piano"),
    "organ": Sound("chords", "gm_drawbar_organ"),
    "strings": Sound("chords", "gm_string_ensemble_1"),
    "horns": Sound("chords", "gm_brass_section"),
    "jazz guitar": Sound("chords", "gm_electric_guitar_jazz"),
    "nylon guitar": Sound("chords", "gm_acoustic_guitar_nylon"),
    "vibraphone": Sound("lead", "gm_vibraphone"),
    "muted trumpet": Sound("lead", "gm_muted_trumpet"),
    "tenor sax": Sound("lead", "gm_tenor_sax"),
    "flute": Sound("lead", "gm_flute"),
    "music box": Sound("lead", "gm_music_box"),
    "kalimba": Sound("lead", "gm_kalimba"),
    "marimba": Sound("lead", "gm_marimba"),
    "harp": Sound("lead", "gm_orchestral_harp"),
    "koto": Sound("lead", "gm_koto"),
    "glockenspiel": Sound("lead", "gm_glockenspiel"),
    "tubular bells": Sound("lead", "gm_tubular_bells"),
    "warm pad": Sound("pad", "gm_pad_warm", ".attack(1)"),
    "bowed pad": Sound("pad", "gm_pad_bowed", ".attack(1)"),
    "choir": Sound("pad", "gm_choir_aahs", ".attack(1)"),
    "congas": Sound("perc", "conga"),
    "bongos": Sound("perc", "bongo"),
    "shaker": Sound("perc", "shaker_small"),
    "cowbell": Sound("perc", "cowbell"),
    "claves": Sound("perc", "clave"),
    "tambourine": Sound("perc", "tambourine"),
}
"""What an instrument is called in a request -> how it is played."""

MOODS = {
    "dark": ".lpf(500)",
    "deep": ".lpf(400)",
    "warm": ".lpf(900)",
    "mellow": ".lpf(1100)",
    "bright": ".hpf(400)",
    "cold": ".hpf(600)",
    "gritty": ".shape(0.4)",
    "dusty": ".crush(8)",
    "hypnotic": ".delay(0.5)",
    "restless": ".degradeBy(0.2)",
    "dreamy": ".room(0.8)",
    "spacious": ".room(0.9)",
    "tense": ".phaser(4)",
    "playful": ".jux(rev)",
    "calm": ".attack(0.2)",
    "uneasy": ".vib(5)",
}
"""A mood -> the effect that stands for it."""

scale_names = (
    "major",
    "minor",
    "dorian",
    "phrygian",
    "lydian",
    "mixolydian",
    "minor pentatonic",
    "major pentatonic",
    "harmonic minor",
)


def find_kit(text: str) -> str:
    """The bank of the first drum machine that the text mentions; '' for none."""
    return next((bank for word, bank in KITS.items() if word in text.lower()), "")


def find_instruments(text: str) -> list[Sound]:
    """The instruments that the text mentions, at most one per role; a longer name wins over its parts."""
    left, found = text.lower(), dict[str, Sound]()
    for name in sorted(INSTRUMENTS, key=len, reverse=True):
        if name.lower() in left:
            left = left.replace(name.lower(), " ")
            found.setdefault(INSTRUMENTS[name].role, INSTRUMENTS[name])
    return list(found.values())


def find_mood(text: str) -> str:
    """The effect of the first mood that the text mentions; '' for none."""
    words = re.findall(r"[a-z]+", text.lower())
    return next((MOODS[word] for word in words if word in MOODS), "")


def find_scale(text: str) -> str:
    """`F# minor` or `F#:minor` as Strudel writes it, `F#:minor`; '' when it is no known key."""
    match = re.fullmatch(r"\s*([A-Ga-g])([#b]?)[\s:]+([a-z][a-z: ]*?)\s*", text)
    if match is None:
        return ""
    name = " ".join(re.split(r"[\s:]+", match[3]))
    return f"{match[1].upper()}{match[2]}:{name.replace(' ', ':')}" if name in scale_names else ""


def find_tempo(value: str | int | float) -> str:
    """Beats per minute as written (`128`, `92.5`), from a number or a text such as `128 bpm`; '' for none."""
    match = re.match(r"\s*(\d{2,3}(?:\.\d+)?)(?![\d.])", str(value))
    return match[1] if match else ""
