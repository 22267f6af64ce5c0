"""Reads YAML text into located nodes, from libyaml's events.

Events rather than PyYAML's composed nodes: its composer crashes the interpreter on deep nesting, and its
YAML 1.1 scalars are not what people mean. Here `5e-5` is a number, and `2026-11-20`, `12:30` and `007` are
text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path

import yaml

from polytune.errors import Problem, SpecError
from polytune.spec.located import COMMAND_LINE, Node, Origin, Scalar, problem
from polytune.spec.syntax import syntax_problem

# Far above any real experiment; they bound the time and memory that a wrong or hostile file can take. JSON
# and SQLite integers end at 2**63 - 1.
most_bytes = 4_000_000
most_nodes = 50_000
most_levels = 40
largest_integer = 2**63 - 1

# YAML 1.1's words for booleans are kept. Its sexagesimal and octal numbers and its dates are not: they
# silently change what people mean as text.
null_words = re.compile(r"~|null|Null|NULL|")
true_words = re.compile(r"true|True|TRUE|yes|Yes|YES|on|On|ON")
false_words = re.compile(r"false|False|FALSE|no|No|NO|off|Off|OFF")
integers = re.compile(r"[-+]?(?:0|[1-9](?:_?[0-9])*)")
floats = re.compile(r"[-+]?(?:[0-9](?:_?[0-9])*\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
a_point_or_exponent = re.compile(r"[.eE]")
control_characters = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")

comments = re.compile(r"\s#")
structured = ("[", "{", '"', "'", "|", ">", "!", "&", "- ")
"""How a value from the command line begins if it is more than plain text."""
closing_events = (yaml.DocumentEndEvent, yaml.StreamEndEvent)

tag_prefix = "tag:yaml.org,2002:"


class _Refused(Exception):
    """Reading cannot continue; carries the problem."""

    def __init__(self, found: Problem) -> None:
        super().__init__(str(found))
        self.problem = found


def read_yaml(path: Path) -> Node:
    """Return the file's value. Raises SpecError with everything that is wrong in the text."""
    problems: list[Problem] = []
    node = read_located(path, problems)
    if node is None or problems:
        raise SpecError(problems)
    return node


def read_located(path: Path, problems: list[Problem]) -> Node | None:
    """Return the file's value and append every problem of its text; None when there is no value."""
    try:
        text = _text_of(path)
        return _parsed(text, Origin(path, 1, 1), problems)
    except _Refused as refused:
        problems.append(refused.problem)
        return None


def parse_value(text: str, where: str, problems: list[Problem]) -> Node | None:
    """Parse a value from the command line as YAML; None, with a problem appended, when it is invalid.

    A command line has no comments: `b # c` is a text.
    """
    if not text.strip():
        return Node(None, COMMAND_LINE, text=text, loose=True)
    if comments.search(text):
        if not text.lstrip().startswith(structured):
            return Node(text.strip(), COMMAND_LINE, text=text, loose=True)
        if rest := _after_value(text):
            what = (
                f"the text after the value is not used: {rest}; put the whole value in quotes if it is text"
            )
            problems.append(problem(COMMAND_LINE, where, what))
            return None
    found: list[Problem] = []
    node = None
    try:
        node = _parsed(text, COMMAND_LINE, found)
    except _Refused as refused:
        found.append(refused.problem)
    problems.extend(replace(each, line=0, column=0, where=where) for each in found)
    return None if found or node is None else replace(_without_places(node), text=text, loose=True)


def _after_value(text: str) -> str:
    """Return what follows the value, which YAML would take for a comment; '' for a value that is no YAML."""
    try:
        events = [event for event in yaml.parse(text) if not isinstance(event, closing_events)]
    except yaml.YAMLError:
        return ""
    end = events[-1].end_mark
    return text[end.index :].strip() if end is not None else ""


def scalar(text: str) -> Scalar:
    """Return the value of an unquoted YAML scalar. Raises ValueError when a number is out of range."""
    if null_words.fullmatch(text):
        return None
    if true_words.fullmatch(text):
        return True
    if false_words.fullmatch(text):
        return False
    if integers.fullmatch(text):
        return _integer(text)
    if a_point_or_exponent.search(text) and floats.fullmatch(text):
        return _float(text)
    return text


def _integer(text: str) -> int:
    # The length first: Python converts very long digit strings in quadratic time.
    if len(text) > 30 or abs(int(text)) > largest_integer:
        raise ValueError(f"{_short(text)} is too large a number; put it in quotes if it is text")
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError(f"{_short(text)} is too large a number; put it in quotes if it is text")
    return value


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."


def _text_of(path: Path) -> str:
    start = Origin(path, 0, 0)
    try:
        if not path.is_file():
            missing = "is a folder, not a file" if path.is_dir() else "no such file"
            raise _Refused(problem(start, "", missing))
        if path.stat().st_size > most_bytes:
            too_large = f"is larger than {most_bytes // 1_000_000} MB; is this an experiment file?"
            raise _Refused(problem(start, "", too_large))
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        raise _Refused(problem(start, "", f"cannot be read: {error}")) from None
    return _decoded(path, content)


def _decoded(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode(errors="replace")
        what = f"byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise _Refused(problem(_position(path, before), "", what)) from None


def _position(path: Path, before: str) -> Origin:
    return Origin(path, before.count("\n") + 1, len(before) - before.rfind("\n"))


def _parsed(text: str, start: Origin, problems: list[Problem]) -> Node:
    if control := control_characters.search(text):
        what = f"control character 0x{ord(control[0]):02x}; this does not look like a YAML file"
        raise _Refused(problem(_position(start.file, text[: control.start()]), "", what))
    try:
        return _Reader(text, start, problems).document()
    except yaml.MarkedYAMLError as error:
        raise _Refused(syntax_problem(error, start, text)) from None
    except (yaml.YAMLError, UnicodeEncodeError):
        raise _Refused(problem(start, "", "holds characters that YAML does not allow")) from None


def _without_places(node: Node) -> Node:
    """Return the same values, all with the command line as their origin."""
    value = node.value
    if isinstance(value, tuple):
        value = tuple(map(_without_places, value))
    elif isinstance(value, dict):
        value = {key: _without_places(item) for key, item in value.items()}
    keys = dict.fromkeys(node.keys, COMMAND_LINE)
    return Node(value, COMMAND_LINE, keys, node.text)


@dataclass
class _Entries:
    """A mapping that is being read."""

    value: dict[str, Node] = field(default_factory=dict)
    keys: dict[str, Origin] = field(default_factory=dict)
    merged: list[Node] = field(default_factory=list)
    lost: bool = False
    """Whether a key could not be kept."""


class _Reader:
    """One pass over the events of one document."""

    def __init__(self, text: str, start: Origin, problems: list[Problem]) -> None:
        self._loader = yaml.CSafeLoader(text)
        self._start = start
        self._problems = problems
        self._anchors: dict[str, Node | None] = {}
        self._sizes: dict[int, int] = {}
        self._count = 0
        self._level = 0

    def document(self) -> Node:
        """Return the only document. Raises _Refused when there is none or more than one."""
        self._next()
        if isinstance(self._next(), yaml.StreamEndEvent):
            raise _Refused(problem(self._start, "", "the file is empty"))
        node = self._node(self._next())
        self._next()
        if not isinstance(after := self._next(), yaml.StreamEndEvent):
            raise self._refused(after, "a second document starts here; a file holds one experiment")
        return node

    def _next(self) -> yaml.Event:
        event = self._loader.get_event()
        assert isinstance(event, yaml.Event)
        return event

    def _origin(self, event: yaml.Event) -> Origin:
        mark = event.start_mark
        assert mark is not None
        return Origin(self._start.file, mark.line + 1, mark.column + 1)

    def _report(self, event: yaml.Event, what: str) -> None:
        self._problems.append(problem(self._origin(event), "", what))

    def _refused(self, event: yaml.Event, what: str) -> _Refused:
        return _Refused(problem(self._origin(event), "", what))

    def _node(self, event: yaml.Event) -> Node:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        assert isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)
        anchor = event.anchor
        if anchor:
            # None while the anchored value is being read, so that an alias inside it is detected.
            self._anchors[anchor] = None
        before = self._count
        node = self._fresh(event)
        if anchor:
            self._anchors[anchor] = node
            self._sizes[id(node)] = self._count - before
        return node

    def _alias(self, event: yaml.AliasEvent) -> Node:
        name = event.anchor
        if name not in self._anchors:
            raise self._refused(event, f"no anchor '&{name}' before '*{name}'")
        node = self._anchors[name]
        if node is None:
            raise self._refused(event, f"'*{name}' stands inside '&{name}' and would contain itself")
        # An alias counts as many values as it repeats: nested aliases grow exponentially.
        self._counted(event, self._sizes[id(node)])
        return node

    def _counted(self, event: yaml.Event, more: int) -> None:
        self._count += more
        if self._count > most_nodes:
            raise self._refused(event, f"more than {most_nodes:,} values, counting repeated aliases")

    def _fresh(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> Node:
        self._counted(event, 1)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if self._level == most_levels:
            raise self._refused(event, f"nested deeper than {most_levels} levels")
        self._level += 1
        is_list = isinstance(event, yaml.SequenceStartEvent)
        self._only_tag(event, "seq" if is_list else "map")
        node = self._list(event) if is_list else self._mapping(event)
        self._level -= 1
        return node

    def _only_tag(self, event: yaml.CollectionStartEvent, allowed: str) -> None:
        if event.tag not in (None, "!", tag_prefix + allowed):
            self._report(event, f"the tag {_shown_tag(event.tag)} is not supported; write a plain value")

    def _scalar(self, event: yaml.ScalarEvent) -> Node:
        value: Scalar = event.value
        origin = self._origin(event)
        try:
            value = self._typed(event)
        except ValueError as error:
            self._report(event, str(error))
            return Node(value, origin, text=event.value, broken=True)
        return Node(value, origin, text=event.value)

    def _typed(self, event: yaml.ScalarEvent) -> Scalar:
        text: str = event.value
        if event.tag in (None, "!"):
            return scalar(text) if event.implicit[0] and event.tag is None else text
        check = _tag_types.get(event.tag.removeprefix(tag_prefix))
        if check is None:
            raise ValueError(f"the tag {_shown_tag(event.tag)} is not supported; write a plain value")
        return check(text)

    def _list(self, event: yaml.Event) -> Node:
        items = []
        while not isinstance(following := self._next(), yaml.SequenceEndEvent):
            items.append(self._node(following))
        return Node(tuple(items), self._origin(event))

    def _mapping(self, event: yaml.Event) -> Node:
        entries = _Entries()
        while not isinstance(following := self._next(), yaml.MappingEndEvent):
            self._entry(entries, following)
        value, keys = entries.value, entries.keys
        for source in entries.merged:
            assert isinstance(source.value, dict)
            # As YAML's merge key demands: the mapping's own keys win, then the earlier source.
            value = {**source.value, **value}
            keys = {**source.keys, **keys}
        return Node(value, self._origin(event), keys, incomplete=entries.lost)

    def _entry(self, entries: _Entries, event: yaml.Event) -> None:
        is_plain = isinstance(event, yaml.ScalarEvent) and event.implicit[0] and event.tag is None
        key = self._node(event)
        value_event = self._next()
        value = self._node(value_event)
        if is_plain and key.value == "<<":
            entries.merged.extend(self._merged(value_event, value))
        elif not isinstance(key.value, str):
            entries.lost = True
            self._report(event, _key_complaint(key))
        elif key.value in entries.value:
            first = entries.keys[key.value]
            what = f"duplicate key '{key.value}'; it is also on line {first.line}, column {first.column}"
            self._report(event, what)
        else:
            entries.value[key.value] = value
            entries.keys[key.value] = self._origin(event)

    def _merged(self, event: yaml.Event, value: Node) -> list[Node]:
        sources = value.value if isinstance(value.value, tuple) else (value,)
        if all(isinstance(source.value, dict) for source in sources):
            return list(sources)
        self._report(event, "'<<' takes a mapping or a list of mappings")
        return []


def _key_complaint(key: Node) -> str:
    if isinstance(key.value, tuple | dict):
        return "a key must be text, not a list or a mapping"
    kind = {bool: "true or false", type(None): "nothing"}.get(type(key.value), "a number")
    return f"the key '{key.text}' means {kind} in YAML; put the key in quotes"


def _shown_tag(tag: str) -> str:
    return "!!" + tag.removeprefix(tag_prefix) if tag.startswith(tag_prefix) else tag


def _exactly(kind: type, name: str) -> Callable[[str], Scalar]:
    def check(text: str) -> Scalar:
        value = scalar(text)
        if type(value) is int and kind is float:
            value = float(value)
        if type(value) is not kind:
            raise ValueError(f"'{_short(text)}' does not match its tag !!{name}")
        return value

    return check


_tag_types: dict[str, Callable[[str], Scalar]] = {
    "str": str,
    "int": _exactly(int, "int"),
    "float": _exactly(float, "float"),
    "bool": _exactly(bool, "bool"),
    "null": _exactly(type(None), "null"),
}
