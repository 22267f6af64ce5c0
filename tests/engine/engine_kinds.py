"""Step kinds for the engine's tests, found through entry points as any third party's are.

All of them make a `Text` (one file, `out.txt`), so that graphs of any shape can be built from them. Each
run leaves a line in `effects.log` of the workspace, which is how the tests know what was really done.

    source  a file's text                    trim    the first characters of a text
    join    two texts, one after the other   asker   text made of many small paid answers
    flaky   a text, unless `broken` exists   far     a text made by a job
    gate    a text, once `open` exists       placer  a text that also goes elsewhere
    stubborn  as gate, but does not stop when asked to
    guided  a text copied from a file of which only a fact is keyed, as a grader's program is
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from polytune.engine.answers import Ask, StoredAnswer
from polytune.engine.artifacts import Artifact
from polytune.engine.jobs import Look
from polytune.engine.ledger import Usage
from polytune.engine.processes import ProcessDriver, has_ended
from polytune.engine.step import KeyFacts, Outcome, Port, Progress, Scope, Step, Work
from polytune.engine.workspace import Workspace
from polytune.errors import Obstacle, StepFailed
from polytune.files import digest_of
from polytune.fingerprint import fingerprint
from polytune.spec.model import InputFile, Secret, Spec

effects_name = "effects.log"
asked_name = "asked.log"
children_name = "children.log"
out_name = "out.txt"
child_script = Path(__file__).with_name("engine_child.py")
waiters = 8


def noted(path: Path, line: str) -> None:
    """The line is at the end of the file, in one write, so that a kill leaves all of it or nothing."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, f"{line}\n".encode())
    finally:
        os.close(descriptor)


def die_at(moment: str) -> None:
    """Kills this process, and with DIE_ALL its whole group, when DIE_AT names the moment."""
    if os.environ.get("DIE_AT") == moment:
        if os.environ.get("DIE_ALL"):
            os.killpg(0, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)


class TextSpec(Spec):
    """What every kind here has."""

    label: str = ""
    """The name under which runs are noted; usually the step's id."""


class TextStep(Step):
    """A kind whose whole output is one text."""

    Spec: ClassVar[type[Spec]] = TextSpec
    produces = "Text"

    def __init__(self, spec: TextSpec, files: Mapping[str, Path], scope: Scope) -> None:
        super().__init__(spec, files, scope)
        self.label = spec.label

    async def run(self, work: Work) -> Outcome:
        """Notes that it began and ended, and keeps the text."""
        noted(self.scope.root / effects_name, f"begin {self.label}")
        die_at(f"begin {self.label}")
        usage = Usage()
        text = await self.text(work)
        if isinstance(text, Answered):
            usage, text = text.usage, text.text
        (work.folder / out_name).write_text(text, encoding="utf-8")
        noted(self.scope.root / effects_name, f"end {self.label}")
        die_at(f"end {self.label}")
        return Outcome(files=(out_name,), records={out_name: text.count("\n")}, usage=usage)

    async def text(self, work: Work) -> str | Answered:
        """The text of this kind."""
        return f"{self.label}\n"


class Answered:
    """A text made of paid answers."""

    def __init__(self, text: str, usage: Usage) -> None:
        self.text = text
        self.usage = usage


def read(work: Work, port: str) -> str:
    """The text at a port."""
    return work.path(port, out_name).read_text(encoding="utf-8")


def unplugged(root: Path) -> Obstacle | None:
    """What a step lacks while a file called `unplugged` lies in the workspace."""
    return Obstacle("unplugged: remove that file") if (root / "unplugged").exists() else None


class SourceSpec(TextSpec):
    """A file's text."""

    path: InputFile
    """The file."""
    upper: bool = False
    """Whether to write it in capitals."""


class Source(TextStep):
    """The text of a file."""

    Spec: ClassVar[type[Spec]] = SourceSpec

    def __init__(self, spec: SourceSpec, files: Mapping[str, Path], scope: Scope) -> None:
        super().__init__(spec, files, scope)
        self.upper = spec.upper

    async def text(self, work: Work) -> str:
        """The file's text now."""
        text = self.files["path"].read_text(encoding="utf-8")
        return text.upper() if self.upper else text


class JoinSpec(TextSpec):
    """Two texts, one after the other."""

    between: str = ""
    """What stands between them."""


class Join(TextStep):
    """Two texts, one after the other."""

    Spec: ClassVar[type[Spec]] = JoinSpec
    consumes: ClassVar[Mapping[str, Port]] = {"left": Port(("Text",)), "right": Port(("Text",))}

    def __init__(self, spec: JoinSpec, files: Mapping[str, Path], scope: Scope) -> None:
        super().__init__(spec, files, scope)
        self.between = spec.between

    async def text(self, work: Work) -> str:
        """Left, what stands between, right."""
        return read(work, "left") + self.between + read(work, "right")


class TrimSpec(TextSpec):
    """The beginning of a text."""

    keep: int = 1
    """Characters to keep."""


class Trim(TextStep):
    """The beginning of a text: most changes of its input leave its output as it was."""

    Spec: ClassVar[type[Spec]] = TrimSpec
    consumes: ClassVar[Mapping[str, Port]] = {"text": Port(("Text",))}

    def __init__(self, spec: TrimSpec, files: Mapping[str, Path], scope: Scope) -> None:
        super().__init__(spec, files, scope)
        self.keep = spec.keep

    async def text(self, work: Work) -> str:
        """The first characters."""
        return read(work, "text")[: self.keep]


class FlakySpec(TextSpec):
    """A text that may fail."""

    phrase: Secret | None = None
    """Something that nobody may read."""


class Flaky(TextStep):
    """A text, unless a file called `broken` lies in the workspace."""

    Spec: ClassVar[type[Spec]] = FlakySpec

    def missing(self) -> Obstacle | None:
        """Something, while a file called `unplugged` lies in the workspace."""
        return unplugged(self.scope.root)

    async def text(self, work: Work) -> str:
        """The label. Raises StepFailed, quoting the file, while there is one."""
        broken = self.scope.root / "broken"
        if broken.exists():
            raise StepFailed(f"broken: {broken.read_text(encoding='utf-8')}")
        return f"{self.label}\n"


class GateSpec(TextSpec):
    """A text that waits."""

    path: InputFile | None = None
    """A file that may change meanwhile."""


class Gate(TextStep):
    """A text, once a file called `open` lies in the workspace."""

    Spec: ClassVar[type[Spec]] = GateSpec

    async def text(self, work: Work) -> str:
        """The label, after the wait."""
        while not (self.scope.root / "open").exists():
            await asyncio.sleep(0.01)
        return f"{self.label}\n"


class GuidedSpec(TextSpec):
    """A text that follows a guide."""

    guide: str
    """The guide's name in the workspace; no input file, so the engine does not hash it by itself."""


class Guided(TextStep):
    """A copy of the guide; it waits while a file called `shut` exists, and fails while `broken` does."""

    Spec: ClassVar[type[Spec]] = GuidedSpec

    def __init__(self, spec: GuidedSpec, files: Mapping[str, Path], scope: Scope) -> None:
        super().__init__(spec, files, scope)
        self.guide = scope.root / spec.guide

    def key_facts(self) -> KeyFacts:
        """What the guide says."""
        return KeyFacts({"guide": digest_of(self.guide)}, (self.guide,))

    async def text(self, work: Work) -> str:
        """The guide's text, before and after the wait."""
        first = self.guide.read_text(encoding="utf-8")
        while (self.scope.root / "shut").exists():
            await asyncio.sleep(0.01)
        if (self.scope.root / "broken").exists():
            raise StepFailed("broken")
        return first + self.guide.read_text(encoding="utf-8")


class Stubborn(TextStep):
    """A text, once a file called `open` lies in the workspace; being asked to stop does not stop it."""

    async def text(self, work: Work) -> str:
        """The label, after the wait."""
        while not (self.scope.root / "open").exists():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                noted(self.scope.root / effects_name, "asked to stop")
        return f"{self.label}\n"


class PlacerSpec(TextSpec):
    """A text that also goes elsewhere."""

    place: str
    """Where, relative to the workspace."""
    promise: str = out_name
    """The file it says it wrote."""


class Placer(TextStep):
    """A text that is also put where a person wants it; with another promise, one that breaks it."""

    Spec: ClassVar[type[Spec]] = PlacerSpec
    spec: PlacerSpec

    async def run(self, work: Work) -> Outcome:
        """A folder of files is kept too."""
        made = await super().run(work)
        more = work.folder / "more" / "deep"
        more.mkdir(parents=True)
        (more / "x.txt").write_text("x")
        (work.folder / "scratch.txt").write_text("not kept")
        return replace(made, files=(self.spec.promise, "more"), placed={out_name: self.spec.place})


class AskerSpec(TextSpec):
    """A text made of many small paid answers."""

    count: Annotated[int, Field(ge=1)] = 40
    """How many."""
    topic: str = "t"
    """What is asked about; part of each request."""


class Asker(TextStep):
    """Asks what memory does not hold, several at once; each asking is a line in `asked.log`."""

    Spec: ClassVar[type[Spec]] = AskerSpec

    def __init__(self, spec: AskerSpec, files: Mapping[str, Path], scope: Scope) -> None:
        super().__init__(spec, files, scope)
        self.asks = [Ask(fingerprint("test.v1", [spec.topic, n]), n) for n in range(spec.count)]

    async def text(self, work: Work) -> Answered:
        """Every answer, in the order of the asks."""
        known = {stored.ask for stored in work.answers.find(self.asks)}
        missing = [ask for ask in self.asks if ask not in known]
        queue = iter(missing)
        async with asyncio.TaskGroup() as group:
            for _ in range(waiters):
                group.create_task(self._answer(queue, work))
        stored = {each.ask: each.body for each in work.answers.find(self.asks)}
        text = "".join(f"{stored[ask].decode()}\n" for ask in self.asks)
        return Answered(text, Usage(requests=len(missing), reused=len(known)))

    async def _answer(self, queue: object, work: Work) -> None:
        if (self.scope.root / "broken").exists():
            raise StepFailed("the service is down")
        for ask in queue:  # type: ignore[attr-defined]
            noted(self.scope.root / asked_name, f"{ask.request} {ask.draw}")
            await asyncio.sleep(0.002)
            body = ask.request[:12].encode()
            await work.answers.put(StoredAnswer(ask=ask, body=body, price_usd=0.0))
            work.report(Progress(done=1, total=1, unit="answers"))


class FarSpec(TextSpec):
    """A text made by a job."""

    seconds: float = 0.3
    """How long the job takes."""
    how: str = "completes"
    """`completes`, `fails`, `dies`, or `waits` for a file called `open`."""


class Far(TextStep):
    """A text made by a child process that outlives this one; each start is a line in `children.log`."""

    Spec: ClassVar[type[Spec]] = FarSpec
    spec: FarSpec
    consumes: ClassVar[Mapping[str, Port]] = {"text": Port(("Text",), optional=True)}

    def missing(self) -> Obstacle | None:
        """Something, while a file called `unplugged` lies in the workspace."""
        return unplugged(self.scope.root)

    def has_ended(self, token: str) -> bool:
        """Whether the child is gone."""
        return has_ended(Workspace(self.scope.root).jobs / token)

    async def text(self, work: Work) -> str:
        """What the job wrote."""
        jobs = Workspace(self.scope.root).jobs
        command = [sys.executable, "-S", "-E", str(child_script)]
        driver = ProcessDriver(jobs, command, {"PATH": os.environ["PATH"]})
        request = {
            "log": str(self.scope.root / children_name),
            "open": str(self.scope.root / "open"),
            "seconds": self.spec.seconds,
            "how": self.spec.how,
            "text": f"{self.label} {work.inputs['text'].digest if 'text' in work.inputs else ''}\n",
        }
        job = await work.jobs.finish(driver, request, lambda look: _told(work, look))
        return (driver.folder(job.token) / out_name).read_text(encoding="utf-8")


def _told(work: Work, look: Look) -> None:
    work.report(Progress(done=look.done, total=1.0, note=look.message))


def digests(artifacts: Mapping[str, Artifact]) -> dict[str, str]:
    """The digest of each artifact."""
    return {name: artifact.digest for name, artifact in artifacts.items()}
