"""What differs between two sides: values, files, steps, and the first step with a different result.

same        the same key (and the same output, where both are known)
changed     its own spec, files, version or facts differ
follows     only its inputs differ
added       only the second side has it; `removed`: only the first
unfinished  the same so far, but finished on one side only
unstable    same key, but different output
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import assert_never

import msgspec

from polytune.engine.artifacts import Facts, KeyRecord, changes
from polytune.engine.comparand import Comparand, ComparandStep, run_folder_to_root
from polytune.engine.textdiff import TextDifference, compare_files

identity_fields = ("name", "description", "licence", "tags")
"""Fields that identify an experiment and do not affect its output."""
groups = ("spec", "inputs", "files", "version", "facts", "format")
"""The parts of a key record, most informative first."""
# Two values, an arrow and a name fit into a terminal line of 120 columns.
shown_characters = 48
unstable_words = "same key, but different output"


class Relation(StrEnum):
    """How a step on one side relates to the same step on the other."""

    SAME = "same"
    CHANGED = "changed"
    FOLLOWS = "follows"
    ADDED = "added"
    REMOVED = "removed"
    UNFINISHED = "unfinished"
    UNSTABLE = "unstable"


class ValueChange(msgspec.Struct, frozen=True, kw_only=True):
    """One value that differs; None where a side has no such value."""

    path: str
    """Dotted path. In a step's changes it starts with a part of the record: `spec.count`, `facts.rules`."""
    old: str | None
    new: str | None
    old_origin: str = ""
    """`file:line`, `--set` or `env:NAME`; '' for a default."""
    new_origin: str = ""


class StepDifference(msgspec.Struct, frozen=True, kw_only=True):
    """One step on both sides."""

    id: str
    kind: str
    relation: Relation
    changes: tuple[ValueChange, ...] = ()
    """Its own differences, inputs excluded."""
    follows: tuple[str, ...] = ()
    """Steps whose output, read by this one, differs."""
    same_output: bool = False
    """Whether both outputs are known and equal."""
    old_status: str = ""
    """'' when the side is a file or has no such step."""
    new_status: str = ""
    reused_from: str = ""
    """`experiment/run` that made the second side's output, if another run made it."""


class FileChange(msgspec.Struct, frozen=True, kw_only=True):
    """A file that both specs name and whose content differs."""

    step: str
    field: str
    old_path: str
    new_path: str
    old_digest: str
    new_digest: str
    text: TextDifference


class First(msgspec.Struct, frozen=True, kw_only=True):
    """The first difference, in running order."""

    step: str
    """'' when no step differs, only a value that affects no step's output."""
    cause: str
    origin: str = ""


class Structure(msgspec.Struct, frozen=True, kw_only=True):
    """All differences between two sides, metrics excluded."""

    first: First | None
    """None when nothing differs."""
    values: tuple[ValueChange, ...]
    """Values of the resolved experiments, without names and descriptions."""
    files: tuple[FileChange, ...]
    steps: tuple[StepDifference, ...]
    """Every step, in running order."""


def structural_difference(old: Comparand, new: Comparand) -> Structure:
    """Return what differs, in running order. Reads only the files whose content differs."""
    steps: dict[str, StepDifference] = {}
    for name in merged_order(old.order, new.order):
        steps[name] = _Pair(old, new, name, steps).difference()
    values = tuple(_value_changes(old, new))
    return Structure(
        first=_first(steps.values(), values, new),
        values=values,
        files=tuple(change for step in steps.values() for change in _file_changes(step, old, new)),
        steps=tuple(steps.values()),
    )


def merged_order(old: Sequence[str], new: Sequence[str]) -> list[str]:
    """Return the second order, with each step that only the first has right after its predecessors there."""
    order = list(new)
    for place, name in enumerate(old):
        if name not in order:
            before = [order.index(other) for other in old[:place] if other in order]
            order.insert(max(before, default=-1) + 1, name)
    return order


class _Pair:
    """Compares one step on both sides, given the results for the steps before it."""

    def __init__(
        self, old: Comparand, new: Comparand, name: str, before: Mapping[str, StepDifference]
    ) -> None:
        self.sides = (old, new)
        self.name = name
        self.before = before
        self.old, self.new = old.steps.get(name), new.steps.get(name)

    def difference(self) -> StepDifference:
        """Return how the step differs."""
        old, new = self.old, self.new
        if old is None or new is None:
            only = old or new
            assert only is not None
            relation = Relation.ADDED if old is None else Relation.REMOVED
            return self._told(only, relation)
        own, follows = self._changes(old, new), self._follows(old, new)
        return self._told(new, self._relation(old, new, own, follows), own, follows)

    def _told(
        self,
        step: ComparandStep,
        relation: Relation,
        own: tuple[ValueChange, ...] = (),
        follows: tuple[str, ...] = (),
    ) -> StepDifference:
        reports = [each.report if each else None for each in (self.old, self.new)]
        outputs = [each.output_digest if each else "" for each in (self.old, self.new)]
        return StepDifference(
            id=self.name,
            kind=step.kind,
            relation=relation,
            changes=own,
            follows=follows,
            same_output=bool(outputs[0]) and outputs[0] == outputs[1],
            old_status=str(reports[0].status) if reports[0] else "",
            new_status=str(reports[1].status) if reports[1] else "",
            reused_from=reports[1].from_run if reports[1] else "",
        )

    def _relation(
        self, old: ComparandStep, new: ComparandStep, own: tuple[ValueChange, ...], follows: tuple[str, ...]
    ) -> Relation:
        # In this order: a step that was edited and also has new inputs was, first of all, edited.
        if own:
            return Relation.CHANGED
        if follows:
            return Relation.FOLLOWS
        # Only between two runs: a file has not been run, so nothing about it is unfinished.
        if old.report is not None and new.report is not None and old.complete != new.complete:
            return Relation.UNFINISHED
        if old.output_digest and new.output_digest and old.output_digest != new.output_digest:
            return Relation.UNSTABLE
        return Relation.SAME

    def _changes(self, old: ComparandStep, new: ComparandStep) -> tuple[ValueChange, ...]:
        found = [*self._own_changes(old, new), *self._rewired(old, new)]
        stated = {_last(each.path) for each in found if each.path.startswith("spec.")}
        # The hyperparameters in a step's facts repeat values of its spec. Report each change once.
        kept = [each for each in found if not (each.path.startswith("facts.") and _last(each.path) in stated)]
        return tuple(sorted(kept, key=lambda each: groups.index(each.path.partition(".")[0])))

    def _own_changes(self, old: ComparandStep, new: ComparandStep) -> list[ValueChange]:
        """Compare the key records, or the stated specs where a run never reached the step."""
        if old.kind != new.kind:
            return [ValueChange(path="spec.uses", old=old.kind, new=new.kind)]
        if old.record is not None and new.record is not None:
            # Inputs are left out: a different input is the other step's change, reported as `follows`.
            inner = changes(
                msgspec.structs.replace(old.record, inputs={}), msgspec.structs.replace(new.record, inputs={})
            )
            return [self._located(each.path, each.old, each.new) for each in inner]
        # Without a record on one side, all that can be compared is what the two files say.
        specs = [side.spec.get("steps", {}).get(self.name, {}) for side in self.sides]
        return [self._located(f"spec.{path}", *pair) for path, pair in _leaf_pairs(*specs)]

    def _located(self, path: str, old: str | None, new: str | None) -> ValueChange:
        group, _, name = path.partition(".")
        stated = group in ("spec", "files")
        known = [_origin(side.origins, self.name, name) if stated else "" for side in self.sides]
        return ValueChange(path=path, old=old, new=new, old_origin=known[0], new_origin=known[1])

    def _rewired(self, old: ComparandStep, new: ComparandStep) -> Iterator[ValueChange]:
        """Yield the ports that are now fed by a different step."""
        for port in sorted(old.feeds.keys() & new.feeds.keys()):
            if old.feeds[port] != new.feeds[port]:
                yield ValueChange(path=f"inputs.{port}", old=old.feeds[port], new=new.feeds[port])

    def _follows(self, old: ComparandStep, new: ComparandStep) -> tuple[str, ...]:
        """Return the steps that feed both sides and whose output differs, or will differ."""
        found = []
        for port in sorted({*old.feeds, *new.feeds, *_ports(old), *_ports(new)}):
            source = new.feeds.get(port, old.feeds.get(port, port))
            if old.feeds.get(port, source) == source and self._another(old, new, port, source):
                found.append(source)
        return tuple(dict.fromkeys(found))

    def _another(self, old: ComparandStep, new: ComparandStep, port: str, source: str) -> bool:
        known = [_ports(step).get(port) for step in (old, new)]
        # Two known digests decide. Otherwise the question is whether the step behind the port will differ.
        if known[0] and known[1]:
            return known[0] != known[1]
        return source in self.before and differs(self.before[source])


def _ports(step: ComparandStep) -> Mapping[str, str]:
    """Return the known digests, by port."""
    return step.record.inputs if step.record is not None else {}


def differs(step: StepDifference) -> bool:
    """Whether later steps may change because of this one."""
    return step.relation is not Relation.SAME and not step.same_output


def _origin(origins: Mapping[str, str], step: str, name: str) -> str:
    """Return where a step's value was set, in the step or for the whole experiment; '' for a default."""
    for path in (f"steps.{step}.{name}", name):
        # A list has no origin of its own; its first item tells where it was written.
        for place in (path, f"{path}.0"):
            if place in origins:
                return origins[place]
    return ""


def _leaf_pairs(old: Facts, new: Facts) -> Iterator[tuple[str, tuple[str | None, str | None]]]:
    """Yield each dotted path at which two JSON objects differ, with both values."""
    for change in changes(_as_record(old), _as_record(new)):
        path = change.path.removeprefix("spec.")
        yield path, (_bare_path(change.old), _bare_path(change.new))


def _as_record(spec: Facts) -> KeyRecord:
    return KeyRecord(kind="", version=0, spec=spec, inputs={}, files={}, facts={})


def _bare_path(value: str | None) -> str | None:
    return value and value.removeprefix(run_folder_to_root)


def _value_changes(old: Comparand, new: Comparand) -> Iterator[ValueChange]:
    """Yield values that differ. Steps that only one side has are left out."""
    for path, (before, after) in _leaf_pairs(_compared(old, new), _compared(new, old)):
        origins = [side.origins.get(path, side.origins.get(f"{path}.0", "")) for side in (old, new)]
        yield ValueChange(path=path, old=before, new=after, old_origin=origins[0], new_origin=origins[1])


def _compared(side: Comparand, other: Comparand) -> Facts:
    spec = {name: value for name, value in side.spec.items() if name not in identity_fields}
    shared = {name: value for name, value in spec.get("steps", {}).items() if name in other.steps}
    return {**spec, "steps": shared}


def _file_changes(step: StepDifference, old: Comparand, new: Comparand) -> Iterator[FileChange]:
    for change in step.changes:
        group, _, name = change.path.partition(".")
        if group == "files" and change.old and change.new:
            paths = [side.steps[step.id].files.get(name, name) for side in (old, new)]
            contents = (old.content(change.old, paths[0]), new.content(change.new, paths[1]))
            yield FileChange(
                step=step.id,
                field=name,
                old_path=paths[0],
                new_path=paths[1],
                old_digest=change.old,
                new_digest=change.new,
                text=compare_files(*contents),
            )


def _first(steps: Iterable[StepDifference], values: Sequence[ValueChange], new: Comparand) -> First | None:
    for step in steps:
        if step.relation is not Relation.SAME:
            origin = next((each.new_origin or each.old_origin for each in step.changes[:1]), "")
            return First(step=step.id, cause=cause(step, new), origin=origin)
    for value in values[:1]:
        shown = f"{value.path} {pair_text(value.old, value.new)}"
        return First(step="", cause=shown, origin=value.new_origin or value.old_origin)
    return None


def cause(step: StepDifference, new: Comparand) -> str:
    """Return a short reason why a step differs."""
    match step.relation:
        case Relation.CHANGED:
            more = len(step.changes) - 1
            return _changed(step.changes[0], new.steps[step.id]) + (f", and {more} more" if more else "")
        case Relation.FOLLOWS:
            return f"follows {', '.join(step.follows)}"
        case Relation.UNFINISHED:
            return f"{step.old_status} -> {step.new_status}"
        case Relation.UNSTABLE:
            return unstable_words
        case Relation.ADDED:
            return "only in B"
        case Relation.REMOVED:
            return "only in A"
        case Relation.SAME:
            return "the same"
        case _:
            assert_never(step.relation)


def _changed(change: ValueChange, step: ComparandStep) -> str:
    """Describe a change; a changed file is named by its path."""
    group, _, name = change.path.partition(".")
    return f"{step.files.get(name, name)} changed" if group == "files" else change_text(change)


def change_text(change: ValueChange) -> str:
    """Describe one change of a step in readable form: `count 600 -> 1000`."""
    group, _, name = change.path.partition(".")
    pair = pair_text(change.old, change.new)
    match group:
        case "inputs":
            return f"{name} comes from {pair}"
        case "files":
            return f"{name} file changed"
        case "version" | "format":
            return f"step {group} {pair}"
        case "facts" if _is_digest(change.old) or _is_digest(change.new):
            return f"{name} changed"
        case _:
            return f"{name} {pair}"


def pair_text(old: str | None, new: str | None) -> str:
    """Return `600 -> 1000`; for two lists, the items added and removed: `+ambient -jazz`."""
    before, after = _items(old), _items(new)
    if before is None or after is None:
        return f"{short(old)} -> {short(new)}"
    come = [f"+{item}" for item in after if item not in before]
    gone = [f"-{item}" for item in before if item not in after]
    return short(" ".join((*come, *gone))) or "in another order"


def _items(value: str | None) -> list[str] | None:
    """Return the items of a list of scalars; None for any other value."""
    try:
        found = msgspec.json.decode(value or "", type=list[str | int | float | bool])
    except msgspec.DecodeError:
        return None
    return [str(item) for item in found]


def short(value: str | None) -> str:
    """Return the value on one line of at most `shown_characters` characters."""
    if value is None:
        return "nothing"
    line = " ".join(value.split())
    return line if len(line) <= shown_characters else f"{line[: shown_characters - 3]}..."


def _is_digest(value: str | None) -> bool:
    return value is not None and len(value) == 64 and not set(value) - set("0123456789abcdef")


def _last(path: str) -> str:
    return path.rpartition(".")[2]
