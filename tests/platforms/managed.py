"""What the management suite needs of a platform's example, which is `managed_<platform>.py` here."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from pathlib import Path

from polytune.platforms.management import Management


class Example(ABC):
    """A platform with nothing on it yet."""

    management: Management
    foreign = ""
    """An identifier that only this platform can have, of something that does not exist."""

    @abstractmethod
    def start(self) -> str:
        """A job is at work, and goes on until `finish`; its identifier."""

    @abstractmethod
    def finish(self, job: str) -> None:
        """The job has come to its good end."""


def example_of(name: str, folder: Path) -> AbstractContextManager[Example]:
    """The example of a platform, in an empty workspace. Raises ModuleNotFoundError for one without."""
    found: AbstractContextManager[Example] = importlib.import_module(
        f"tests.platforms.managed_{name}"
    ).example(folder)
    return found
