"""Checks the roles of a row's messages and their order, for every layout with messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from polytune.formats.interface import Answers, Findings, Passage, Role, Turn, kind_of, shown

roles: tuple[Role, Role] = get_args(Role)


def judged_role(findings: Findings, role: object, field: str, system_place: str) -> Role | None:
    """The role if it is user or assistant; otherwise None, with an error."""
    if role == "user" or role == "assistant":
        return "user" if role == "user" else "assistant"
    fix = "Write user or assistant."
    if role == "system":
        fix = f"Move the text to the top: {system_place}."
    elif isinstance(role, str) and role.lower() in roles:
        fix = f"Write it in lower case: {role.lower()}."
    what = f"'{shown(role)}'" if isinstance(role, str) else "nothing" if role is None else kind_of(role)
    findings.error("role", field, f"expected user or assistant, found {what}", fix)
    return None


def judged_order(findings: Findings, found: Sequence[Role | None], answers: Answers) -> None:
    """Reports turns that do not start with the user, alternate, and end with the assistant.

    Messages without a role are skipped.
    """
    if not found:
        return
    if found[0] == "assistant":
        what, fix = "the first turn is the assistant's", "Start with a user turn."
        findings.error("first-role", "messages[0].role", what, fix)
    for index in range(1, len(found)):
        if found[index] is not None and found[index] == found[index - 1]:
            what = f"two {found[index]} turns in a row"
            findings.error("role-order", f"messages[{index}].role", what, "Let the turns alternate.")
    if found[-1] == "user" and answers == "required":
        field = f"messages[{len(found) - 1}].role"
        findings.error("last-role", field, "the last turn is the user's", "End with the assistant's answer.")


def judged_list(findings: Findings, messages: object, least: int) -> list[object] | None:
    """The messages if they are a list, else None; reports an error if they are not, or too few."""
    if not isinstance(messages, list):
        what = "'messages' is missing" if messages is None else f"expected a list, found {kind_of(messages)}"
        fix = 'Write "messages": [{"role": "user", ...}, {"role": "assistant", ...}].'
        findings.error("too-few-messages", "messages", what, fix)
        return None
    if len(messages) < least:
        fix = "Give a user turn and an assistant turn." if least > 1 else "Give a user turn."
        findings.error(
            "too-few-messages",
            "messages",
            f"{len(messages)} of at least {least} message{'s' if least > 1 else ''}",
            fix,
        )
    return messages


def alternating(turns: tuple[Turn, ...], answers: Answers) -> bool:
    """Whether the turns are all valid: their order, the last role, and a text in each."""
    if not turns or (len(turns) % 2 and answers == "required"):
        return False
    for index, turn in enumerate(turns):
        if turn.role != roles[index % 2] or not turn.text or turn.text.isspace():
            return False
    return True


def spoken(messages: object, speakers: Sequence[str]) -> list[Passage]:
    """The messages with these roles and a string as content; all others are left out."""
    return [
        Passage(f"messages[{index}].content", message["role"], message["content"])
        for index, message in enumerate(messages if isinstance(messages, list) else ())
        if isinstance(message, dict)
        and message.get("role") in speakers
        and isinstance(message.get("content"), str)
    ]
