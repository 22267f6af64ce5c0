"""Finds strings that training text must not contain; optimised for data without any.

`System:` in a prompt is an error, `ecosystem:` is fine: a string counts when it is not part of a longer word.
Inside a longer word it counts only if it is spelled exactly as documented, and then as a warning.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from polytune.base_models.interface import Reserved
from polytune.formats.interface import Finding, Passage, Severity

shown_around = 16


class ReservedScanner:
    """Searches for one base model's reserved strings."""

    def __init__(self, reserved: Reserved) -> None:
        self._documented = frozenset(reserved.documented)
        strings = (*reserved.documented, *reserved.reported)
        self._anywhere = _anchored([_in_json(string.lower()) for string in strings])
        self._escape = b"\\u00" if "".join(strings).isascii() else b"\\u"
        self._spelling = {string.lower(): string for string in strings}
        self._pattern = re.compile("|".join(map(re.escape, strings)), re.IGNORECASE)

    def may_hold(self, raw: bytes) -> bool:
        """False when no text in these JSON bytes can contain a reserved string."""
        if not self._anywhere:
            return False
        lowered = raw.lower()
        for pattern in self._anywhere:
            if pattern.search(lowered):
                return True
        # An escaped character may hide part of one, as in "\u0055ser:".
        return self._escape in raw

    def places(self, text: bytes) -> Iterator[int]:
        """Byte offsets where a text may contain a reserved string; the text must not contain escapes."""
        lowered = text.lower()
        for pattern in self._anywhere:
            for match in pattern.finditer(lowered):
                yield match.start()

    def findings(self, passages: Sequence[Passage], line: int) -> list[Finding]:
        """The findings in the texts of one row; each string once per text."""
        return [finding for passage in passages for finding in self._in(passage, line)]

    def _in(self, passage: Passage, line: int) -> Iterator[Finding]:
        seen = set()
        for match in self._pattern.finditer(passage.text):
            severity = self._severity(match, passage)
            listed = self._spelling[match.group().lower()]
            if severity is not None and (listed, severity) not in seen:
                seen.add((listed, severity))
                yield Finding(
                    rule="reserved-string",
                    severity=severity,
                    line=line,
                    field=passage.field,
                    message=f"'{match.group()}' in {_around(match)}",
                    fix=f"Reword it: the base model's own markup uses '{listed}'.",
                )

    def _severity(self, match: re.Match[str], passage: Passage) -> Severity | None:
        found = match.group()
        documented = found in self._documented
        if _inside_a_word(match):
            return "warning" if documented else None
        return "error" if documented and passage.role != "assistant" else "warning"


def _in_json(string: str) -> bytes:
    """The string as it appears in JSON: a newline is a backslash and an n."""
    return json.dumps(string, ensure_ascii=False)[1:-1].encode()


def _anchored(needles: Sequence[bytes]) -> list[re.Pattern[bytes]]:
    """Patterns that find any of the strings, three times as fast as one alternation of all of them.

    The regex engine skips to a literal first byte quickly. So each pattern starts with the sign that its
    strings end or begin with (`:` in `user:`, `<` in `<image>`), and only then looks around.
    """
    before: dict[bytes, list[bytes]] = {}
    after: dict[bytes, list[bytes]] = {}
    for needle in needles:
        ends = needle[:1].isalnum() and not needle[-1:].isalnum()
        (before if ends else after).setdefault(needle[-1:] if ends else needle[:1], []).append(needle)
    patterns = [_starting(sign, found) for sign, found in after.items()]
    return [re.compile(pattern) for pattern in (*patterns, *(_ending(*item) for item in before.items()))]


def _starting(sign: bytes, needles: list[bytes]) -> bytes:
    return re.escape(sign) + b"(?:" + b"|".join(re.escape(needle[1:]) for needle in needles) + b")"


def _ending(sign: bytes, needles: list[bytes]) -> bytes:
    last = b"".join(sorted({re.escape(needle[-2:-1]) for needle in needles}))
    words = b"|".join(b"(?<=" + re.escape(needle) + b")" for needle in needles)
    return re.escape(sign) + b"(?<=[" + last + b"]" + re.escape(sign) + b")(?:" + words + b")"


def _inside_a_word(match: re.Match[str]) -> bool:
    start = match.start()
    if not start or not match.group()[0].isalnum():
        return False
    before = match.string[start - 1]
    return before.isalnum() or before == "_"


def _around(match: re.Match[str]) -> str:
    start, end = max(0, match.start() - shown_around), match.end() + shown_around
    left = "…" if start else ""
    right = "…" if end < len(match.string) else ""
    return f'"{left}{" ".join(match.string[start:end].split())}{right}"'
