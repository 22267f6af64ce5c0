"""No teacher: samples are prompts without answers, for distillation, where the platform's teacher answers.

teacher: {kind: none}
"""

from __future__ import annotations

from typing import ClassVar

from polytune.teachers.interface import Answer, Request, Teacher, TeacherSpec


class NoneSpec(TeacherSpec):
    """No teacher: the samples are prompts without answers."""


class NoTeacher(Teacher):
    """Returns empty answers, at no cost."""

    Spec: ClassVar[type[TeacherSpec]] = NoneSpec
    label: ClassVar[str] = "nobody: prompts alone"

    async def answer(self, request: Request, draw: int) -> Answer:
        """An empty answer."""
        return Answer(text="")
