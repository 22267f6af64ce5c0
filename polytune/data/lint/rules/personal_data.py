"""personal-data: e-mail addresses, telephone numbers, card numbers and US social security numbers.

Patterns find candidates; phonenumbers and python-stdnum decide whether they can be valid. Addresses reserved
for documentation (`example.com`) are reported too: a model learns them like any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import chain

from polytune.data.lint.rules.interface import Hit, LintBlock, Rule
from polytune.extras import install_command
from polytune.formats.interface import Finding

# Python's own `re` is safe here on hostile text: no pattern backtracks over more than one word.
_domain = re.compile(rb"@(?<=[A-Za-z0-9_%+-]@)((?:[A-Za-z0-9-]+\.)+([A-Za-z]{2,24}))(?![A-Za-z0-9_(])")
_local = re.compile(rb"[A-Za-z0-9._%+-]+\Z")
_card = re.compile(rb"0000(?:(?:[ -]?0000){2}[ -]?0{1,7}|[ -]000000[ -]00000?)")
_phones = [
    re.compile(pattern)
    for pattern in (rb"\+0[0 ().-]{7,20}0", rb"\(000\) ?000[-. ]0000", rb"000(?:-000-|\.000\.)0000")
]
_security = re.compile(rb"000-00-0000")
_file_endings = frozenset(
    [
        "png",
        "jpg",
        "jpeg",
        "gif",
        "svg",
        "webp",
        "ico",
        "js",
        "jsx",
        "ts",
        "tsx",
        "mjs",
        "py",
        "rb",
        "go",
        "rs",
        "java",
        "json",
        "yaml",
        "yml",
        "toml",
        "md",
        "txt",
        "html",
        "css",
        "scss",
        "lock",
        "service",
        "target",
        "local",
        "xml",
        "csv",
    ]
)
_role_accounts = frozenset(("git", "noreply", "no-reply", "donotreply", "do-not-reply"))
_touching = frozenset(b"0123456789.,_-/=:#+*%&")
_first_card_digits = "23456"
"""The first digits of payment networks, by ISO/IEC 7812; numbers of other issuers are not payment cards."""


class PersonalData(Rule):
    """Reports each kind once per text.

    Measured on the 52 texts of tests/data/labelled_personal.py, 2026-12: of 30 texts with personal data it
    found 22 (e-mail addresses 6 of 8, telephone numbers 9 of 12, card numbers 5 of 7, US social security
    numbers 2 of 3), and of 22 texts without any it reported 1. It misses addresses in words or with other
    letters than those of English, national telephone numbers outside North America, and numbers without
    separators or inside a query string.
    """

    name = "personal-data"
    severity = "warning"
    example = "assistant: Write to jane.doe@acme.com or call +1 415 555 2671."
    fix = "Replace it with a placeholder, or allow the row if the data is public."

    def unchecked(self) -> str:
        """The kinds that cannot be told without their packages."""
        absent = [name for name in ("phonenumbers", "stdnum") if find_spec(name) is None]
        kinds = {"phonenumbers": "telephone numbers", "stdnum": "card and social security numbers"}
        packages = {"phonenumbers": "phonenumbers", "stdnum": "python-stdnum"}
        if not absent:
            return ""
        what = ", ".join(kinds[name] for name in absent)
        return f"{what}: run `{install_command('lint', *(packages[name] for name in absent))}`"

    def check(self, block: LintBlock) -> Iterator[Finding]:
        reported = set()
        for kind, hit in self._all(block):
            place = (kind, hit.row.line, hit.passage.field)
            if place not in reported:
                reported.add(place)
                yield self.finding(hit.row, hit.passage.field, f"{kind}: {_masked(hit.text)}")

    def _all(self, block: LintBlock) -> Iterator[tuple[str, Hit]]:
        for match in _domain.finditer(block.content):
            hit = _address(block, match)
            if hit is not None:
                yield "an e-mail address", hit
        for hit in block.hits(_card, block.digits):
            if _stands_alone(block, hit) and is_card(hit.text):
                yield "a card number", hit
        for hit in chain.from_iterable(block.hits(each, block.digits) for each in _phones):
            if _stands_alone(block, hit) and is_phone(hit.text):
                yield "a telephone number", hit
        for hit in block.hits(_security, block.digits):
            if _stands_alone(block, hit) and is_security_number(hit.text):
                yield "a US social security number", hit


def is_card(text: str) -> bool:
    """Whether it may be a payment card number; False without python-stdnum.

    One random number in ten has a valid check digit.
    """
    try:
        from stdnum import luhn
    except ModuleNotFoundError:
        return False
    number = "".join(filter(str.isdigit, text))
    return number[0] in _first_card_digits and bool(luhn.is_valid(number))


def is_phone(text: str) -> bool:
    """Whether it may be a telephone number, international or of North America; False without phonenumbers."""
    try:
        import phonenumbers
    except ModuleNotFoundError:
        return False
    try:
        number = phonenumbers.parse(text, "US")
    except phonenumbers.NumberParseException:
        return False
    return bool(phonenumbers.is_valid_number(number))


def is_security_number(text: str) -> bool:
    """Whether it may be an issued US social security number; False without python-stdnum."""
    try:
        from stdnum.us import ssn
    except ModuleNotFoundError:
        return False
    return bool(ssn.is_valid(text))


def _address(block: LintBlock, match: re.Match[bytes]) -> Hit | None:
    """The whole address; None for a file name, a repository or a role account."""
    # The pattern matches from the @ on, which is rare; only then is the local part searched backwards.
    if match.group(2).lower().decode() in _file_endings:
        return None
    content, at = block.content, match.start()
    local = _local.search(content[max(0, at - 64) : at])
    if local is None or local.group().decode().lower() in _role_accounts:
        return None
    start = at - len(local.group())
    if content[start - 1 : start] in (b"/", b":") and b"//" in content[max(0, start - 40) : start]:
        return None
    return block.hit(start, match.end())


def _stands_alone(block: LintBlock, hit: Hit) -> bool:
    """Whether no digit, letter or arithmetic sign is next to it."""
    content = block.content
    before = content[hit.start - 1] if hit.start else 32
    after = content[hit.end] if hit.end < len(content) else 32
    beyond = content[hit.end + 1] if hit.end + 1 < len(content) else 32
    # ':' and '=' often introduce a number; a byte above 127 is part of a letter.
    touches = chr(before).isalnum() or before in _touching - {58, 61} or before > 127
    if touches or chr(after).isalnum() or after == 95:
        return False
    return not (after in _touching and chr(beyond).isalnum())


def _masked(text: str) -> str:
    """The text, masked: enough to find it, not enough to use it."""
    if "@" in text:
        local, _, domain = text.partition("@")
        return f"{local[:2]}…@{domain}"
    return f"{text[:4]}…{text[-2:]}"
