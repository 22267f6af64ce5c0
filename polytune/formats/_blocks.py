"""Checks the place and shape of media, reasoning and tools in Bedrock's conversation rows.

Sources, read 2026-11-21: docs.aws.amazon.com/nova/latest/nova2-userguide/nova-data-prep-sft-2.html and the
validators that AWS publishes in aws-samples/amazon-nova-samples and aws/nova-forge-sdk.
"""

from __future__ import annotations

import re

from polytune.formats.interface import Block, Findings, MediaReference, Role, kind_of, shown

media_formats = {
    "image": ("png", "jpeg", "gif", "webp"),
    "video": ("mov", "mkv", "mp4", "webm"),
    "document": ("pdf",),
}
owner_of = {"reasoningContent": "assistant", "toolUse": "assistant", "toolResult": "user"}
"""The role that may send each kind of content; for media it is the user."""
content_keys = ("text", *media_formats, *owner_of)
media_uri = re.compile(r"s3://[\w\-/.]+", re.ASCII)
"""Stricter than S3 itself: this is what AWS's validators accept."""
uri_fix = "Give s3://bucket/key with letters, digits, _ - / and . only."


class Blocks:
    """Collects and checks a row's content besides text."""

    def __init__(self, findings: Findings, row: dict[str, object]) -> None:
        self.found: list[Block] = []
        self._findings = findings
        self._tools: frozenset[str] | None = None
        self._open: set[str] = set()
        """The ids of tool uses that have no result yet."""
        self._ids: set[str] = set()
        if "toolConfig" in row:
            self.found.append(Block("toolConfig", "toolConfig"))
            self._tools = self._tool_names(row["toolConfig"])

    def add(self, block: Block, value: object, role: Role | None) -> None:
        """The block has been recorded and checked."""
        self.found.append(block)
        owner = owner_of.get(block.kind, "user")
        if role is not None and role != owner:
            what = f"{block.kind} in a turn of the {role}"
            self._findings.error("block-place", block.field, what, f"Only the {owner} may send it.")
        elif not isinstance(value, dict):
            what = f"expected an object, found {kind_of(value)}"
            fix = "Write the block as the Converse API has it."
            self._findings.error("block-shape", block.field, what, fix)
        elif block.kind in media_formats:
            self._medium(block, value)
        elif block.kind == "reasoningContent":
            if reasoning_text(value) is None:
                fix = 'Write {"reasoningText": {"text": "..."}}.'
                self._findings.error("empty-text", block.field, "the reasoning has no text", fix)
        elif block.kind == "toolUse":
            self._tool_use(block, value)
        else:
            self._tool_result(block, value)

    def finish(self) -> None:
        """The rules for the row as a whole have been checked."""
        kinds = {block.kind for block in self.found}
        if "video" in kinds and kinds & {"image", "document"}:
            what, fix = "a video beside an image or document", "Use one kind of media in a dataset."
            self._findings.error("media-mixed", "messages", what, fix)

    def _medium(self, block: Block, value: dict[str, object]) -> None:
        known = media_formats[block.kind]
        if value.get("format") not in known:
            what = f"unknown {block.kind} format '{shown(str(value.get('format')))}'"
            self._findings.error("media-format", f"{block.field}.format", what, f"Use {', '.join(known)}.")
        if not media_uri.fullmatch(_uri(value)):
            field = f"{block.field}.source.s3Location.uri"
            self._findings.error("media-uri", field, "no usable S3 URI", uri_fix)

    def _tool_names(self, config: object) -> frozenset[str]:
        tools = config.get("tools") if isinstance(config, dict) else None
        if not isinstance(tools, list) or not tools:
            fix = 'Write {"tools": [{"toolSpec": {...}}].'
            self._findings.error("tool-config", "toolConfig.tools", "there are no tools", fix)
            return frozenset()
        names: set[str] = set()
        for index, tool in enumerate(tools):
            field = f"toolConfig.tools[{index}].toolSpec"
            spec = tool.get("toolSpec") if isinstance(tool, dict) else None
            name = self._tool_spec(spec if isinstance(spec, dict) else {}, field)
            if name in names:
                what = f"two tools are called '{shown(name)}'"
                self._findings.error(
                    "tool-config", f"{field}.name", what, "Give each tool a name of its own."
                )
            names.add(name)
        return frozenset(names - {""})

    def _tool_spec(self, spec: dict[str, object], field: str) -> str:
        """The tool's name; '' when it has none."""
        for key in ("name", "description"):
            if not _filled(spec.get(key)):
                what = f"the tool has no {key}"
                self._findings.error("tool-config", f"{field}.{key}", what, f"Give it a {key}.")
        schema = spec.get("inputSchema")
        json_schema = schema.get("json") if isinstance(schema, dict) else None
        if not isinstance(json_schema, dict) or "type" not in json_schema:
            what, fix = "the tool's input has no JSON Schema with a type", 'Write {"type": "object", ...}.'
            self._findings.error("tool-config", f"{field}.inputSchema.json", what, fix)
        name = spec.get("name")
        return name if isinstance(name, str) and _filled(name) else ""

    def _tool_use(self, block: Block, value: dict[str, object]) -> None:
        name, identifier = value.get("name"), value.get("toolUseId")
        if not isinstance(name, str) or name not in (self._tools or ()):
            what = f"toolConfig has no tool '{shown(str(name))}'"
            self._findings.error("tool-use", f"{block.field}.name", what, "Declare the tool in toolConfig.")
        if not isinstance(identifier, str) or not identifier or identifier in self._ids:
            what = "the toolUseId is missing or was used before"
            fix = "Give each use an id of its own."
            self._findings.error("tool-use", f"{block.field}.toolUseId", what, fix)
        else:
            self._ids.add(identifier)
            self._open.add(identifier)

    def _tool_result(self, block: Block, value: dict[str, object]) -> None:
        identifier = value.get("toolUseId")
        if not isinstance(identifier, str) or identifier not in self._open:
            what = f"no toolUse before waits for the result '{shown(str(identifier))}'"
            fix = "Answer each toolUse once, after it."
            self._findings.error("tool-result", f"{block.field}.toolUseId", what, fix)
        self._open.discard(str(identifier))
        content = value.get("content")
        items = content if isinstance(content, list) else [None]
        for index, item in enumerate(items):
            if not isinstance(item, dict) or len(set(item) & {"text", "json"}) != 1:
                field = f"{block.field}.content[{index}]"
                what = "the result is neither a text nor JSON"
                self._findings.error("tool-result", field, what, 'Write {"text": "..."} or {"json": {...}}.')


def reasoning_text(value: object) -> str | None:
    """The text of a reasoningContent block; None when it has none."""
    inner = value.get("reasoningText") if isinstance(value, dict) else None
    text = inner.get("text") if isinstance(inner, dict) else None
    return text if isinstance(text, str) and text.strip() else None


def media_in(content: object, field: str) -> list[MediaReference]:
    """The media in a list of blocks; misplaced ones are left out."""
    found = []
    for index, item in enumerate(content if isinstance(content, list) else ()):
        for kind in media_formats:
            value = item.get(kind) if isinstance(item, dict) else None
            if isinstance(value, dict) and _uri(value):
                place = f"{field}[{index}].{kind}.source.s3Location.uri"
                found.append(MediaReference(place, kind, _uri(value), str(value.get("format"))))
    return found


def _uri(value: dict[str, object]) -> str:
    source = value.get("source")
    location = source.get("s3Location") if isinstance(source, dict) else None
    uri = location.get("uri") if isinstance(location, dict) else None
    return uri if isinstance(uri, str) else ""


def _filled(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())
