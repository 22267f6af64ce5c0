"""personal-data: e-mail addresses, telephone numbers, card numbers and US social security numbers.

Card numbers must begin as some network's do and pass Luhn's check, which one random number in ten does.
Addresses of documentation (`example.com`) are reported too: a model learns them like any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain

from polytune.data.lint.rules.interface import Hit, Page, Rule
from polytune.formats.interface import Finding

_domain = re.compile(rb"@(?<=[A-Za-z0-9_%+-]@)((?:[A-Za-z0-9-]+\.)+([A-Za-z]{2,24}))(?![A-Za-z0-9_(])")
_local = re.compile(rb"[A-Za-z0-9._%+-]+\Z")
_card = re.compile(rb"0000(?:(?:[ -]?0000){2}[ -]?0{1,7}|[ -]000000[ -]00000?)")
_phones = [
    re.compile(pattern)
    for pattern in (rb"\+0[0 ().-]{7,20}0", rb"\(000\) ?000[-. ]0000", rb"000(?:-000-|\.000\.)0000")
]
_security = re.compile(rb"000-00-0000")
_files = frozenset(
    (
        *(
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
        ),
        *("rs", "java", "json", "yaml", "yml", "toml", "md", "txt", "html", "css", "scss", "lock", "service"),
        *("target", "local", "xml", "csv"),
    )
)
_nobody = frozenset(("git", "noreply", "no-reply", "donotreply", "do-not-reply"))
_beside = frozenset(b"0123456789.,_-/=:#+*%&")
_networks = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2(?:2[2-9]|[3-6]\d|7[01]|720)\d{12,13}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}"
    r"|6(?:011|5\d\d|4[4-9]\d)\d{12}|35\d{14}|62\d{14,17}"
)


class PersonalData(Rule):
    """One finding for each kind in each text."""

    name = "personal-data"
    severity = "warning"
    example = "assistant: Write to jane.doe@acme.com or call +1 415 555 2671."
    fix = "Replace it by a placeholder, or allow the row where it is public."

    def look(self, page: Page) -> Iterator[Finding]:
        told = set()
        for kind, hit in self._all(page):
            place = (kind, hit.row.line, hit.passage.field)
            if place not in told:
                told.add(place)
                yield self.found(hit.row, hit.passage.field, f"{kind}: {_masked(hit.text)}")

    def _all(self, page: Page) -> Iterator[tuple[str, Hit]]:
        for match in _domain.finditer(page.content):
            hit = _address(page, match)
            if hit is not None:
                yield "an e-mail address", hit
        for hit in page.hits(_card, page.digits):
            if _stands_alone(page, hit) and is_card(_digits(hit.text)):
                yield "a card number", hit
        for hit in chain.from_iterable(page.hits(each, page.digits) for each in _phones):
            if _stands_alone(page, hit) and is_phone(hit.text):
                yield "a telephone number", hit
        for hit in page.hits(_security, page.digits):
            if _stands_alone(page, hit) and is_security_number(hit.text):
                yield "a US social security number", hit


def is_card(number: str) -> bool:
    """Whether the digits may be a payment card's: a known network, 13 to 19 digits, Luhn's sum right."""
    if not _networks.fullmatch(number) or len(set(number)) == 1:
        return False
    total = 0
    for place, digit in enumerate(reversed(number)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0


def is_phone(text: str) -> bool:
    """Whether the text may be a telephone number: international, or of North America."""
    number = _digits(text)
    if text.startswith("+"):
        return 8 <= len(number) <= 15 and number[0] != "0" and len(set(number)) > 2
    return len(number) == 10 and number[0] in "23456789" and number[3] in "23456789"


def is_security_number(text: str) -> bool:
    """Whether the text may be a US social security number as they are issued."""
    area, group, serial = text.split("-")
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


def _address(page: Page, match: re.Match[bytes]) -> Hit | None:
    """The whole address; None when it is a file's name, a repository, or nobody's."""
    if match.group(2).lower().decode() in _files:
        return None
    content, at = page.content, match.start()
    local = _local.search(content[max(0, at - 64) : at])
    if local is None or local.group().decode().lower() in _nobody:
        return None
    start = at - len(local.group())
    if content[start - 1 : start] in (b"/", b":") and b"//" in content[max(0, start - 40) : start]:
        return None
    return page.hit(start, match.end())


def _stands_alone(page: Page, hit: Hit) -> bool:
    """Whether no digit, letter or sign of arithmetic touches it."""
    content = page.content
    before = content[hit.start - 1] if hit.start else 32
    after = content[hit.end] if hit.end < len(content) else 32
    beyond = content[hit.end + 1] if hit.end + 1 < len(content) else 32
    touches = chr(before).isalnum() or before in _beside - {58, 61} or before > 127
    if touches or chr(after).isalnum() or after == 95:
        return False
    return not (after in _beside and chr(beyond).isalnum())


def _digits(text: str) -> str:
    return "".join(filter(str.isdigit, text))


def _masked(text: str) -> str:
    """Enough of it to be found, too little to be used."""
    if "@" in text:
        local, _, domain = text.partition("@")
        return f"{local[:2]}…@{domain}"
    return f"{text[:4]}…{text[-2:]}"
