"""Families of interchangeable parts: a name in YAML is a file or folder in the family's folder.

    teacher: {kind: replay}    ->  polytune/teachers/replay.py, the one subclass of Teacher in it
    platform: {kind: bedrock}  ->  polytune/platforms/bedrock/platform.py, the one subclass of Platform

The reason why a kind was removed is kept in `RETIRED`, in the folder's `__init__.py`.
Other packages add members through the entry-point group `polytune.<family>`, and so do polytune's own
domains: `polytune/strudel/` registers a grader and a teacher in pyproject.toml. A member is imported only
when it is named, so start-up time does not grow with the number of parts.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import EntryPoint, distributions
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Generic, Self, TypeVar

from polytune.errors import UsageError, did_you_mean

T = TypeVar("T")

contracts = ("interface", "management")
"""Files in a family's folder that define its interfaces and are not members."""


class UnknownMember(UsageError):
    """No member of the family has this name."""

    def __init__(self, noun: str, name: str, known: Sequence[str], retired: str = "") -> None:
        """`retired`: why a member with that name was removed, and what to use instead; '' for no reason."""
        nearest = did_you_mean(name, known)
        super().__init__(
            f"{noun} '{name}' is retired: {retired}" if retired else f"unknown {noun} '{name}'.{nearest}"
        )


@dataclass(frozen=True)
class Family(Generic[T]):
    """A folder of interchangeable parts with one interface."""

    name: str
    """The folder under `polytune/` and the last part of the entry-point group."""
    noun: str
    """What messages call a member: 'teacher', 'step kind'."""
    interface: type[T]
    dashes: bool = False
    """Whether names are written with dashes: `nova-lite` is `nova_lite.py`."""
    file: str = ""
    """The file in a member's folder that holds the class. Only folders with that file are members, so two
    families can share a folder. '' means the family's name in the singular; a member may then be a file."""
    group: str = ""
    """The last part of the entry-point group, if it is not the folder's name."""

    def unknown(self, name: str) -> str:
        """Return the error message for an unknown name; '' for a known one."""
        names = self.names()
        return "" if name in names else str(self._unknown(name))

    def checked(self, name: str) -> str:
        """Return the name, as a validator of a field. Raises ValueError for an unknown one."""
        if unknown := self.unknown(name):
            raise ValueError(unknown)
        return name

    def names(self) -> list[str]:
        """Return every member's name, sorted; imports none of them."""
        built_in = set(_modules(f"polytune.{self.name}"))
        if self.file:
            package = importlib.import_module(f"polytune.{self.name}")
            folders = [Path(folder) for folder in package.__path__]
            # Looked up on disk, not imported: names are listed for every spelling suggestion.
            built_in = {m for m in built_in if any((f / m / f"{self.file}.py").is_file() for f in folders)}
        if self.dashes:
            built_in = {name.replace("_", "-") for name in built_in}
        return sorted(built_in | _third_party(self.group or self.name).keys())

    def load(self, name: str) -> type[T]:
        """Return the class of the member called `name`.

        Raises UnknownMember, with the nearest name, when there is none.
        """
        third_party = _third_party(self.group or self.name)
        # An installed package wins over a built-in part of the same name, so that users can replace one.
        if name in third_party:
            return self._checked(third_party[name].load(), name)
        if name not in self.names():
            raise self._unknown(name)
        return self._only_subclass(self.module(name))

    def module(self, name: str) -> ModuleType:
        """Return the module that holds the built-in member called `name`.

        A member that is a folder keeps its class in a file named after the family, in the singular.
        """
        stem = name.replace("-", "_") if self.dashes else name
        module = importlib.import_module(f"polytune.{self.name}.{stem}")
        if hasattr(module, "__path__"):
            file = self.file or self.name.rpartition(".")[2].removesuffix("s")
            module = importlib.import_module(f"{module.__name__}.{file}")
        return module

    def _unknown(self, name: str) -> UnknownMember:
        """Return the error for an unknown name; for a removed member it states the reason."""
        package = importlib.import_module(f"polytune.{self.name}")
        retired: Mapping[str, str] = getattr(package, "RETIRED", {})
        return UnknownMember(self.noun, name, self.names(), retired.get(name, ""))

    def _only_subclass(self, module: ModuleType) -> type[T]:
        found = [
            value
            for value in vars(module).values()
            if isinstance(value, type)
            and issubclass(value, self.interface)
            # Base classes that the module imports do not count.
            and value.__module__ == module.__name__
        ]
        if len(found) != 1:
            message = f"{module.__name__} must define exactly one {self.interface.__name__}"
            raise TypeError(f"{message}; it defines {len(found)}")
        return found[0]

    def _checked(self, value: object, name: str) -> type[T]:
        if isinstance(value, type) and issubclass(value, self.interface):
            return value
        raise TypeError(f"entry point {name} of polytune.{self.name} is no {self.noun}")


@dataclass(frozen=True)
class Catalogue(Generic[T]):
    """A family whose members are facts rather than behaviour: frozen values of one type, found by name.

    A file holds one entry, named after the file, or a table of near-identical entries by name:

        tiny_llama.py   TINY_LLAMA = BaseModelEntry(...)                       ->  tiny-llama
        llama.py        LLAMA = {"llama-3-1-8b": BaseModelEntry(...), ...}     ->  llama-3-1-8b, ...

    Only a table knows its names, so listing names imports every file once; the files hold facts and import
    nothing heavy. The name of an entry point is the entry's name, and its value the entry.
    """

    name: str
    noun: str
    interface: type[T]
    home: str = "polytune"
    """The package whose folder `name` holds the built-in entries."""

    def unknown(self, name: str) -> str:
        """Return the error message for an unknown name; '' for a known one."""
        names = self.names()
        return "" if name in names else str(UnknownMember(self.noun, name, names))

    def checked(self, name: str) -> str:
        """Return the name, as a validator of a field. Raises ValueError for an unknown one."""
        if unknown := self.unknown(name):
            raise ValueError(unknown)
        return name

    def names(self) -> list[str]:
        """Return every entry's name, written with dashes, sorted."""
        return sorted(self._built_in.keys() | _third_party(self.name).keys())

    def get(self, name: str) -> T:
        """Return the entry called `name`. Raises UnknownMember, with the nearest name, when there is none."""
        if point := _third_party(self.name).get(name):
            entry = point.load()
            if not isinstance(entry, self.interface):
                raise TypeError(f"entry point {name} of polytune.{self.name} is no {self.noun}")
            return entry
        if name not in self._built_in:
            raise UnknownMember(self.noun, name, self.names())
        return self._built_in[name]

    @cached_property
    def _built_in(self) -> Mapping[str, T]:
        """Every entry by name. Raises TypeError for a file without an entry and for a name stated twice."""
        found: dict[str, T] = {}
        for stem in _modules(f"{self.home}.{self.name}"):
            entries = self._entries(importlib.import_module(f"{self.home}.{self.name}.{stem}"))
            if twice := found.keys() & entries.keys():
                raise TypeError(f"{self.home}.{self.name}.{stem}: {', '.join(twice)} is in another file too")
            found |= entries
        return found

    def _entries(self, module: ModuleType) -> Mapping[str, T]:
        stem = module.__name__.rpartition(".")[2]
        found: list[Mapping[str, T]] = []
        for value in vars(module).values():
            if isinstance(value, self.interface):
                found.append({stem.replace("_", "-"): value})
            elif (
                isinstance(value, Mapping)
                and value
                and all(isinstance(v, self.interface) for v in value.values())
            ):
                found.append(value)
        if len(found) != 1:
            raise TypeError(
                f"{module.__name__} must hold exactly one {self.interface.__name__}, or one table"
            )
        return found[0]


# Cached: names are listed each time that a member is loaded.
@cache
def _modules(package_name: str) -> tuple[str, ...]:
    """Return the names of the files and folders of a family's package that are members."""
    package = importlib.import_module(package_name)
    names = (module.name for module in pkgutil.iter_modules(package.__path__))
    return tuple(name for name in names if name not in contracts and not name.startswith("_"))


def _third_party(family: str) -> Mapping[str, EntryPoint]:
    """Return the members that other packages add to a family, by name."""
    return _entry_points(tuple(sys.path)).get(f"polytune.{family}", {})


def has_foreign_members() -> bool:
    """Whether a package other than polytune adds a member to any family."""
    groups = _entry_points(tuple(sys.path)).values()
    return any(not point.module.startswith("polytune.") for group in groups for point in group.values())


@cache
def _entry_points(path: tuple[str, ...]) -> Mapping[str, Mapping[str, EntryPoint]]:
    """Return polytune's entry points on the search path, by group and name.

    Cached: reading them takes tens of milliseconds.
    """
    found: dict[str, dict[str, EntryPoint]] = {}
    for point in (point for installed in distributions() for point in installed.entry_points):
        if point.group.startswith("polytune."):
            found.setdefault(point.group, {})[point.name] = point
    return found


class Openable:
    """A member that may keep a process or connection open while it works; the default keeps none."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None
