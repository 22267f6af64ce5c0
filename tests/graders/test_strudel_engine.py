"""Strudel's real engine as a judge: every failure mode, and that none of them reaches the next program."""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path

import pytest

from polytune.errors import StepFailed, Unavailable
from polytune.files import digest_of
from polytune.graders.interface import Verdict
from polytune.settings import Settings
from polytune.strudel.bundle import bundle_path, description_path
from polytune.strudel.grader import StrudelGrader, StrudelSpec
from tests.graders.programs import BAD, CANARY, GOOD, judged
from tests.messages import matching, message

written = Path(tempfile.gettempdir()) / f"polytune-escape-{os.getpid()}"
too_long = message("graders/takes-longer-than-s", seconds="0.7")
HOSTILE = {
    "endless loop": ("while (true) {} " + CANARY, too_long),
    "too many events": ('s("bd*1000000")', too_long),
    "too fast": ('s("bd").fast(1e7)', too_long),
    "endless promise": ("Promise.resolve().then(() => { while (true); }); " + CANARY, too_long),
    "memory bomb": (
        "let a = []; while (true) a.push(new Array(1e6).fill(1.5)); " + CANARY,
        f"more than 128 MB|{too_long}",
    ),
    "buffer bomb": ("new Uint8Array(6e9).fill(1); " + CANARY, "(?i)allocation|array length|" + too_long),
    "deep recursion": ("const f = () => f() + 1; f(); " + CANARY, "(?i)stack|recursion"),
    "wrong return": ("42", message("graders/gives-number")),
    "logged scale": ('n("0 2").scale("C:nonsense").s("piano")', r"\[tonal\] error"),
    "logged chord": ('chord("Xyz").voicing().s("piano")', "unknown chord"),
    "not finite": ('s("bd").gain(NaN)', message("graders/gain-is-not-finite-number")),
    "a global": ("globalThis.s = 1; " + CANARY, "changes globalThis.s"),
    "a built-in": ("Array.prototype.map = () => []; " + CANARY, "changes Array.prototype.map"),
    "frozen": ("Object.freeze(Object.prototype); " + CANARY, "changes Object.prototype"),
    "the clock": ("Date.now = () => 0; " + CANARY, "changes Date.now"),
    "fs": (
        f"import('node:fs').then(fs => fs.writeFileSync('{written}', 'x')); {CANARY}",
        message("graders/import-is-not-part"),
    ),
    "fs, hidden": ("new Function('return import(`node:fs`)')(); process.exit(); " + CANARY, "mini|process"),
    "host": ("globalThis.process.exit(1)", "undefined"),
    "never done": ("await new Promise(() => {}); " + CANARY, "never comes"),
    "throws": ("throw 'x'; " + CANARY, "x"),
}


@pytest.fixture(scope="module")
def verdicts(engine_cache: Path) -> dict[str, tuple[Verdict, Verdict]]:
    """What one grader says of each bad or hostile program, and of a good one right after it."""
    spec = StrudelSpec(kind="strudel", timeout_seconds=0.7, memory_mb=128)
    programs = {**BAD, **HOSTILE}
    answers = [answer for program, _ in programs.values() for answer in (program, CANARY)]
    found = iter(judged(StrudelGrader, spec, Settings(cache_folder=engine_cache), answers))
    return {name: (next(found), next(found)) for name in programs}


@pytest.mark.parametrize("name", [*BAD, *HOSTILE])
def test_refuses_and_goes_on(name: str, verdicts: dict[str, tuple[Verdict, Verdict]]) -> None:
    """A wrong or hostile program fails with its cause, and the next program is judged as if it never was."""
    verdict, after = verdicts[name]

    assert not verdict.passed
    assert re.search({**BAD, **HOSTILE}[name][1], verdict.reason)
    assert after == Verdict(passed=True, score=1.0, details={"stage": "done", "onsets": 8, "sounds": 2})
    assert not written.exists()


def test_accepts_valid_programs(engine_settings: Settings) -> None:
    """Every valid program passes, with its onsets counted."""
    found = judged(StrudelGrader, StrudelSpec(kind="strudel"), engine_settings, list(GOOD.values()))

    assert {name: verdict.reason for name, verdict in zip(GOOD, found, strict=True)} == dict.fromkeys(
        GOOD, ""
    )
    assert all(verdict.details["onsets"] for verdict in found)


def test_counts_onsets_over_the_cycles(engine_settings: Settings) -> None:
    """Onsets are those of the spec's cycles, chance included: the same program gives the same count."""
    answers = ['s("bd*3")', 's("hh*16?")', 's("hh*16?")']

    fixed, first, again = judged(
        StrudelGrader, StrudelSpec(kind="strudel", cycles=2), engine_settings, answers
    )

    assert fixed.details["onsets"] == 6
    assert first == again


def test_spec_names_more_sounds(engine_settings: Settings) -> None:
    """A sound that the spec names is as good as Strudel's own."""
    spec = StrudelSpec(kind="strudel", sounds=("honk",))

    assert [v.passed for v in judged(StrudelGrader, spec, engine_settings, ['s("honk")', 's("zzz")'])] == [
        True,
        False,
    ]


def test_fences_fail_unless_the_spec_takes_them_off(engine_settings: Settings) -> None:
    """A Markdown fence is a failure; with `unfence` what stands inside it is judged."""
    fenced = f"```js\n{CANARY}\n```"
    strict, lenient = StrudelSpec(kind="strudel"), StrudelSpec(kind="strudel", unfence=True)

    assert "fence" in judged(StrudelGrader, strict, engine_settings, [fenced])[0].reason
    assert judged(StrudelGrader, lenient, engine_settings, [fenced])[0].passed


def test_identity_says_who_judges(engine_settings: Settings, settings: Settings, tmp_path: Path) -> None:
    """With a bundle the engine and its digest, without one the checker; both watch the bundle's place."""
    spec = StrudelSpec(kind="strudel")

    engine = StrudelGrader.identity(spec, tmp_path, engine_settings)
    checker = StrudelGrader.identity(spec, tmp_path, settings)

    assert engine.name == "strudel engine 1.2.6"
    assert checker.name == message("graders/python-checker-no-strudel-engine")
    assert engine.facts != checker.facts
    cache = settings.cache_folder
    assert checker.watched == (bundle_path(cache), description_path(cache))


def test_insisting_on_an_engine_that_is_not_built(settings: Settings, tmp_path: Path) -> None:
    """`engine: engine` without a bundle names the command that builds it."""
    with pytest.raises(Unavailable, match=matching("graders/polytune-grader-build-strudel")):
        StrudelGrader.identity(StrudelSpec(kind="strudel", engine="engine"), tmp_path, settings)


def test_a_bundle_that_is_no_engine(engine_cache: Path, tmp_path: Path) -> None:
    """A host that cannot judge its canary is a failed step with its last words, not failing answers."""
    described = json.loads(description_path(engine_cache).read_text())
    path = bundle_path(tmp_path)
    path.parent.mkdir()
    path.write_text("var strudelPackages = {};")
    described["sha256"] = digest_of(path)
    description_path(tmp_path).write_text(json.dumps(described))

    with pytest.raises(
        StepFailed, match="(?s)strudel engine: .*" + matching("graders/ended-with-status-times-in-row")
    ):
        judged(StrudelGrader, StrudelSpec(kind="strudel"), Settings(cache_folder=tmp_path), [CANARY])
