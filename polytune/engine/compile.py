"""Compiles an experiment file: compose, validate, wire the steps, and record what the result depends on.

All problems of the file are collected before any is raised.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from polytune.engine.artifacts import Facts, below, ordered_paths, record_format
from polytune.engine.budget import BudgetLimits
from polytune.engine.compiled import Compilation, Compiled, CompiledStep, Watched
from polytune.engine.filememory import FileMemory
from polytune.engine.graph import Declared, Wiring, wire
from polytune.engine.remembered import package, tool_fingerprint, value_fingerprint
from polytune.engine.step import STEPS, KeyFacts, Scope
from polytune.engine.workspace import Workspace
from polytune.errors import PolytuneError, Problem, SpecError
from polytune.settings import Settings
from polytune.spec.compose import Variant, compose
from polytune.spec.experiment import (
    Experiment,
    KnownSteps,
    ResolvedStep,
    StepEntry,
    only_input,
    resolve,
    step_entries,
)
from polytune.spec.fields import fields_of
from polytune.spec.located import Node, at, children, origins, plain, problem
from polytune.spec.model import Adopted, Effective, Inherited, Spec
from polytune.spec.resolved import (
    decisions,
    input_files,
    members_used,
    named_files,
    secret_references,
    spec_json,
    stating_folders,
)
from polytune.spec.rooted import mark, path_texts, unrooted

run_folder_to_root = "../../.."
"""From `runs/<experiment>/<run-id>/` back to the workspace, so that a recorded spec.yaml can be run."""

MemberSpecs = Callable[[str, str], type[Spec]]


@dataclass(frozen=True)
class Surroundings:
    """What a compilation needs besides the experiment file."""

    workspace: Workspace
    settings: Settings
    memory: FileMemory
    member: MemberSpecs
    """(family, kind) -> that member's spec class."""
    version: Callable[[str, str], int]
    """(family or catalogue, name) -> the version of what that member does; 1 for one without a version."""


def compile_experiment(
    path: Path, overrides: Sequence[str], around: Surroundings, wanted: str | None = None
) -> Compilation:
    """Return every variant of the file, or the `wanted` one, ready to plan.

    Raises SpecError with all problems found.
    """
    composition = compose(path, overrides, around.settings.environment, wanted)
    problems = list(composition.problems)
    compiler = _Compiler(path, around, problems)
    variants = tuple(filter(None, (compiler.variant(each) for each in composition.variants)))
    if problems:
        # What one step adopts from another has the other's place, so a mistake in it is found twice.
        raise SpecError(_relative(each) for each in dict.fromkeys(problems))
    files = dict.fromkeys([*composition.sources, *compiler.watched, *compiler.plugin_files()])
    variables = {name: around.settings.environment.get(name) for name in compiler.variables}
    watched = Watched(
        tool=tool_fingerprint(),
        files={str(each.absolute()): around.memory.content(each) or "" for each in files},
        environment={
            name: value_fingerprint(value) for name, value in {**variables, **composition.environment}.items()
        },
    )
    compilation = Compilation(variants=variants, names=composition.names, watched=watched)
    # A round trip through JSON, so that a fresh compilation equals a remembered one in every type.
    return msgspec.json.decode(msgspec.json.encode(compilation), type=Compilation)


def _relative(found: Problem) -> Problem:
    """Return the problem with its path relative to the current folder, as the user would type it."""
    file = Path(found.file)
    if file.is_absolute() and file.is_relative_to(Path.cwd()):
        return replace(found, file=str(file.relative_to(Path.cwd())))
    return found


@dataclass(frozen=True)
class _Examined:
    """What follows from a step alone, in whatever variant it is."""

    files: Mapping[str, Path]
    folders: Mapping[str, Path]
    compiled: CompiledStep
    """Without facts and inputs, which depend on the variant."""
    spec: Facts
    """As recorded in `spec.yaml`."""


class _Compiler:
    """Compiles the variants of one file and collects what the result depends on.

    A step that is equal in several variants is validated and examined once.
    """

    def __init__(self, path: Path, around: Surroundings, problems: list[Problem]) -> None:
        self.path = path
        self.around = around
        self.problems = problems
        self.watched: list[Path] = []
        self.variables: set[str] = set()
        self.classes: set[type[Spec]] = set()
        self.known: KnownSteps = {}
        self.examined: dict[int, _Examined] = {}
        """By the identity of the step, which `known` holds."""

    def member(self, family: str, kind: str) -> type[Spec]:
        """Return a member's spec class, and note it: the compilation depends on its source file."""
        cls = self.around.member(family, kind)
        self.classes.add(cls)
        return cls

    def plugin_files(self) -> list[Path]:
        """Return the source files of members from outside polytune, sorted."""
        found = {getattr(sys.modules[cls.__module__], "__file__", None) for cls in self.classes}
        paths = {Path(name) for name in found if name}
        # polytune's own files are covered by the tool fingerprint.
        return sorted(path for path in paths if not path.is_relative_to(package))

    def variant(self, variant: Variant) -> Compiled | None:
        """Return one compiled variant. None when something is wrong; the problems are collected."""
        root = self._with_platform(self._adopting(variant.root))
        resolved = resolve(root, self.problems, self.member, self.known)
        wiring = self._wired(resolved.entries)
        examined = {step.entry.id: self._examined(step) for step in resolved.steps}
        if resolved.experiment is None:
            return None
        scope = self._scope(variant.name, resolved.experiment)
        facts = {step.entry.id: self._facts(step, examined[step.entry.id], scope) for step in resolved.steps}
        # Nothing of a file with a mistake is used, and a step with one may be missing here.
        if self.problems:
            return None
        steps = [self._step(examined[id], facts[id], wiring.inputs[id]) for id in wiring.order]
        specs = {step.entry.id: examined[step.entry.id].spec for step in resolved.steps}
        spec = whole_spec(variant.name, resolved.experiment, specs)
        return self._compiled(root, resolved.experiment, steps, scope, spec)

    def _examined(self, step: ResolvedStep) -> _Examined:
        if id(step) not in self.examined:
            files = input_files(step.spec, step.node, step.entry.where, self.problems)
            folders = self._folders(step)
            compiled = self._alone(step, files, folders)
            self.examined[id(step)] = _Examined(files, folders, compiled, self._step_spec(step, files))
        return self.examined[id(step)]

    def _with_platform(self, root: Node) -> Node:
        """Return the tree with a platform. A missing one is reported once, not once per step."""
        if at(root, ["platform"]) is not None or not self._needs_platform(root):
            return root
        what = "required key missing; write `platform: {kind: local}` for this machine"
        self.problems.append(problem(root.origin, "platform", what))
        return replace(root, value={**children(root), "platform": Node(None, root.origin, broken=True)})

    def _needs_platform(self, root: Node) -> bool:
        for entry in step_entries(root, []):
            try:
                fields = fields_of(self.member("steps", entry.kind))
            except PolytuneError:
                continue
            if "platform" in fields and at(entry.node, ["platform"]) is None:
                return True
        return False

    def _adopting(self, root: Node) -> Node:
        """Return the tree with each unset `Adopted` field set to what other steps state under that name."""
        for entry in step_entries(root, []):
            try:
                fields = fields_of(self.member("steps", entry.kind))
            except PolytuneError:
                continue
            for name, shape in fields.items():
                if shape.marker(Adopted) and at(entry.node, [name]) is None:
                    # Adopted in the tree, before validation, so that a wrong value is reported
                    # where it was written.
                    root = self._adopted(root, entry, name, optional=shape.marker(Effective) is not None)
        return root

    def _adopted(self, root: Node, entry: StepEntry, name: str, *, optional: bool) -> Node:
        steps = children(children(root)["steps"])
        stated = {
            other: found
            for other, node in steps.items()
            if other != entry.id and (found := at(node, [name])) is not None
        }
        differ = len({plain_text(node) for node in stated.values()}) > 1
        if not stated or (differ and optional):
            return root
        if differ:
            choice = ", ".join(f"{plain_text(node)} in {other}" for other, node in stated.items())
            what = f"required, because the other steps differ: {choice}"
            self.problems.append(problem(entry.origin, f"{entry.where}.{name}", what))
        other, node = next(iter(stated.items()))
        return _with(root, entry.id, name, replace(node, stated=node.stated or f"steps.{other}.{name}"))

    def _wired(self, entries: Sequence[StepEntry]) -> Wiring:
        declared = [step for entry in entries if (step := self._declared(entry))]
        # A step of unknown kind would make every step behind it look unconnected; that
        # kind is reported already.
        if len(declared) < len(entries):
            return Wiring({}, (), ())
        wiring = wire(declared, _producers)
        by_id = {entry.id: entry for entry in entries}
        for fault in wiring.faults:
            entry = by_id[fault.step]
            where = ".".join(filter(None, (entry.where, fault.part)))
            self.problems.append(problem(entry.origin, where, fault.what))
        return wiring

    def _declared(self, entry: StepEntry) -> Declared | None:
        try:
            cls = STEPS.load(entry.kind)
        except PolytuneError:
            return None
        return Declared(entry.id, entry.kind, cls.consumes, cls.produces, entry.inputs, entry.needs)

    def _compiled(
        self, root: Node, experiment: Experiment, steps: Sequence[CompiledStep], scope: Scope, spec: Facts
    ) -> Compiled:
        return Compiled(
            name=scope.experiment,
            path=self._shown(self.path.absolute()),
            project=scope.project,
            description=experiment.description,
            tags=experiment.tags,
            seed=experiment.seed,
            budget=BudgetLimits(**experiment.budget.model_dump()),
            platform=experiment.platform.kind if experiment.platform else "",
            steps=tuple(steps),
            spec=spec,
            origins=origins(root, "", self.around.workspace.root),
            format=record_format,
        )

    def _scope(self, name: str, experiment: Experiment) -> Scope:
        return Scope(
            root=self.around.workspace.root,
            folder=self.path.absolute().parent,
            experiment=name,
            project=experiment.project or "default",
            settings=self.around.settings,
        )

    def _alone(
        self, resolved: ResolvedStep, files: Mapping[str, Path], folders: Mapping[str, Path]
    ) -> CompiledStep:
        """Return the step without its facts and inputs."""
        entry = resolved.entry
        cls = STEPS.load(entry.kind)
        secrets = secret_references(resolved.spec)
        decided = decisions(resolved.spec)
        rooted = self._rooted(resolved.spec, mark)
        return CompiledStep(
            id=entry.id,
            kind=entry.kind,
            version=cls.version,
            spec=replaced(without(decided.spec, [*files, *secrets]), rooted),
            defaults=as_facts(decided.defaults),
            effective={name: each for name, each in decided.effective.items() if name not in files},
            versions=self._versions(resolved.spec),
            files={field: self._shown(path) for field, path in files.items()},
            folders={name: self._shown(path) for name, path in folders.items()},
            rooted=tuple(".".join(path) for path in rooted),
            secrets=secrets,
            facts={},
            inputs={},
            needs=entry.needs,
            produces=cls.produces,
            origins=origins(resolved.node, "", self.around.workspace.root),
        )

    def _step(self, examined: _Examined, facts: KeyFacts, inputs: Mapping[str, str]) -> CompiledStep:
        memory, environment = self.around.memory, self.around.settings.environment
        return msgspec.structs.replace(
            examined.compiled,
            facts=facts.facts,
            watched={self._shown(path): memory.content(path) or "" for path in facts.watched},
            environment={name: value_fingerprint(environment.get(name)) for name in facts.environment},
            inputs=dict(inputs),
            notes=facts.notes,
        )

    def _facts(self, step: ResolvedStep, examined: _Examined, scope: Scope) -> KeyFacts:
        """Return what the step adds to its key. Computed only when all files that it names exist."""
        # Facts are usually computed from those files, and the missing one is already reported.
        if len(examined.files) < len(named_files(step.spec)):
            return KeyFacts()
        scope = replace(scope, folders=examined.folders)
        try:
            facts = STEPS.load(step.entry.kind)(step.spec, examined.files, scope).key_facts()
        except SpecError as error:
            self.problems += error.problems
            return KeyFacts()
        except PolytuneError as error:
            self.problems.append(problem(step.entry.origin, step.entry.where, str(error)))
            return KeyFacts()
        self.watched += facts.watched
        self.variables.update(facts.environment)
        return facts

    def _folders(self, step: ResolvedStep) -> dict[str, Path]:
        found = stating_folders(step.spec, step.node, step.entry.where)
        return {name: path for name, path in found.items() if path != self.path.absolute().parent}

    def _versions(self, spec: Spec) -> dict[str, int]:
        """Return the versions of the members that a spec names; 1 is left out, as defaults are."""
        used = {f"{family}/{name}": self.around.version(family, name) for family, name in members_used(spec)}
        return {name: version for name, version in used.items() if version != 1}

    def _shown(self, path: Path) -> str:
        return self.around.workspace.relative(path)

    def _rooted(self, spec: Spec, instead: str) -> dict[tuple[str, ...], str]:
        """Return the texts that name the workspace's folder, by their path, with another word for it."""
        root = self.around.workspace.root
        texts = {path: (text, unrooted(text, root, instead)) for path, text in path_texts(spec)}
        return {path: now for path, (was, now) in texts.items() if now != was}

    def _step_spec(self, step: ResolvedStep, files: Mapping[str, Path]) -> Facts:
        cls = type(step.spec)
        # What the step takes from elsewhere is stated there.
        inherited = {
            key
            for key, shape in fields_of(cls).items()
            if (shape.marker(Inherited) and not _is_own(step.node, key))
            or (shape.marker(Adopted) and shape.marker(Effective))
        }
        own = {k: v for k, v in as_facts(spec_json(step.spec)).items() if k not in inherited}
        for field, path in files.items():
            shown = self._shown(path)
            *parents, last = field.split(".")
            below(own, parents)[last] = (
                shown if Path(shown).is_absolute() else f"{run_folder_to_root}/{shown}"
            )
        own = replaced(own, self._rooted(step.spec, run_folder_to_root))
        wiring: Facts = {} if step.entry.kind == step.entry.id else {"uses": step.entry.kind}
        stated = step.entry.inputs
        wiring |= {"from": stated.get(only_input, dict(stated))} if stated else {}
        wiring |= {"needs": list(step.entry.needs)} if step.entry.needs else {}
        return {**wiring, **own}


def whole_spec(name: str, experiment: Experiment, steps: Mapping[str, Facts]) -> Facts:
    """Return the resolved experiment as a spec that runs from the folder of a run."""
    whole = {k: v for k, v in as_facts(spec_json(experiment)).items() if v not in (None, {}, "")}
    return {**whole, "name": name, "steps": dict(steps)}


def replaced(spec: Facts, texts: Mapping[tuple[str, ...], str]) -> Facts:
    """Return a spec's JSON, in place, with other texts at some paths."""
    for (*parents, last), text in texts.items():
        parent = below(spec, parents)
        parent[int(last) if isinstance(parent, list) else last] = text
    return spec


def _is_own(step: Node, key: str) -> bool:
    """Whether a step states a field itself."""
    return (node := at(step, [key])) is not None and not node.stated


def plain_text(node: Node) -> str:
    """Return a scalar as messages show it."""
    return str(plain(node))


def as_facts(value: object) -> Facts:
    """Narrow the type of a value that is known to be a JSON object."""
    assert isinstance(value, dict)
    return value


def without(value: object, fields: Iterable[str]) -> Facts:
    """Return a spec's JSON without file paths (the key holds their contents instead) and without secrets."""
    facts = msgspec.json.decode(msgspec.json.encode(value))
    # Backwards, so that an item that is removed from a list does not move those still to be removed.
    for *path, last in reversed(ordered_paths(fields)):
        with suppress(KeyError):  # a field at its default is absent already
            parent = below(facts, path)
            del parent[int(last) if isinstance(parent, list) else last]
    return as_facts(facts)


def _with(root: Node, step: str, name: str, value: Node) -> Node:
    """Return the tree with one field added to a step."""
    top, steps = children(root), children(children(root)["steps"])
    old = steps[step]
    new = replace(old, value={**children(old), name: value}, text=None)
    changed = replace(top["steps"], value={**steps, step: new})
    return replace(root, value={**top, "steps": changed})


def _producers(artifact: str) -> list[str]:
    """Return the step kinds that produce an artifact type. Loads every kind, so call it for errors only."""
    return [kind for kind in STEPS.names() if STEPS.load(kind).produces == artifact]
