"""The plan: what a run would do with each step, and why, determined without executing anything.

    hit       the output is in place and intact
    restore   the output is known; files in place are missing or changed, and the store has copies
    run       no earlier output can be reused
    maybe     an earlier output is reused if the inputs turn out as they were then
    attach    a job for exactly this step is already running
    blocked   it would run but cannot: not on this machine, not now, or not with this selection
    skip      not selected, and no selected step needs it

`maybe` is exact: a step is `run` only when no remembered output fits what is already known of its inputs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

import msgspec

from polytune.engine.artifacts import Artifact, Change, Facts, KeyRecord, changes
from polytune.engine.compiled import Compiled, CompiledStep
from polytune.engine.jobbook import JobBook
from polytune.engine.ledger import Ledger, Result
from polytune.engine.selection import Selection
from polytune.engine.store import Condition, Store
from polytune.errors import Obstacle, StepFailed


class StepState(StrEnum):
    """What a run would do with a step."""

    HIT = "hit"
    RESTORE = "restore"
    RUN = "run"
    MAYBE = "maybe"
    ATTACH = "attach"
    BLOCKED = "blocked"
    SKIP = "skip"

    @property
    def settled(self) -> bool:
        """Whether the step's output is already known."""
        return self in (StepState.HIT, StepState.RESTORE)

    @property
    def works(self) -> bool:
        """Whether a run may have to work or pay for the step."""
        return self in (StepState.RUN, StepState.MAYBE, StepState.ATTACH, StepState.BLOCKED)


@dataclass(frozen=True)
class PlannedStep:
    """One step of a plan."""

    step: CompiledStep
    state: StepState
    because: tuple[str, ...] = ()
    differences: tuple[Change, ...] = ()
    """Differences from the nearest earlier record."""
    record: KeyRecord | None = None
    """Set when every input is known; else None."""
    result: Result | None = None
    """The remembered result of a settled step."""
    inputs: Mapping[str, Artifact] = field(default_factory=dict)
    """The inputs that are already known."""
    against: str = ""
    """`experiment/run` of the nearest earlier record."""
    obstacle: Obstacle | None = None
    """What blocks the step itself; None for one that only waits for a blocked step."""


@dataclass(frozen=True)
class Plan:
    """What a run would do now."""

    compiled: Compiled
    steps: tuple[PlannedStep, ...]

    @property
    def idle(self) -> bool:
        """Whether every selected step is a hit."""
        return all(step.state in (StepState.HIT, StepState.SKIP) for step in self.steps)

    @property
    def blocked(self) -> tuple[PlannedStep, ...]:
        """The steps that would run but cannot, in running order."""
        return tuple(step for step in self.steps if step.state is StepState.BLOCKED)

    def step(self, step_id: str) -> PlannedStep:
        """The planned step of that id."""
        return next(planned for planned in self.steps if planned.step.id == step_id)


@dataclass(frozen=True)
class StepChecks:
    """Checks that planning needs beyond the ledger and the disk."""

    exists: Callable[[CompiledStep, str], bool]
    """Whether a resource of a step's result, given by its URI, still exists."""
    missing: Callable[[CompiledStep], Obstacle | None]
    """What prevents a step from running on this machine."""
    job_ended: Callable[[CompiledStep, str], bool]
    """Whether a step's job, given by its token, has ended although the ledger does not know it yet."""
    facts: Callable[[CompiledStep], Facts]
    """A step's key facts as they are now. Raises StepFailed when they cannot be taken."""


class Planner:
    """Compares an experiment with the ledger and the disk."""

    def __init__(self, ledger: Ledger, store: Store, checks: StepChecks, selection: Selection) -> None:
        self.ledger = ledger
        self.store = store
        self.checks = checks
        self.selection = selection
        self.jobs = JobBook(ledger)

    def plan(self, compiled: Compiled) -> Plan:
        """Return every step's state, in running order. Nothing is executed or submitted."""
        planned: dict[str, PlannedStep] = {}
        for step in compiled.steps:
            planned[step.id] = self._selected(compiled, step, planned)
        return Plan(compiled, tuple(planned.values()))

    def _selected(
        self, compiled: Compiled, step: CompiledStep, planned: Mapping[str, PlannedStep]
    ) -> PlannedStep:
        found = self._planned(compiled, step, planned)
        if self.selection.may_run(step.id):
            return found
        # A hit is shown as a hit even when it is not selected: its output is there to be used. A run gets to
        # it only if it gets past what comes before.
        reached = all(planned[name].state is not StepState.SKIP for name in step.after)
        if found.state is StepState.HIT and reached:
            return found
        if self.selection.needed(step.id):
            why = f"its output is needed, but --only or --from leaves {step.id} out"
            return _replace(found, StepState.BLOCKED, (why, *found.because)) if found.state.works else found
        return _replace(found, StepState.SKIP, ("not selected",))

    def _planned(
        self, compiled: Compiled, step: CompiledStep, planned: Mapping[str, PlannedStep]
    ) -> PlannedStep:
        before = [planned[name] for name in step.after]
        # Reported at the first step that is blocked; the steps behind it only name it.
        blocked = [each.step.id for each in before if each.state is StepState.BLOCKED]
        if blocked:
            return waiting_for(PlannedStep(step, StepState.RUN), blocked)
        inputs = {
            port: result.artifact
            for port, name in step.inputs.items()
            if (result := planned[name].result) is not None and planned[name].state.settled
        }
        try:
            record = self.record(step, {port: a.digest for port, a in inputs.items()})
        except StepFailed as gone:
            return blocked_by(PlannedStep(step, StepState.RUN, inputs=inputs), Obstacle(str(gone)))
        # `needs` is left out: it orders steps, but no output flows, so it does not change the key.
        waits = [name for name in step.inputs.values() if not planned[name].state.settled]
        if waits:
            return self._open(compiled, step, record, inputs, waits)
        return self.now(compiled, step, record, inputs)

    def record(self, step: CompiledStep, inputs: Mapping[str, str]) -> KeyRecord:
        """Return the record with the known `inputs` (digest by port); files and facts are looked at now.

        Raises StepFailed when a file that the spec names is missing, or the facts cannot be taken.
        """
        digests = {}
        for name, path in step.files.items():
            digest = self.store.memory.content(self.store.workspace.root / path)
            if digest is None:
                raise StepFailed(f"{path}: no such file or folder, though {step.id}.{name} names it")
            digests[name] = digest
        return KeyRecord(
            kind=step.kind,
            version=step.version,
            spec=step.spec,
            inputs=dict(inputs),
            files=digests,
            facts=self.checks.facts(step),
            versions=step.versions,
            defaults=step.defaults,
        )

    def now(
        self, compiled: Compiled, step: CompiledStep, record: KeyRecord, inputs: Mapping[str, Artifact]
    ) -> PlannedStep:
        """Return what a run would do with a step whose inputs are all known.

        Both planning and execution call this, so a plan cannot disagree with the run.
        """
        result = self.ledger.result(record.key)
        forced = step.id in self.selection.force
        # --accept applies only to a step without an output of its own under this key.
        if result is None and step.id in self.selection.accept:
            result = self._acceptable(compiled, step, record)
        found = PlannedStep(step, StepState.RUN, record=record, result=result, inputs=inputs)
        if forced or result is None:
            return self._running(compiled, found, ("forced",) if forced else ())
        condition = self.store.condition(result.artifact)
        # A custom model may have been deleted in the cloud; its files here are then no longer enough.
        gone = [name for name, uri in result.resources.items() if not self.checks.exists(step, uri)]
        if condition is Condition.LOST or gone:
            what = f"{', '.join(gone)} no longer exists" if gone else "its output is lost"
            return self._running(compiled, _replace(found, StepState.RUN, ()), (what,))
        if condition is Condition.OK:
            return _replace(found, StepState.HIT, ("accepted",) if result.accepted else ())
        return _replace(found, StepState.RESTORE, (f"an output file is {condition}",))

    def _running(self, compiled: Compiled, found: PlannedStep, why: tuple[str, ...]) -> PlannedStep:
        assert found.record is not None
        missing = self.checks.missing(found.step)
        if missing:
            return blocked_by(found, missing)
        # A job that is open is attached to, also when forced: starting a second one would pay twice.
        job = self.jobs.latest(found.record.key)
        if job is None or job.state.final:
            return self._explained(compiled, found, why)
        if self.checks.job_ended(found.step, job.token):
            return self._explained(compiled, found, (*why, f"job {job.token} ended without a result"))
        return _replace(found, StepState.ATTACH, (f"job {job.token} is still running",))

    def _open(
        self,
        compiled: Compiled,
        step: CompiledStep,
        record: KeyRecord,
        inputs: Mapping[str, Artifact],
        waits: list[str],
    ) -> PlannedStep:
        """Plan a step with inputs that do not exist yet."""
        found = PlannedStep(step, StepState.RUN, inputs=inputs)
        forced = ("forced",) if step.id in self.selection.force else ()
        missing = self.checks.missing(step)
        names = " and ".join(dict.fromkeys(waits))
        # Early cutoff: if the inputs turn out with the same content as then, nothing runs.
        if not forced and self.ledger.could_serve(record):
            verb = "changes" if len(set(waits)) == 1 else "change"
            but = (f"and it could not run then: {missing}",) if missing else ()
            return _replace(found, StepState.MAYBE, (f"if {names}'s output {verb}", *but))
        if not forced and step.id in self.selection.accept and self._acceptable(compiled, step, record):
            return _replace(found, StepState.MAYBE, (f"accepted after {names}, unless its output is lost",))
        if missing:
            return blocked_by(found, missing)
        return self._explained(compiled, _replace(found, StepState.RUN, ()), forced, record)

    def _acceptable(self, compiled: Compiled, step: CompiledStep, record: KeyRecord) -> Result | None:
        """Return the nearest earlier output of a step with this id, as a result under the new record."""
        nearest = self._nearest(compiled, step, record, own=True)
        return msgspec.structs.replace(nearest, record=record, accepted=True) if nearest else None

    def _nearest(
        self, compiled: Compiled, step: CompiledStep, record: KeyRecord, *, own: bool = False
    ) -> Result | None:
        """Return the earlier result to compare with: of this step if possible, most similar, then latest."""
        candidates = self.ledger.candidates(step.kind, compiled.name, step.id, own=own)
        return min(candidates, key=lambda result: len(changes(result.record, record)), default=None)

    def _explained(
        self,
        compiled: Compiled,
        found: PlannedStep,
        why: tuple[str, ...],
        partial: KeyRecord | None = None,
    ) -> PlannedStep:
        record = found.record or partial
        assert record is not None
        nearest = self._nearest(compiled, found.step, record)
        if nearest is None:
            return _replace(found, StepState.RUN, why or ("never run",))
        differing = changes(nearest.record, record)
        if found.record is None:
            # An input that is not made yet is not a difference; `follows` reports it.
            differing = [each for each in differing if not _unknown_input(each)]
        reasons = why or tuple(reason(each, found.step) for each in telling(differing))
        follows = tuple(f"follows {name}" for name in _following(found, record))
        return PlannedStep(
            found.step,
            StepState.RUN,
            (*reasons, *(f for f in follows if f not in reasons)) or ("never run with these inputs",),
            tuple(differing),
            found.record,
            None,
            found.inputs,
            f"{nearest.experiment}/{nearest.run_id}",
        )


def blocked_by(found: PlannedStep, obstacle: Obstacle) -> PlannedStep:
    """Return the step as blocked by an obstacle of its own, with the place that states what is missing."""
    place = _place(found.step, obstacle.field)
    because = f"{place}: {obstacle}" if place else str(obstacle)
    return replace(_replace(found, StepState.BLOCKED, (because,)), obstacle=obstacle)


def waiting_for(found: PlannedStep, blocked: Iterable[str]) -> PlannedStep:
    """Return the step as blocked only because the steps before it are."""
    return _replace(found, StepState.BLOCKED, (f"waits for {', '.join(blocked)}",))


def _place(step: CompiledStep, field: str) -> str:
    """Return where the file states a field, or the first part of it; '' when it does not."""
    inside = (place for name, place in step.origins.items() if name.startswith(f"{field}."))
    return step.origins.get(field) or next(inside, "") if field else ""


longest_shown = 28
"""Characters of a value shown in a reason; `why` shows the whole value."""
input_named = re.compile(r"\.(?:files|inputs|environment|reward_files)\.(.+)")
"""The name of an input among facts: a file, or a variable."""
digests = re.compile(r"[0-9a-f]{64}")
group_order = ("version", "versions", "spec", "files", "inputs", "facts", "format")


def telling(differing: Iterable[Change]) -> list[Change]:
    """Sort differences, most informative first; drop facts that only repeat a changed spec field."""
    ordered = sorted(differing, key=lambda each: group_order.index(each.path.partition(".")[0]))
    stated = {each.path.rpartition(".")[2] for each in ordered if each.path.startswith("spec.")}
    return [e for e in ordered if not (e.path.startswith("facts.") and e.path.rpartition(".")[2] in stated)]


def reason(change: Change, step: CompiledStep) -> str:
    """Describe one difference in readable form: `count 600 -> 1000 (strudel-v3.yaml:7)`."""
    group, _, name = change.path.partition(".")
    if group == "inputs":
        return f"follows {step.inputs.get(name, name)}"
    if group == "files":
        return f"{step.files.get(name, name)} changed"
    if group == "facts" and _are_digests(change):
        named = input_named.search(change.path)
        verb = "is new" if change.old is None else "is gone" if change.new is None else "changed"
        return f"{named[1] if named else name} {verb}"
    if group in ("version", "format"):
        return f"step {group} {change.old} -> {change.new}"
    if group == "versions":
        return f"{name} version {change.old or 1} -> {change.new or 1}"
    # Facts hold effective values by the name of the field that states them, such as a hyperparameter's.
    if group == "facts" and name.rpartition(".")[2] in step.origins:
        name = name.rpartition(".")[2]
    place = step.origins.get(name, "")
    shown = f"{name} {_short(change.old)} -> {_short(change.new)}"
    return f"{shown} ({place})" if place else shown


def _are_digests(change: Change) -> bool:
    return all(value is None or digests.fullmatch(value) for value in (change.old, change.new))


def _short(value: str | None) -> str:
    if value is None:
        return "nothing"
    line = " ".join(value.split())
    return line if len(line) <= longest_shown else f"{line[: longest_shown - 1]}…"


def _following(found: PlannedStep, record: KeyRecord) -> list[str]:
    """Return the steps that this one still waits for, when its record is incomplete."""
    unknown = [name for port, name in found.step.inputs.items() if port not in record.inputs]
    return list(dict.fromkeys(unknown))


def _unknown_input(change: Change) -> bool:
    return change.path.startswith("inputs.") and change.new is None


def _replace(found: PlannedStep, state: StepState, because: tuple[str, ...]) -> PlannedStep:
    result = found.result if state.settled else None
    return replace(found, state=state, because=because, result=result)
