"""Every area of the emulator; a new one is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable

from polytune.emulator.batch import Batch
from polytune.emulator.call import Area
from polytune.emulator.copies import Copies
from polytune.emulator.customization import Customization
from polytune.emulator.deployments import Deployments
from polytune.emulator.imports import Imports
from polytune.emulator.models import Models
from polytune.emulator.profiles import Profiles
from polytune.emulator.runtime import Runtime
from polytune.emulator.tags import Tags
from polytune.emulator.throughput import Throughput
from polytune.emulator.world import World

AREAS: tuple[Callable[[World], Area], ...] = (
    Customization,
    Models,
    Deployments,
    Throughput,
    Imports,
    Copies,
    Profiles,
    Batch,
    Runtime,
    Tags,
)
