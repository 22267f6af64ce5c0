"""A model on Amazon Bedrock, asked through Converse.

teacher: {kind: bedrock, model: nova-pro, guardrail: {id: abc123, version: "2"}}
"""

from __future__ import annotations

from typing import ClassVar

from polytune.teachers._converse import ConverseSpec, ConverseTeacher
from polytune.teachers.interface import TeacherSpec


class BedrockTeacherSpec(ConverseSpec):
    """Asks a model on Amazon Bedrock."""


class BedrockTeacher(ConverseTeacher):
    """One Converse call per answer."""

    Spec: ClassVar[type[TeacherSpec]] = BedrockTeacherSpec

    @property
    def label(self) -> str:
        """The model and the service."""
        return f"{self.asking.model} on Bedrock"
