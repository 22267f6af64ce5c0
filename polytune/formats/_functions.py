"""Checks the shape of tool declarations of the OpenAI chat API."""

from __future__ import annotations

from polytune.formats.interface import Findings, kind_of, shown


def judged_tools(findings: Findings, tools: object) -> None:
    """Reports every declared function without a unique name, a description or the schema of an object."""
    if not isinstance(tools, list):
        fix = 'Write "tools": [{"type": "function", "function": {...}}].'
        findings.error("tool-config", "tools", f"expected a list, found {kind_of(tools)}", fix)
        return
    names = set()
    for index, tool in enumerate(tools):
        field = f"tools[{index}]"
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(tool, dict) or tool.get("type") != "function" or not isinstance(function, dict):
            fix = 'Write {"type": "function", "function": {...}}.'
            findings.error("tool-config", field, "not the declaration of a function", fix)
            continue
        name = _described(findings, function, f"{field}.function")
        if name and name in names:
            what = f"two tools are called '{shown(name)}'"
            fix = "Give each tool a name of its own."
            findings.error("tool-config", f"{field}.function.name", what, fix)
        names.add(name)


def _described(findings: Findings, function: dict[str, object], field: str) -> str:
    """The function's name; '' when it has none."""
    for key in ("name", "description"):
        value = function.get(key)
        if not isinstance(value, str) or not value.strip():
            findings.error("tool-config", f"{field}.{key}", f"the tool has no {key}", f"Give it a {key}.")
    parameters = function.get("parameters")
    schema = parameters if isinstance(parameters, dict) else {}
    if schema.get("type") != "object" or not isinstance(schema.get("properties"), dict):
        what, fix = "no JSON Schema of an object", 'Write {"type": "object", "properties": {...}}.'
        findings.error("tool-config", f"{field}.parameters", what, fix)
    name = function.get("name")
    return name if isinstance(name, str) else ""
