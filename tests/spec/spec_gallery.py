"""A gallery of wrong experiment files with their exact messages, and the reader of it.

- name: a misspelt key
  files: {main.yaml: "...", base.yaml: "..."}      the first file is the experiment
  set: [steps.train.epochs=3]                      optional
  environment: {BUCKET: data}                      optional
  problems: ["main.yaml:3:5: ..."]                 in the order shown
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from polytune.errors import Problem, SpecError
from polytune.spec.compose import compose
from polytune.spec.experiment import resolve
from polytune.spec.model import Spec
from polytune.spec.resolved import input_files


@dataclass(frozen=True)
class Case:
    """One wrong experiment and what is said about it."""

    name: str
    files: dict[str, str]
    overrides: tuple[str, ...]
    environment: dict[str, str]
    problems: tuple[str, ...]


def cases(folder: Path) -> list[Case]:
    """Every case of every YAML file in a folder, in file order."""
    return [
        Case(
            entry["name"],
            entry["files"],
            tuple(entry.get("set", ())),
            entry.get("environment", {}),
            tuple(entry["problems"]),
        )
        for path in sorted(folder.glob("*.yaml"))
        for entry in yaml.safe_load(path.read_text(encoding="utf-8"))
    ]


def messages(case: Case, folder: Path, member: Callable[[str, str], type[Spec]]) -> list[str]:
    """What polytune says about a case whose files are written to `folder`."""
    for name, text in case.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    with contextlib.chdir(folder):
        found = problems_of(Path(next(iter(case.files))), case.overrides, case.environment, member)
    return list(map(str, SpecError(found).problems))


def problems_of(
    path: Path,
    overrides: Sequence[str],
    environment: dict[str, str],
    member: Callable[[str, str], type[Spec]],
) -> list[Problem]:
    """Every problem of an experiment file, from its text to the files it names."""
    composition = compose(path, overrides, environment)
    problems = list(composition.problems)
    for variant in composition.variants:
        for step in resolve(variant.root, problems, member).steps:
            input_files(step.spec, step.node, step.entry.where, problems)
    return problems
