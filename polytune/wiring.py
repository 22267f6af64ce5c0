"""Connects the parts for one invocation, and keeps light ones apart from heavy ones.

A command that finds nothing to do opens the ledger, recalls the compiled experiment and plans. It never
imports what compiles or executes: those come through `parts`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from polytune import parts
from polytune.engine.artifacts import Facts, record_format
from polytune.engine.compiled import Compilation, Compiled, CompiledStep, read_compiled
from polytune.engine.filememory import FileMemory
from polytune.engine.ledger import Ledger, RunRow
from polytune.engine.locks import holder
from polytune.engine.manifest import Manifest, read_manifest, row_of
from polytune.engine.ownership import check_readable, claim, refusal
from polytune.engine.plan import Plan, Planner, StepChecks
from polytune.engine.remembered import identity_of, recall, value_fingerprint, watched_now
from polytune.engine.selection import Selection
from polytune.engine.store import Store
from polytune.engine.unwritten import has_log
from polytune.engine.workspace import Workspace, compiled_name, find_workspace, lock_name, manifest_name
from polytune.errors import UsageError, did_you_mean
from polytune.settings import Settings, load_settings
from polytune.usercache import UserCache

unfinished = ("running", "stopped", "failed", "paused", "waiting")


@dataclass(frozen=True)
class Preflight:
    """A plan after every check that can be made before work."""

    plan: Plan
    estimates: Mapping[str, parts.step.Estimate]
    """An estimate for each step that may have to run."""
    allowed_usd: float | None = None
    """What the run may spend; None for no limit."""


@dataclass(frozen=True)
class OpenWorkspace:
    """An open workspace."""

    workspace: Workspace
    settings: Settings
    ledger: Ledger
    memory: FileMemory
    store: Store
    environment: parts.environment.RehearsalEnvironment | None = None
    """The emulators of a rehearsal."""
    step_factories: list[parts.step_factory.StepFactory] = field(default_factory=list)

    @classmethod
    def open(
        cls,
        near: Path | None,
        override: Path | None,
        *,
        creating: bool = False,
        writing: bool = False,
        rehearsal: bool = False,
        environment: parts.environment.RehearsalEnvironment | None = None,
    ) -> OpenWorkspace:
        """Open the workspace of an experiment file (or of the current folder) and its ledger.

        `creating` makes `runs/` and a ledger if there are none; otherwise such a workspace gets a ledger in
        memory, and nothing is written. `writing` says that the command changes what is there. Without either,
        a workspace that must not be written to is only read. `rehearsal` opens the part of the workspace for
        rehearsals. An `environment` holds the emulators of one: its variables replace those of this process.

        Raises UsageError when the workspace must not be read, or written to by a command that has to.
        """
        rehearsal = rehearsal or environment is not None
        workspace = replace(find_workspace(near, override), rehearsal=rehearsal)
        variables = environment.variables if environment else {}
        settings = load_settings(workspace.root, {**os.environ, **variables})
        settings = replace(settings, rehearsal=rehearsal)
        if environment is not None:
            settings = replace(settings, poll_seconds=0.0)  # virtual time passes at the platform's own pace
        ledger = open_ledger(workspace, settings, creating=creating, writing=writing)
        memory = FileMemory(ledger)
        return cls(workspace, settings, ledger, memory, Store(workspace, memory), environment)

    def compile(
        self, path: Path, overrides: Sequence[str], variant: str | None = None
    ) -> tuple[Compiled, ...]:
        """Return the variants of an experiment file, or one; from the ledger if nothing behind them changed.

        A variant is named as tables show it, `experiment@variant`, or by what follows the `@`. Raises
        UsageError when there is no such file or variant, SpecError with every problem in the file.
        """
        if not path.is_file():
            raise UsageError(f"{path}: no such experiment file.{_nearby(path)}")
        identity = identity_of(Path(os.path.abspath(path)), tuple(overrides), variant)
        # Where the ledger is only read or does not exist yet, the user's own cache remembers.
        cache = UserCache(self.settings.cache_folder / "compilations")
        body = self.ledger.compilation(identity)
        if body is None and not self.ledger.lasts:
            body = cache.get(identity)
        known = recall(body, self.memory, self.settings.environment)
        compilation = known or self._compiled(path, overrides, variant)
        variants = compilation.variants
        if not variants:
            near = did_you_mean(str(variant), compilation.names)
            raise UsageError(f"--variant {variant}: no such variant.{near}")
        if known is None:
            body = msgspec.json.encode(compilation)
            remember = self.ledger.record_compilation if self.ledger.lasts else cache.put
            remember(identity, body)
        if self.environment is not None:
            for each in variants:
                self.environment.provide(each.spec)
        return variants

    def _compiled(self, path: Path, overrides: Sequence[str], variant: str | None) -> Compilation:
        around = parts.compiler.Surroundings(
            self.workspace,
            self.settings,
            self.memory,
            parts.step_factory.member_spec,
            parts.step_factory.member_version,
        )
        return parts.compiler.compile_experiment(path, overrides, around, variant)

    def planner(self, compiled: Compiled, selection: Selection) -> Planner:
        """Return a planner for one experiment. It creates a step only to ask what that step is missing."""
        checks = StepChecks(
            self._exists(compiled),
            # Looked up when it is needed: planning a hit loads no step.
            lambda step: self.step_factory(compiled).missing(step),
            lambda step, token: self.step_factory(compiled).job_ended(step, token),
            self._facts(compiled),
        )
        return Planner(self.ledger, self.store, checks, selection)

    def preflight(self, plan: Plan, max_usd: float | None = None, *, outside: bool = False) -> Preflight:
        """Return the plan with every step blocked that would certainly be stopped, and its estimates.

        With `outside`, also by what is missing outside this machine, which takes requests.
        """
        if plan.idle:
            return Preflight(plan, {})
        factory = self.step_factory(plan.compiled)
        estimates = factory.estimates(plan)
        limits = plan.compiled.budget.remaining(self.ledger.spent(plan.compiled.name), max_usd)
        examined = parts.preflight.estimated(plan, estimates, limits)
        # A run is refused for what is missing here; there is no need to ask anybody then.
        if outside and not examined.blocked:
            examined = parts.preflight.outside(examined, factory.unready)
        return Preflight(examined, estimates, limits.usd)

    def _facts(self, compiled: Compiled) -> Callable[[CompiledStep], Facts]:
        """Return a look at a step's key facts as they are now. Loads no step while nothing has changed."""
        environment = self.settings.environment

        def facts(step: CompiledStep) -> Facts:
            # A run that an earlier program recorded does not say what its facts were read from.
            same = (
                compiled.format == record_format
                and watched_now(step, self.workspace.root, self.memory) == step.watched
                and all(
                    value_fingerprint(environment.get(name)) == was for name, was in step.environment.items()
                )
            )
            return step.facts if same else self.step_factory(compiled).facts(step)

        return facts

    def _exists(self, compiled: Compiled) -> Callable[[CompiledStep, str], bool]:
        """Return a check that a resource still exists: files are looked up, other URIs are the step's."""

        def exists(step: CompiledStep, uri: str) -> bool:
            scheme, _, rest = uri.partition(":")
            # Answered here, so that planning a hit loads no step.
            if scheme == "file":
                return (self.workspace.root / rest).exists()
            return self.step_factory(compiled).exists(step, uri)

        return exists

    def step_factory(self, compiled: Compiled) -> parts.step_factory.StepFactory:
        """Return the factory for an experiment's steps; it is created once."""
        # By identity: comparing whole experiments is slow, and each is compiled once per command.
        for factory in reversed(self.step_factories):
            if factory.compiled is compiled:
                return factory
        known = [factory.findings for factory in self.step_factories[:1]]
        findings = known[0] if known else parts.step_factory.StepFindings(self.ledger)
        made = parts.step_factory.StepFactory(compiled, self.workspace.root, self.settings, findings)
        self.step_factories.append(made)
        return made

    # runs

    def runs(self, experiment: str | None = None) -> list[RunRow]:
        """Return runs, latest first, of one experiment or of all.

        Also those that only a manifest tells of, as after cloning a repository that keeps manifests.
        """
        rows = self.ledger.runs(experiment)
        known = {row.run_id for row in rows}
        rows += [self._told(folder) for folder in self.workspace.told_runs(known, experiment)]
        return sorted(rows, key=lambda row: row.run_id, reverse=True)

    def _told(self, folder: Path) -> RunRow:
        """Return a run as its manifest tells of it; with the status `unreadable` if it cannot."""
        try:
            return row_of(read_manifest(folder / manifest_name), folder, self.workspace)
        except UsageError:
            place = self.workspace.relative(folder)
            return RunRow(
                run_id=folder.name,
                experiment=folder.parent.name,
                status="unreadable",
                started_at="",
                folder=place,
                source="",
            )

    def latest_run(self, *, unfinished_only: bool = False) -> RunRow:
        """Return the latest run of any experiment. Raises UsageError when there is none."""
        for row in self.runs():
            if not unfinished_only or row.status in unfinished:
                return row
        raise UsageError(
            "no unfinished run" if unfinished_only else "no runs yet. Start one with `polytune run FILE`"
        )

    def run(self, name: str) -> RunRow:
        """Return the run that a name refers to, as in `find_run`. Raises UsageError when there is none."""
        found = self.find_run(name)
        if found is None:
            rows = self.runs()
            known = [*{row.experiment: None for row in rows}, *(row.run_id for row in rows)]
            raise UsageError(f"no run or experiment named '{name}'.{did_you_mean(name, known[:20])}")
        return found

    def find_run(self, name: str) -> RunRow | None:
        """Return the run with that id or prefix, or an experiment's latest run; None when there is none.

        Raises UsageError when several ids begin with the name.
        """
        rows = self.runs()
        named = [row for row in rows if name in (row.experiment, row.run_id)]
        if named:
            return named[0]
        begun = [row for row in rows if row.run_id.startswith(name)]
        if len(begun) > 1:
            listed = ", ".join(row.run_id for row in begun[:3]) + (", ..." if len(begun) > 3 else "")
            raise UsageError(
                f"{len(begun)} runs begin with '{name}': {listed}. Give more characters of the id"
            )
        return begun[0] if begun else None

    def manifest(self, row: RunRow) -> Manifest:
        """Return the manifest of a run."""
        return read_manifest(self.workspace.root / row.folder / manifest_name)

    def recorded(self, row: RunRow) -> Compiled:
        """Return the experiment as a run recorded it."""
        path = self.workspace.root / row.folder / compiled_name
        try:
            compiled = read_compiled(path)
        except (OSError, msgspec.DecodeError) as error:
            raise UsageError(f"{path}: unreadable ({error}); use `polytune run {row.source}`") from error
        if os.path.isabs(compiled.path):
            # An earlier version recorded where the workspace was then; the manifest never did.
            compiled = msgspec.structs.replace(compiled, path=self.manifest(row).path)
        if self.environment is not None:
            self.environment.provide(compiled.spec)
        return compiled

    def live(self, row: RunRow) -> str:
        """Return which process is working on the run; '' when none is."""
        found = holder(self.workspace.root / row.folder / lock_name)
        return str(found) if found else ""

    def latest(self, compiled: Compiled) -> Manifest | None:
        """Return the manifest of an experiment's latest run, if it can be read."""
        for row in self.ledger.runs(compiled.name)[:1]:
            try:
                return self.manifest(row)
            except UsageError:
                return None
        return None


def open_ledger(
    workspace: Workspace, settings: Settings, *, creating: bool = False, writing: bool = False
) -> Ledger:
    """Open a workspace's ledger, as `OpenWorkspace.open` describes, and say what is new about it."""
    check_readable(workspace.runs)
    known = workspace.ledger.exists()
    if creating or (writing and known):
        claim(workspace.runs, shared=settings.shared)
    refused = refusal(workspace.runs, shared=settings.shared)
    if creating:
        workspace.create()
    # A process that ends well removes the log, so one that is left over may come from a crash.
    crashed = (creating or writing) and known and has_log(workspace.ledger)
    # Reading commands such as `plan` leave no trace in a folder that has never seen a run.
    ledger = Ledger.open(workspace.ledger, refused) if known or creating else Ledger.empty(refused)
    for notice in ledger.notices:
        sys.stderr.write(f"{notice}\n")
    if crashed and not _at_work(workspace, ledger):
        ledger.check()
    return ledger


def _at_work(workspace: Workspace, ledger: Ledger) -> bool:
    """Whether a process works on any run."""
    running = (row for row in ledger.runs() if row.status == "running")
    return any(holder(workspace.root / row.folder / lock_name) for row in running)


@contextmanager
def rehearsing(near: Path | None, override: Path | None, *, creating: bool) -> Iterator[OpenWorkspace]:
    """Open the rehearsal part of a workspace, with local servers in place of every paid service.

    The servers run until the `with` block ends. Raises Unavailable when the extra that provides them is not
    installed.
    """
    with parts.environment.rehearsal_environment() as environment:
        yield OpenWorkspace.open(near, override, creating=creating, writing=True, environment=environment)


def up_to_date(plan: Plan, latest: Manifest | None) -> bool:
    """Whether a run of this plan would change nothing: all steps are hits, as in the latest run."""
    # An idle plan after a failed run still needs a run, so that the latest manifest says `done`.
    if latest is None or latest.status != "done" or not plan.idle:
        return False
    reports = latest.steps
    return all(
        step.record is not None
        and step.step.id in reports
        and reports[step.step.id].status.complete
        and reports[step.step.id].key == step.record.key
        for step in plan.steps
    )


def _nearby(path: Path) -> str:
    folder = path.parent
    names = [each.name for each in folder.glob("*.yaml")] if folder.is_dir() else []
    return did_you_mean(path.name, names) if names else ""
