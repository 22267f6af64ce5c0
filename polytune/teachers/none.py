"""No teacher: the samples are prompts alone, for distillation, where the platform's own teacher answers.

teacher: {kind: none}
"""

from __future__ import annotations

from typing import ClassVar

from polytune.teachers.interface import Answer, Request, Teacher, TeacherSpec


class NoneSpec(TeacherSpec):
    """Asks nobody: the samples are prompts without answers."""


class NoTeacher(Teacher):
    """Answers nothing, at no cost."""

    Spec: ClassVar[type[TeacherSpec]] = NoneSpec
    label: ClassVar[str] = "nobody: prompts alone"

    async def answer(self, request: Request, draw: int) -> Answer:
        """No text at all."""
        return Answer(text="")
