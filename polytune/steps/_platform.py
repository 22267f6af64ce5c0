"""The base of steps that use a platform: the choice in the spec, the checks before a run, and the job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar

from polytune.engine.jobbook import JobRow
from polytune.engine.jobs import Look
from polytune.engine.step import Progress, Requirement, Scope, Step, Work
from polytune.errors import Obstacle
from polytune.platforms.interface import Job, Label, Offer, PlatformRequirement, open_platform
from polytune.spec.model import Inherited, Member, MemberSpec, Spec


class PlatformStepSpec(Spec):
    """The spec of a step that uses a platform."""

    platform: Annotated[MemberSpec, Member("platforms"), Inherited()]
    """The platform that the step uses."""


class PlatformStep(Step):
    """A step that uses the platform that its spec names."""

    spec: PlatformStepSpec
    offer: ClassVar[Offer | None] = None
    """What the platform must support; None if every platform does."""

    def __init__(self, spec: PlatformStepSpec, files: Mapping[str, Path], scope: Scope) -> None:
        super().__init__(spec, files, scope)
        self.platform = open_platform(spec.platform, scope.root, scope.settings)

    def missing(self) -> Obstacle | None:
        """Return what the platform is missing on this machine."""
        return self.platform.missing() if self.offer is None else self.platform.lacks(self.offer)

    def unready(self) -> Obstacle | None:
        """Return what the platform is missing outside this machine."""
        return self.platform.unready()

    def has_ended(self, token: str) -> bool:
        """Whether the platform knows, without asking anybody, that the job has ended."""
        return self.platform.has_ended(token)

    def exists(self, uri: str) -> bool:
        """Whether the platform still has the resource."""
        return self.platform.exists(uri)

    def requirements(self) -> Sequence[Requirement]:
        """Return the default: store and read data. A step that needs more overrides this."""
        return [PlatformRequirement(platform=self.platform.name, spec=self.platform.spec)]

    def label(self, step: str) -> Label:
        """Return the label for names and tags of this step's remote resources."""
        return Label(project=self.scope.project, experiment=self.scope.experiment, step=step)

    async def finished(self, job: Job, work: Work) -> JobRow:
        """Submit the job, or find it if it was submitted before; return it once it has completed."""
        driver, request = job

        def report(look: Look) -> None:
            work.report(Progress(done=look.done, total=1.0, note=look.message))

        # `finish` adopts a job that an earlier run submitted under the same key, so a
        # restart never pays twice.
        return await work.jobs.finish(driver, request, report)
