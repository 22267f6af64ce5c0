"""What form an answer has: JSON, fenced code, code with prose beside it."""

from __future__ import annotations

import re

import msgspec

_decoder = msgspec.json.Decoder()
_fence = re.compile(r"^[ \t]*(?:```|~~~)[^\n`]*$", re.MULTILINE)
_block = re.compile(r"```[^\n`]*\n(.*?)```", re.DOTALL)


def json_error(text: str) -> str:
    """Why a text is no JSON value; '' when it is one."""
    try:
        _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeError) as error:
        return str(error).removeprefix("JSON is malformed: ")
    except RecursionError:
        return "nested too deeply"
    return ""


def is_json(text: str, *, lines: bool = False) -> bool:
    """Whether all of a text is one JSON value, or where `lines` will do, one on each line."""
    if lines:
        return all(not json_error(line) for line in text.splitlines() if line.strip())
    return not json_error(text)


def holds_json(text: str) -> bool:
    """Whether an object or array stands somewhere in a text, in a fence or free."""
    if is_json(text) or any(is_json(block) for block in _block.findall(text)):
        return True
    for opening, closing in ("{}", "[]"):
        start, end = text.find(opening), text.rfind(closing)
        if 0 <= start < end and is_json(text[start : end + 1]):
            return True
    return False


def is_fenced(text: str) -> bool:
    """Whether a text has a code fence on a line of its own."""
    return "```" in text and bool(_fence.search(text))


def outside_fences(text: str) -> str:
    """What of a text stands outside its code fences."""
    return _block.sub("", text).strip()


_phrase = re.compile(
    r"(?:sure|certainly|of course|absolutely|here(?:'s| is| are)|below is|the (?:following|above|code below)"
    r"|this (?:code|pattern|script|function|query|program|snippet|creates|will|is)"
    r"|i(?:'ve|'ll|'m| have| will| hope)"
    r"|note(?: that)?|explanation|let me|hope this|feel free|in this (?:code|example|pattern)|you can)\b",
    re.IGNORECASE,
)
_sentence = re.compile(r"[A-Z][a-z']*,?(?: [a-z0-9',-]+| [A-Z][A-Za-z]*| \([a-z ]+\)){4,}[.:!?]?")
_comment = ("//", "#", "--", "/*", "*", "%", ";", '"', "'''", "<!--", "(*")


def prose_in_code(text: str) -> str:
    """The first or last line of a text when it is a sentence and no code; '' when both may be code.

    The lines between are not looked at: they may stand in a docstring or a long string.
    """
    text = text.strip()
    for line in (text.partition("\n")[0].rstrip(), text.rpartition("\n")[2].lstrip()):
        if not line.startswith(_comment) and _is_prose(line.replace("\u2019", "'")):
            return line
    return ""


def _is_prose(line: str) -> bool:
    if _sentence.fullmatch(line):
        return True
    return line.endswith((".", ":", "!", "?")) and _phrase.match(line) is not None
