"""Every area of the emulator; a new one is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable

from polytune.emulator.bedrock.batch import Batch
from polytune.emulator.bedrock.call import Area
from polytune.emulator.bedrock.copies import Copies
from polytune.emulator.bedrock.customization import Customization
from polytune.emulator.bedrock.deployments import Deployments
from polytune.emulator.bedrock.imports import Imports
from polytune.emulator.bedrock.models import Models
from polytune.emulator.bedrock.profiles import Profiles
from polytune.emulator.bedrock.runtime import Runtime
from polytune.emulator.bedrock.tags import Tags
from polytune.emulator.bedrock.throughput import Throughput
from polytune.emulator.bedrock.world import World

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
