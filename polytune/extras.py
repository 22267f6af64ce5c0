"""The packages of an extra, as stated in the installed metadata.

Messages name these packages rather than `polytune[extra]`, because on the package index `polytune` is
another company's project.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.metadata import PackageNotFoundError, requires

distribution = "polytune-runner"
"""The name of the distribution; the package and the command are called `polytune`."""

_stated = re.compile(r"(?P<name>[\w.-]+)(?P<options>\[[^]]*\])?\s*(?P<range>[^;]*)(?:;(?P<marker>.*))?")
_of_extra = re.compile(r"""extra\s*==\s*["']([\w.-]+)["']""")


def install_command(extra: str, *packages: str) -> str:
    """Return the pip command for an extra, or for some of its packages: `pip install 'moto[server]>=5.2,<6'`.

    Packages are named as for pip. Without metadata, as in a checkout that is not installed, their version
    ranges are unknown and left out.
    """
    known = _requirements(extra)
    wanted = [known.get(_plain(name), name) for name in packages] or list(known.values())
    shown = " ".join(f"'{one}'" if re.search(r"[^\w.-]", one) else one for one in wanted)
    return f"pip install {shown}" if shown else "make quickstart"


@cache
def _requirements(extra: str) -> dict[str, str]:
    """Return the requirements of an extra, by package."""
    try:
        stated = requires(distribution) or []
    except PackageNotFoundError:
        return {}
    found = [
        match for line in stated if (match := _stated.fullmatch(line)) and _names(match["marker"], extra)
    ]
    return {_plain(match["name"]): _written(match) for match in found}


def _names(marker: str | None, extra: str) -> bool:
    return extra in _of_extra.findall(marker or "")


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _written(match: re.Match[str]) -> str:
    """Return a requirement with its lower bound first: `moto[server]>=5.2,<6`."""
    parts = [part.strip() for part in match["range"].split(",") if part.strip()]
    return match["name"] + (match["options"] or "") + ",".join(sorted(parts, reverse=True))
