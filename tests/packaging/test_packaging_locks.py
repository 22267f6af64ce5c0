"""The lock files hold what pyproject.toml asks for, exactly and with hashes, and name no registry."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

top = Path(__file__).parents[2]
project = tomllib.loads((top / "pyproject.toml").read_text("utf-8"))
lock_text = (top / "requirements.lock").read_text("utf-8")
torch_text = (top / "requirements-torch.lock").read_text("utf-8")
extras = project["project"]["optional-dependencies"]
never_installed = ("semantic",)
"""Extras with large packages that neither the quickstart nor the tests need."""
wanted = sorted(
    {
        *project["build-system"]["requires"],
        *project["project"]["dependencies"],
        *(one for name, extra in extras.items() if name not in never_installed for one in extra),
    }
)
never_locked = ("torch", "triton", "nvidia-", "cuda-")


def locked(text: str) -> list[tuple[Requirement, list[str]]]:
    """The entries of a lock file, each with its hashes."""
    entries = text.replace("\\\n", " ").splitlines()
    return [(Requirement(one.split("--hash=")[0]), re.findall(r"--hash=(\S+)", one)) for one in entries]


def exact_version(entry: Requirement) -> str:
    """The version of an entry that is pinned; '' when it is not."""
    (only,) = entry.specifier
    return only.version if only.operator == "==" else ""


@pytest.mark.parametrize("requirement", wanted)
def test_every_requirement_is_locked_inside_its_range(requirement: str) -> None:
    """What pyproject.toml names is in a lock file, once for each Python, with a version that it allows."""
    named = Requirement(requirement)
    text = torch_text if named.name == "torch" else lock_text

    versions = [
        exact_version(entry)
        for entry, _ in locked(text)
        if canonicalize_name(entry.name) == canonicalize_name(named.name)
    ]

    assert versions
    assert all(named.specifier.contains(version) for version in versions)


def test_every_entry_is_pinned_and_hashed() -> None:
    """No entry of requirements.lock leaves a choice to the day of the install."""
    entries = locked(lock_text)

    assert len(entries) > 100
    assert [entry.name for entry, _ in entries if not exact_version(entry)] == []
    assert [
        entry.name
        for entry, hashes in entries
        if not hashes or not all(re.fullmatch(r"sha256:[0-9a-f]{64}", one) for one in hashes)
    ] == []


def test_torch_and_its_accelerator_packages_are_not_in_the_hashed_lock() -> None:
    """A CPU build of torch has other hashes than the registry's, and needs none of these packages."""
    names = [entry.name for entry, _ in locked(lock_text)]

    assert [name for name in names if name == "torch" or name.startswith(never_locked[1:])] == []


def test_torch_is_pinned_by_version_alone() -> None:
    """One line, without a hash, a build tag or a marker: any build of that version will do."""
    assert re.fullmatch(r"torch==\d+\.\d+\.\d+\n", torch_text)


def test_torch_is_a_range_in_pyproject() -> None:
    """The lock pins it; a user may have another one."""
    local = project["project"]["optional-dependencies"]["local"]

    (torch,) = (Requirement(one) for one in local if Requirement(one).name == "torch")
    assert {only.operator for only in torch.specifier} == {">=", "<"}


@pytest.mark.parametrize(
    "text", [lock_text, torch_text], ids=["requirements.lock", "requirements-torch.lock"]
)
def test_no_lock_names_a_registry(text: str) -> None:
    """Each machine takes packages from the registry that it is set up for."""
    assert re.findall(r"://|--(?:extra-)?index-url|--find-links|--trusted-host", text) == []


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_every_requirement_is_locked_once_for_each_python(python: str, platform: str) -> None:
    """On a Python and a system, each name that applies has exactly one version."""
    environment = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": platform}
    applying = [
        canonicalize_name(entry.name)
        for entry, _ in locked(lock_text)
        if entry.marker is None or entry.marker.evaluate(environment)
    ]

    assert len(applying) == len(set(applying))
    assert {canonicalize_name(Requirement(one).name) for one in wanted} - {"torch"} <= set(applying)
