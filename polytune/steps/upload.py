"""upload: a checked dataset into the platform's storage, under names that follow from its content."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar

from polytune.engine.step import KeyFacts, Outcome, Port, Scope, Step, Work
from polytune.files import write_whole
from polytune.fingerprint import canonical
from polytune.platforms.interface import open_platform
from polytune.spec.model import Inherited, Member, MemberSpec, Spec

splits = ("train", "validation")
"""What a training job reads; the test split never leaves the workspace."""


class UploadSpec(Spec):
    """Stores the dataset where the platform's training reads it."""

    platform: Annotated[MemberSpec, Member("platforms"), Inherited()]
    """Where to store."""
    project: Annotated[str, Inherited()] = "default"
    """The first part of every stored name."""


class Upload(Step):
    """A remote dataset: `remote.json` with the URI of each split."""

    version = 1
    Spec = UploadSpec
    consumes: ClassVar = {"dataset": Port(("CheckedDataset",))}
    produces = "RemoteDataset"

    def __init__(self, spec: UploadSpec, files: Mapping[str, Path], scope: Scope) -> None:
        super().__init__(spec, files, scope)
        self.spec = spec
        self.platform = open_platform(spec.platform, scope.root, scope.settings)

    def missing(self) -> str:
        """What the platform lacks on this machine."""
        return self.platform.missing()

    def key_facts(self) -> KeyFacts:
        """Where the environment says to store."""
        return self.platform.key_facts()

    def unready(self) -> str:
        """What the platform lacks outside this machine."""
        return self.platform.unready()

    def exists(self, uri: str) -> bool:
        """Whether the stored file is still there."""
        return self.platform.exists(uri)

    async def run(self, work: Work) -> Outcome:
        """Sends what is not there yet."""
        dataset = work.inputs["dataset"]
        files = {s: work.path("dataset", f"{s}.jsonl") for s in splits if f"{s}.jsonl" in dataset.files}
        uris = await self.platform.store(self.spec.project, files)
        write_whole(work.folder / "remote.json", canonical(uris) + b"\n")
        return Outcome(
            files=("remote.json",),
            facts={
                **dataset.facts,
                "uris": uris,
                "rows": {split: dataset.files[f"{split}.jsonl"].records for split in files},
            },
            resources=uris,
            metrics={"bytes": sum(path.stat().st_size for path in files.values())},
        )
