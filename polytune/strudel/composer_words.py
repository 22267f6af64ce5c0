"""The composer's vocabulary: the meaning of words of a request in Strudel, and eight styles as tables.

Sound names are those that strudel.cc loads by default (its tidal-drum-machines, VCSL and General MIDI
listings, read 2026-11-21). With a bank, only drums that every listed kit has are played.

A style has few phrases and shares many of them with others. Variety comes from combining them, so that a
small student model sees each phrase often enough to learn it. A form lists the voices of a piece, lowest
first.
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
"""Part of the name of a drum machine -> its bank."""


@dataclass(frozen=True)
class Sound:
    """An instrument and the voice that it typically plays."""

    role: str
    """`bass`, `chords`, `pad`, `lead` or `perc`."""
    code: str
    """Its name in Strudel."""
    tone: str = ""
    """Methods that give it its typical sound."""


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
"""The name of an instrument in a request -> its sound."""

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
"""A mood -> the effect that expresses it."""

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
    # Longest first, and remove what was found: "808 bass" must not also match a shorter name in it.
    for name in sorted(INSTRUMENTS, key=len, reverse=True):
        if name.lower() in left:
            left = left.replace(name.lower(), " ")
            found.setdefault(INSTRUMENTS[name].role, INSTRUMENTS[name])
    return list(found.values())


def find_mood(text: str) -> str:
    """The effect of the first mood that the text mentions; '' for none."""
    words = re.findall(r"[a-z]+", text.lower())
    return next((MOODS[word] for word in words if word in MOODS), "")


# Strict, unlike the others: a scale that Strudel does not know only logs an error and plays nothing.
def find_scale(text: str) -> str:
    """The key in Strudel's notation, `F#:minor`, from `F# minor` or `F#:minor`; '' for an unknown key."""
    match = re.fullmatch(r"\s*([A-Ga-g])([#b]?)[\s:]+([a-z][a-z: ]*?)\s*", text)
    if match is None:
        return ""
    name = " ".join(re.split(r"[\s:]+", match[3]))
    return f"{match[1].upper()}{match[2]}:{name.replace(' ', ':')}" if name in scale_names else ""


def find_tempo(value: str | int | float) -> str:
    """Beats per minute as a string (`128`, `92.5`), from a number or text such as `128 bpm`; '' for none."""
    match = re.match(r"\s*(\d{2,3}(?:\.\d+)?)(?![\d.])", str(value))
    return match[1] if match else ""


Form = tuple[str, ...]
SoundAndTone = tuple[str, str]


@dataclass(frozen=True)
class Style:
    """The building blocks of a style. Drums are sample names, all others scale degrees in mini-notation."""

    tempos: tuple[int, ...]
    keys: tuple[str, ...]
    simple: tuple[Form, ...]
    medium: tuple[Form, ...]
    complex: tuple[Form, ...]
    banks: tuple[str, ...] = ("",)
    """Drum machines; '' is the default drums."""
    kicks: tuple[str, ...] = ("bd ~ [~ bd] ~",)
    backbeats: tuple[str, ...] = ("~ sd ~ sd",)
    hats: tuple[str, ...] = ("hh*8",)
    percussion: tuple[str, ...] = ("rim(3,8)", "rim(5,8)")
    bass: tuple[str, ...] = ("0 ~ 2 ~", "0 ~ ~ 4", "0 ~ [~ 0] ~")
    bass_sounds: tuple[SoundAndTone, ...] = (("triangle", ".lpf(400)"),)
    chords: tuple[str, ...] = ("<[0,2,4,6] [3,5,7,9]>", "<[0,2,4,6] [5,7,9,11]>", "<[1,3,5,7] [4,6,8,10]>")
    chord_rhythms: tuple[str, ...] = ("",)
    """The rhythm of the chords; '' holds each for a cycle."""
    chord_sounds: tuple[SoundAndTone, ...] = (("piano", ".room(0.2)"), ("gm_epiano1", ".room(0.2)"))
    lead: tuple[str, ...] = ("0 ~ 4 2", "4 2 ~ 0", "7 ~ 4 ~", "0 [2 4] ~ 7")
    lead_sounds: tuple[SoundAndTone, ...] = (("gm_vibraphone", ".room(0.4)"), ("gm_flute", ".delay(0.3)"))


STYLES = {
    "techno": Style(
        tempos=(125, 128, 130, 135, 140),
        keys=("A minor", "C minor", "D minor", "E minor", "F minor", "G minor"),
        simple=(("drums",), ("drums", "bass")),
        medium=(("drums", "bass", "chords"), ("drums", "bass", "lead"), ("drums", "bass")),
        complex=(("drums", "bass", "chords", "lead"), ("drums", "percussion", "bass", "lead")),
        banks=("RolandTR909", "RolandTR808"),
        kicks=("bd*4",),
        backbeats=("~ cp ~ cp", "~ rim ~ rim"),
        hats=("[~ hh]*4", "[~ oh]*4", "hh*16"),
        bass=("0*8", "[~ 0]*4", "0 0 3 0", "0 0 3 4"),
        bass_sounds=(("sawtooth", ".lpf(500)"), ("square", ".lpf(400)")),
        chords=("<[0,2,4] [3,5,7]>", "<[0,2,4] [5,7,9]>"),
        chord_rhythms=("~ x ~ x", "x(3,8)"),
        chord_sounds=(("supersaw", ".lpf(1200)"), ("sawtooth", ".lpf(900)")),
        lead_sounds=(("square", ".lpf(1500)"), ("sine", ".fm(3)")),
    ),
    "house": Style(
        tempos=(115, 120, 122, 125, 128),
        keys=("A minor", "C minor", "D dorian", "F major", "G minor", "C major"),
        simple=(("drums", "chords"), ("drums", "bass")),
        medium=(("drums", "bass", "chords"), ("drums", "chords", "lead")),
        complex=(("drums", "bass", "chords", "lead"), ("drums", "percussion", "bass", "chords")),
        banks=("RolandTR909", "RolandTR707"),
        kicks=("bd*4",),
        backbeats=("~ cp ~ cp", "~ sd ~ sd"),
        hats=("[~ oh]*4", "hh*8"),
        bass=("[~ 0]*4", "0 0 3 4", "0 ~ 2 ~"),
        bass_sounds=(("triangle", ".lpf(800)"), ("gm_slap_bass_1", "")),
        chord_rhythms=("~ x ~ x", "[~ x]*4"),
    ),
    "ambient": Style(
        tempos=(60, 65, 70, 75, 80),
        keys=("C major", "D dorian", "E minor", "F major", "A minor", "G major"),
        simple=(("pad",), ("pad", "lead")),
        medium=(("pad", "lead"), ("pad", "lead", "texture"), ("pad", "bass", "lead")),
        complex=(("pad", "bass", "lead"), ("pad", "bass", "lead", "texture")),
        bass=("0", "<0 3>", "<0 4>"),
        bass_sounds=(("sine", ".attack(1)"),),
        chord_sounds=(("gm_pad_warm", ".attack(1)"), ("gm_choir_aahs", ".attack(1)")),
        lead=("0 ~ 4 ~", "7 ~ 4 ~", "<4 7> ~ 2 ~"),
        lead_sounds=(("gm_kalimba", ".delay(0.5)"), ("gm_music_box", ".room(0.8)")),
    ),
    "jazz": Style(
        tempos=(100, 110, 120, 140, 160),
        keys=("D dorian", "F major", "C minor", "G minor", "C major", "Bb major"),
        simple=(("drums", "bass"), ("bass", "chords")),
        medium=(("drums", "bass", "chords"), ("drums", "bass", "lead")),
        complex=(("drums", "bass", "chords", "lead"),),
        kicks=("bd ~ ~ ~", "bd ~ bd ~"),
        backbeats=("~ hh ~ hh", "~ rim ~ rim"),
        hats=("rd [rd ~ rd]", "rd*4"),
        bass=("0 2 4 5", "0 4 2 1", "0 1 2 4"),
        bass_sounds=(("gm_acoustic_bass", ""),),
        chords=("<[1,3,5,7] [4,6,8,10] [0,2,4,6]>", "<[1,3,5,7] [4,6,8,10]>"),
        chord_rhythms=("~ x ~ x", "x ~ [~ x] ~"),
        lead=("0 [2 4] ~ 7", "4 [2 0] ~ 2", "7 [4 2] 0 ~"),
        lead_sounds=(("gm_tenor_sax", ".room(0.2)"), ("gm_vibraphone", ".room(0.2)")),
    ),
    "drums": Style(
        tempos=(90, 100, 120, 140, 160, 170),
        keys=("C minor",),
        simple=(("drums",), ("drums", "percussion")),
        medium=(("drums", "percussion"), ("drums", "percussion", "toms")),
        complex=(
            ("drums", "percussion", "toms"),
            ("drums", "percussion", "toms", "accents"),
            ("drums", "percussion", "percussion", "toms", "accents"),
        ),
        banks=("RolandTR909", "RolandTR808", "LinnDrum", "AkaiMPC60"),
        kicks=("bd*4", "bd(3,8)", "bd ~ [~ bd] ~"),
        backbeats=("~ sd ~ sd", "~ cp ~ cp"),
        hats=("hh*8", "hh*16", "[~ oh]*4"),
        percussion=("rim(3,8)", "conga(5,8)", "cowbell(3,8)", "clave(5,8)"),
    ),
    "experimental": Style(
        tempos=(80, 90, 100, 110, 120),
        keys=("E minor", "D dorian", "C minor", "F# minor", "A minor", "G major"),
        simple=(("lead",), ("drums", "lead")),
        medium=(("drums", "bass", "lead"), ("percussion", "lead"), ("drums", "pad", "lead")),
        complex=(("drums", "bass", "pad", "lead"), ("percussion", "bass", "lead", "texture")),
        kicks=("bd(3,8)", "bd(5,16)"),
        backbeats=("~ rim ~ rim", "cp(2,7)"),
        hats=("hh(5,8)", "hh(7,16)"),
        percussion=("rim(3,7)", "rim(5,8)"),
        bass=("0(3,8)", "0(5,16)", "<0 3>(3,8)"),
        bass_sounds=(("square", ".lpf(400)"), ("sine", ".fm(3)")),
        chord_sounds=(("gm_pad_warm", ".attack(1)"), ("gm_choir_aahs", ".attack(1)")),
        lead=("{0 2 4 7 9}%8", "{0 4 7}%4", "0(5,8)", "0? 2 4? 7"),
        lead_sounds=(("gm_marimba", ".pan(rand)"), ("gm_koto", ".delay(0.5)")),
    ),
    "lofi": Style(
        tempos=(65, 70, 75, 80, 85),
        keys=("A minor", "C major", "D dorian", "F major", "E minor", "Bb major"),
        simple=(("drums", "chords"),),
        medium=(("drums", "bass", "chords"), ("drums", "chords", "lead"), ("drums", "chords", "texture")),
        complex=(("drums", "bass", "chords", "lead"), ("drums", "bass", "chords", "lead", "texture")),
        banks=("AkaiMPC60", "LinnDrum"),
        kicks=("bd ~ [~ bd] ~", "bd ~ bd ~"),
        backbeats=("~ sd ~ sd", "~ rim ~ rim"),
        hats=("hh*8", "[~ hh]*4"),
        bass_sounds=(("gm_acoustic_bass", ""), ("triangle", ".lpf(400)")),
        chord_sounds=(("gm_epiano1", ".lpf(1200)"), ("piano", ".lpf(1200)")),
        lead_sounds=(("gm_music_box", ".room(0.4)"), ("gm_flute", ".delay(0.3)")),
    ),
    "hiphop": Style(
        tempos=(80, 85, 90, 95, 100),
        keys=("C minor", "A minor", "F minor", "D minor", "G minor", "E minor"),
        simple=(("drums", "bass"), ("drums", "chords")),
        medium=(("drums", "bass", "chords"), ("drums", "bass", "lead")),
        complex=(("drums", "bass", "chords", "lead"), ("drums", "percussion", "bass", "chords")),
        banks=("AkaiMPC60", "RolandTR808"),
        kicks=("bd ~ [~ bd] ~", "bd(3,8)"),
        backbeats=("~ sd ~ sd", "~ cp ~ cp"),
        hats=("hh*8", "hh*16"),
        bass_sounds=(("sine", ".decay(0.6)"), ("triangle", ".lpf(400)")),
        chord_rhythms=("", "x ~ [~ x] ~"),
    ),
}
"""Styles by their name in a request."""
