"""What a command grader's key covers, and what happens when its program reads something else."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from polytune.errors import StepFailed
from polytune.files import digest_of
from polytune.graders.command import CommandGrader, CommandSpec
from polytune.graders.interface import Case, Identity
from polytune.settings import Settings
from tests.messages import matching, message

PASSES = """
import json, os, sys
for line in sys.stdin:
    {body}
    print(json.dumps({{"id": json.loads(line)["id"], "passed": True}}), flush=True)
"""


@dataclass(frozen=True)
class Place:
    """A workspace with a folder of experiments, and what one grader of it is made of."""

    root: Path
    settings: Settings

    @property
    def folder(self) -> Path:
        """Where the experiment file is."""
        return self.root / "experiments"

    def write(self, name: str, text: str) -> Path:
        """Write a file of the experiments' folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def script(self, body: str, before: str = "") -> None:
        """Write `judge.py`, which runs the body for each case and passes it."""
        self.write("judge.py", before + PASSES.format(body=body))

    def spec(self, *command: str, **fields: object) -> CommandSpec:
        """Return a spec of the kind `command`."""
        words = command or ("python", "judge.py")
        return CommandSpec.model_validate({"kind": "command", "command": words, **fields})

    def identity(self, spec: CommandSpec) -> Identity:
        """Return who judges."""
        return CommandGrader.identity(spec, self.folder, self.settings)

    def judged(self, spec: CommandSpec, cases: int = 1) -> tuple[str, ...]:
        """Judge some answers and return the warnings."""

        async def work() -> tuple[str, ...]:
            async with CommandGrader(spec, self.folder, self.settings) as grader:
                for _ in range(cases):
                    assert (await grader.judge(Case(prompt="p", answer="a"))).passed
            return grader.warnings()

        return asyncio.run(work())


@pytest.fixture
def place(tmp_path: Path, settings: Settings) -> Place:
    """A workspace with one experiment folder and a judge that reads nothing."""
    found = Place(tmp_path, replace(settings, workspace=tmp_path))
    (tmp_path / "experiments").mkdir()
    found.script("pass")
    return found


@dataclass(frozen=True)
class WayIn:
    """One way in which a file takes part in a verdict."""

    name: str
    file: str
    """The file, in the experiments' folder."""
    command: Callable[[Place], Sequence[str]] = lambda place: ("python", "judge.py")
    before: str = ""
    """What stands at the top of the judge."""
    others: tuple[str, ...] = ()
    """Further files that are there."""
    files: tuple[str, ...] = ()


WAYS = [
    WayIn("plain word", "rubric.md", lambda place: ("python", "judge.py", "rubric.md")),
    WayIn("script", "other.py", lambda place: ("python", "other.py")),
    WayIn("after =", "rubric.md", lambda place: ("python", "judge.py", "--rubric=rubric.md")),
    WayIn("after @", "rubric.md", lambda place: ("python", "judge.py", "@rubric.md")),
    WayIn("after = without dashes", "rubric.md", lambda place: ("python", "judge.py", "rubric=rubric.md")),
    WayIn("absolute", "rubric.md", lambda place: ("python", "judge.py", str(place.folder / "rubric.md"))),
    WayIn("absolute after =", "r.md", lambda place: ("python", "judge.py", f"--r={place.folder / 'r.md'}")),
    WayIn("above the folder", "../rubric.md", lambda place: ("python", "judge.py", "--r=../rubric.md")),
    WayIn("in a shell's word", "rubric.md", lambda place: ("sh", "-c", "exec python judge.py <'rubric.md'")),
    WayIn("module", "checks/judge.py", lambda place: ("python", "-m", "checks.judge")),
    WayIn("joined module", "checks.py", lambda place: ("python", "-u", "-mchecks")),
    WayIn(
        "package", "checks/__main__.py", lambda place: ("python", "-m", "checks"), "", ("checks/__init__.py",)
    ),
    WayIn(
        "module's package",
        "checks/__init__.py",
        lambda place: ("python", "-m", "checks.j"),
        "",
        ("checks/j.py",),
    ),
    WayIn("code", "rubric.py", lambda place: ("python", "-c", "import rubric")),
    WayIn("module in a shell's word", "checks.py", lambda place: ("sh", "-c", "python -m checks")),
    WayIn("import", "rubric.py", before="import rubric\n"),
    WayIn("import in a function", "rubric.py", before="def f():\n    from rubric import x\n"),
    WayIn("import by a call", "rubric.py", before="import importlib\nimportlib.import_module('rubric')\n"),
    WayIn(
        "import of a package",
        "rubrics/__init__.py",
        before="import rubrics.one\n",
        others=("rubrics/one.py",),
    ),
    WayIn("import from a package", "rubrics/one.py", before="from rubrics import one\n"),
    WayIn(
        "import by a script elsewhere",
        "bin/rubric.py",
        lambda place: ("python", "bin/run.py"),
        others=("bin/run.py",),
    ),
    WayIn("folder", "data/deep/one.txt", lambda place: ("python", "judge.py", "data")),
    WayIn(
        "folder after =",
        "data/one",
        lambda place: ("python", "judge.py", "--data=data"),
        others=("data/two",),
    ),
    WayIn("declared", "rubric.md", files=("rubric.md",)),
    WayIn("declared pattern", "data/deep/one.json", files=("data/**/*.json",)),
    WayIn("declared folder", "data/deep/one.json", files=("data",)),
    WayIn("declared above", "../shared/one.json", files=("../shared/*.json",)),
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_every_way_in_moves_the_identity(way: WayIn, place: Place) -> None:
    """An edit of a file that takes part gives another identity, and its revert gives the first one."""
    place.script("pass", way.before)
    for other in way.others:
        place.write(other, "import rubric\n" if other == "bin/run.py" else "x = 1\n")
    place.write(way.file, "x = 1\n")
    spec = place.spec(*way.command(place), files=way.files)

    first = place.identity(spec)
    place.write(way.file, "x = 2\n")
    edited = place.identity(spec)
    place.write(way.file, "x = 1\n")

    assert first.facts != edited.facts
    assert place.identity(spec) == first


def test_an_import_of_an_import_counts(place: Place) -> None:
    """Imports are followed from file to file, relative ones too, and a circle ends."""
    place.script("pass", "from rules.strict import check\n")
    place.write("rules/__init__.py", "")
    place.write("rules/strict.py", "from . import words\nfrom .deep.more import x\n")
    place.write("rules/words.py", "from .strict import check\n")
    place.write("rules/deep/more.py", "import sys\nfrom .. import other\n")
    place.write("rules/other.py", "")

    facts = place.identity(place.spec()).facts

    assert isinstance(facts, dict)
    names = ("__init__", "deep/more", "other", "strict", "words")
    assert sorted(facts["inputs"]) == [f"experiments/rules/{name}.py" for name in names]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("python", "judge.py", "--limit=3", "-v", "/bin/sh"), ["judge.py"]),
        (("./judge.py",), ["./judge.py"]),
        (("sh", "judge.py", "x"), ["judge.py"]),
        (("env/bin/python", "judge.py"), ["env/bin/python", "judge.py"]),
        (("tool", "rubric.md"), ["rubric.md"]),
    ],
)
def test_a_script_without_imports_keeps_its_facts(
    command: tuple[str, ...], words: list[str], place: Place
) -> None:
    """What is not used adds nothing: the facts are those of releases that knew only plain words."""
    (place.folder / "judge.py").chmod(0o755)
    place.write("rubric.md", "")
    place.write("env/pyvenv.cfg", "")
    for name in ("env/bin/python", "env/bin/tool"):
        place.write(name, "#!/bin/sh\n").chmod(0o755)
    environment = {**place.settings.environment, "PATH": f"{place.folder / 'env' / 'bin'}:{os.defpath}"}
    inside = replace(place, settings=replace(place.settings, environment=environment))

    facts = inside.identity(inside.spec(*command)).facts

    assert facts == {"files": {word: digest_of(place.folder / word) for word in words}}


@pytest.mark.parametrize("name", [".venv", "env", "conda"])
def test_virtual_environments_are_no_inputs(name: str, place: Place) -> None:
    """A folder with such a mark counts neither below a folder, nor in a pattern, nor for imports."""
    mark = "conda-meta/history" if name == "conda" else "pyvenv.cfg"
    place.write(f"tools/{name}/{mark}", "")
    place.write(f"tools/{name}/rubric.py", "x = 1")
    place.write("tools/kept.py", "")
    place.script("pass", f"import tools.{name}.rubric\n" if name == "env" else "")
    spec = place.spec("python", "judge.py", "tools", files=["**/*.py"])
    first = place.identity(spec)

    place.write(f"tools/{name}/rubric.py", "x = 2")

    assert place.identity(spec) == first


def test_a_new_file_is_watched(place: Place) -> None:
    """A file that would be an input if it were there is watched, for words, imports and patterns."""
    place.script("pass", "import rubric\n")
    place.write("data/one.json", "")
    spec = place.spec("python", "judge.py", "notes.md", "data", files=["data/*.json"])

    watched = place.identity(spec).watched

    for name in ("notes.md", "rubric.py", "rubric/__init__.py", "data/*.json", "data/**", "data/one.json"):
        assert place.folder / name in watched


@pytest.mark.parametrize("outside", ["../../x.md", "/etc/hostname", "a/../../../x", ""])
def test_a_pattern_that_leads_out_of_the_workspace(outside: str, place: Place) -> None:
    """A declared file outside of the workspace is refused by name."""
    with pytest.raises(StepFailed, match=matching("graders/leads-out-of-workspace", name=outside)):
        place.identity(place.spec(files=[outside]))


@pytest.mark.parametrize("nothing", ["rubrik.md", "data/*.json", "**/*.nothing"])
def test_a_pattern_that_matches_nothing(nothing: str, place: Place) -> None:
    """A declared file that is not there is refused by name."""
    with pytest.raises(StepFailed, match=matching("graders/matches-no-file", name=nothing)):
        place.identity(place.spec(files=[nothing]))


# variables


def test_a_variables_value_moves_the_identity(place: Place) -> None:
    """Another value of a variable is another judge; the value itself is in no fact."""
    spec = place.spec(environment=["JUDGE_LIMIT"])

    def identity(value: str) -> Identity:
        return replace(place, settings=replace(place.settings, environment={"JUDGE_LIMIT": value})).identity(
            spec
        )

    first = identity("limit-three")

    assert first.environment == ("JUDGE_LIMIT",)
    assert identity("limit-four").facts != first.facts
    assert identity("limit-three") == first
    assert "limit-three" not in str(first)


def test_a_rotated_secret_moves_nothing(place: Place) -> None:
    """The program gets the secret's value, and nothing of the value or the name is in the identity."""
    place.script("assert os.environ['JUDGE_KEY'] == 'sk-one'")
    spec = place.spec(environment=["${secret:JUDGE_KEY}"])
    environment = {**place.settings.environment, "JUDGE_KEY": "sk-one"}
    with_key = replace(place, settings=replace(place.settings, environment=environment))
    rotated = replace(place, settings=replace(place.settings, environment={"JUDGE_KEY": "sk-two"}))

    assert with_key.judged(spec) == ()
    assert with_key.identity(spec) == rotated.identity(spec) == place.identity(place.spec())


def test_a_secret_that_is_not_set(place: Place) -> None:
    """A secret that nobody set is named, as a variable is."""
    with pytest.raises(StepFailed, match=matching("graders/is-not-set", name="JUDGE_NOWHERE")):
        place.judged(place.spec(environment=["${secret:JUDGE_NOWHERE}"]))


# what is read


READS = {
    "open": ("open('data/one.json').read()", "data/one.json", "data/one.json"),
    "os.open": ("os.close(os.open('data/one.json', os.O_RDONLY))", "data/one.json", "data/one.json"),
    "open for both": ("open('data/one.json', 'r+').read()", "data/one.json", "data/one.json"),
    "pathlib": ("__import__('pathlib').Path('data/one.json').read_text()", "data/one.json", "data/one.json"),
    "absolute": ("open(os.path.abspath('data/one.json')).read()", "data/one.json", "data/one.json"),
    "elsewhere": (
        "os.chdir('data'); open('one.json').read(); os.chdir('..')",
        "data/one.json",
        "data/one.json",
    ),
    "bytes": ("open(b'data/one.json').read()", "data/one.json", "data/one.json"),
    "above": ("open('../rubric.md').read()", "../rubric.md", "../rubric.md"),
    "sqlite": ("__import__('sqlite3').connect('one.db').close()", "one.db", "one.db"),
    "sqlite uri": (
        "__import__('sqlite3').connect('file:one.db?mode=ro', uri=True).close()",
        "one.db",
        "one.db",
    ),
    "listdir": ("os.listdir('data')", "data", "data/**"),
    "scandir": ("list(os.scandir('data'))", "data", "data/**"),
    "glob": ("__import__('glob').glob('data/*.json')", "data", "data/**"),
    "import": (
        "sys.path.append('plugins'); __import__('rule' + 'book')",
        "plugins/rulebook.py",
        "plugins/rulebook.py",
    ),
    "child": (
        "__import__('subprocess').run([sys.executable, '-c', 'open(\"data/one.json\").read()'], check=True)",
        "data/one.json",
        "data/one.json",
    ),
    "thread": (
        "t = __import__('threading').Thread(target=open, args=['data/one.json']); t.start(); t.join()",
        "data/one.json",
        "data/one.json",
    ),
    "fork": (
        "os.waitpid(os.fork() or (open('data/one.json').read(), os._exit(0)), 0)",
        "data/one.json",
        "data/one.json",
    ),
}


@pytest.fixture
def reading(place: Place) -> Place:
    """A workspace with a few files that a judge may read."""
    place.write("data/one.json", "{}")
    place.write("../rubric.md", "strict")
    place.write("plugins/rulebook.py", "x = 1")
    place.write("one.db", "")
    return place


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_an_undeclared_read_fails_with_the_line_to_add(read: tuple[str, str, str], reading: Place) -> None:
    """Whichever way a file is read, it is named with the line to add, which makes the judge pass."""
    body, name, line = read
    reading.script(body)

    with pytest.raises(StepFailed, match=matching("graders/read-not-part-of-key", names=name, line=line)):
        reading.judged(reading.spec())

    assert reading.judged(reading.spec(files=[line])) == ()


def test_a_read_after_the_last_verdict_fails_too(reading: Place) -> None:
    """What the program reads at its end is noticed when the grader is closed."""
    reading.script("pass", "import atexit\natexit.register(lambda: open('data/one.json').read())\n")

    with pytest.raises(StepFailed, match=matching("graders/read-not-part-of-key", names="data/one.json")):
        reading.judged(reading.spec())


def test_a_read_only_warns_if_that_is_set(reading: Place) -> None:
    """With POLYTUNE_UNDECLARED_INPUTS=warn every answer is judged, and one warning names what was read."""
    reading.script("open('data/one.json').read(); open('../rubric.md').read()")
    warned = replace(reading, settings=replace(reading.settings, undeclared_inputs="warn"))

    [warning] = warned.judged(warned.spec(files=["judge.py"]), cases=3)

    names, line = "data/one.json, ../rubric.md", "judge.py, data/one.json, ../rubric.md"
    assert message("graders/read-not-part-of-key", names=names, line=line) in warning


SILENT = {
    "its own new file": "open('out.txt', 'w').write('x'); open('out.txt').read()",
    "its own new folder": "os.makedirs('out', exist_ok=True); os.listdir('out')",
    "its own file of an earlier run": "open('data/one.json', 'w').write('x'); open('data/one.json').read()",
    "an appended log": "open('data/one.json', 'a').write('x')",
    "a new database": "__import__('sqlite3').connect('new.db').close()",
    "a database in memory": "__import__('sqlite3').connect(':memory:').close()",
    "what is not there": "look(open, 'data/no'); look(os.listdir, 'data/no'); os.path.exists('data/no')",
    "outside": "open('/etc/hostname').read(); os.listdir('/tmp')",
    "the standard library": "import email.message, decimal, xml.dom.minidom",
    "installed packages": "__import__('importlib.metadata').metadata.version('click')",
    "packages by name": "list(__import__('importlib.metadata').metadata.distributions())",
    "modules by name": "list(__import__('pkgutil').iter_modules())",
    "its own source": "__import__('linecache').getlines(__file__); open(__file__).read()",
    "git": "open('../.git/HEAD').read(); os.listdir('../.git')",
    "records": "os.listdir('../runs'); open('../runs/ledger.sqlite3').read()",
    "a virtual environment": "open('../env/pyvenv.cfg').read(); os.listdir('../env')",
}


@pytest.mark.parametrize("body", SILENT.values(), ids=SILENT)
def test_what_is_no_input_is_not_reported(body: str, reading: Place) -> None:
    """What the program makes, and what belongs to Python, git or polytune, needs no declaration."""
    for name in ("../.git/HEAD", "../runs/ledger.sqlite3", "../env/pyvenv.cfg"):
        reading.write(name, "")
    look = "def look(how, path):\n    try: how(path)\n    except OSError: pass\n"
    reading.script(body, look)

    assert reading.judged(reading.spec(), cases=2) == ()


def test_a_file_that_a_pattern_covers_is_declared(reading: Place) -> None:
    """A folder that a pattern looks into may be listed, and what it matches may be read."""
    reading.script(
        "[open(path).read() for path in __import__('glob').glob('data/**/*.json', recursive=True)]"
    )

    assert reading.judged(reading.spec(files=["data/**/*.json"])) == ()
    assert reading.judged(reading.spec("python", "judge.py", "data")) == ()


def test_a_program_sees_its_own_sitecustomize(reading: Place) -> None:
    """The user's `sitecustomize` runs as before, and polytune's folder is not left on the path."""
    reading.write("site/sitecustomize.py", "import builtins; builtins.seen = 'yes'")
    reading.script("assert seen == 'yes'; assert not [p for p in sys.path if 'observer' in p]")
    environment = {**reading.settings.environment, "PYTHONPATH": str(reading.folder / "site")}
    own = replace(reading, settings=replace(reading.settings, environment=environment))

    assert own.judged(own.spec(environment=["PYTHONPATH"], files=["site/*"])) == ()


# other languages

SHELL = """while read line; do cat data/one.json >/dev/null; echo '{"id": 1, "passed": true}'; done"""


@pytest.mark.parametrize(
    "command",
    [("sh", "-c", SHELL), ("python", "-I", "judge.py"), ("python", "-uE", "judge.py"), ("./judge",)],
)
def test_a_program_that_cannot_be_observed_has_a_note(command: tuple[str, ...], reading: Place) -> None:
    """Another language, or a Python that ignores its environment, is noted and not refused."""
    script = reading.write("judge", f"#!/bin/sh\n{SHELL}\n")
    script.chmod(0o755)
    reading.script("open('data/one.json').read()")
    spec = reading.spec(*command)

    assert message("graders/not-observed") in reading.identity(spec).note
    assert reading.judged(spec) == ()


def test_an_observable_program_has_no_note(reading: Place) -> None:
    """Python by its name, by its path and by a script's first line is observed."""
    script = reading.write("judge", f"#!{sys.executable}\n{(reading.folder / 'judge.py').read_text()}")
    script.chmod(0o755)
    words: list[tuple[str, ...]] = [("python", "judge.py"), (sys.executable, "judge.py"), ("./judge",)]

    for command in words:
        spec = reading.spec(*command)
        assert reading.identity(spec).note == ""
        assert reading.judged(spec) == ()


def test_a_python_that_was_not_observed_after_all(reading: Place) -> None:
    """A program called python that is none is noticed once it has run."""
    fake = reading.write("bin/python", f"#!/bin/sh\n{SHELL}\n")
    fake.chmod(0o755)
    spec = reading.spec(str(fake), "judge.py")

    [warning] = reading.judged(spec)

    assert message("graders/not-observed") in warning


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ("subprocess.run(['cat', 'data/one.json'], stdout=2)", "cat"),
        ("subprocess.run('true; cat data/one.json >&2', shell=True)", "sh"),
        ("os.system('true')", "sh"),
        ("subprocess.run([sys.executable, '-I', '-c', ''])", Path(sys.executable).name),
        (
            "os.waitpid(os.posix_spawn('/bin/mkdir', ['mkdir', '-p', 'data'], {}), 0)",
            "mkdir",
        ),
    ],
)
def test_programs_that_it_starts_are_noted(body: str, names: str, reading: Place) -> None:
    """Programs that are not observed are named in a note, which nobody is shown while it judges."""
    reading.script(body, "import subprocess\n")

    async def work() -> tuple[str, ...]:
        async with CommandGrader(reading.spec(), reading.folder, reading.settings) as grader:
            assert (await grader.judge(Case(prompt="p", answer="a"))).passed
        assert grader.warnings() == ()
        return grader.notes()

    [note] = asyncio.run(work())
    assert message("graders/started-not-observed", names=names) in note


def test_a_program_on_the_path_of_the_workspace(place: Place) -> None:
    """A program without a slash that is found in a folder of the workspace is hashed like a word."""
    place.write("tools/judge", "#!/bin/sh\n").chmod(0o755)
    environment = {**place.settings.environment, "PATH": f"{place.folder / 'tools'}:{os.defpath}"}
    found = replace(place, settings=replace(place.settings, environment=environment))
    first = found.identity(found.spec("judge"))

    place.write("tools/judge", "#!/bin/sh\ntrue\n")

    assert found.identity(found.spec("judge")).facts != first.facts


def test_a_cancelled_start_leaves_nothing_behind(
    place: Place, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A grader that is cancelled while it starts removes what it had made."""
    temporary = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr("tempfile.tempdir", str(temporary))

    async def work() -> None:
        async with CommandGrader(place.spec(), place.folder, place.settings) as grader:
            asking = asyncio.ensure_future(grader.judge(Case(prompt="p", answer="a")))
            await asyncio.sleep(0)
            asking.cancel()
            await asyncio.wait([asking])

    asyncio.run(work())

    assert os.listdir(temporary) == []


def test_the_report_is_removed(reading: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing leaves nothing behind in the folder for temporary files."""
    temporary = reading.root / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))

    reading.judged(reading.spec())

    assert os.listdir(temporary) == []


def test_a_workspace_reached_by_a_link(reading: Place, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The folder's name by which one came changes neither the identity nor what is reported."""
    alias = tmp_path_factory.mktemp("alias") / "space"
    alias.symlink_to(reading.root)
    linked = replace(reading, root=alias)
    reading.script(
        "open(os.path.join(os.environ['PWD'], 'data/one.json')).read()", "import plugins.rulebook\n"
    )
    environment = {**reading.settings.environment, "PWD": str(linked.folder)}
    linked = replace(linked, settings=replace(reading.settings, environment=environment))
    spec = linked.spec("python", "judge.py", "--r=../rubric.md", files=["one.*"], environment=["PWD"])

    assert linked.identity(spec).facts == replace(linked, root=reading.root).identity(spec).facts
    with pytest.raises(StepFailed, match=matching("graders/read-not-part-of-key", names="data/one.json")):
        linked.judged(spec)
    assert linked.judged(linked.spec(files=["data/*.json"], environment=["PWD"])) == ()


def test_a_linked_folder_is_part_of_the_workspace(
    reading: Place, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What is read through a link in the workspace is reported by the link's name, and can be declared."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "one.json").write_text("{}")
    (reading.folder / "linked").symlink_to(elsewhere)
    reading.script("open('linked/one.json').read()")

    with pytest.raises(StepFailed, match=matching("graders/read-not-part-of-key", names="linked/one.json")):
        reading.judged(reading.spec())

    assert reading.judged(reading.spec(files=["linked/*.json"])) == ()
    first = reading.identity(reading.spec(files=["linked/*.json"]))
    (elsewhere / "one.json").write_text("[]")
    assert reading.identity(reading.spec(files=["linked/*.json"])).facts != first.facts
