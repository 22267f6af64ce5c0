"""A field whose stated value is not hashed moves the key by what it comes to, and by nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from polytune.base_models.interface import BASE_MODELS
from polytune.engine.step import STEPS, Scope
from polytune.fingerprint import canonical
from polytune.platforms.interface import PLATFORMS
from polytune.settings import Settings
from polytune.spec.fields import fields_of
from polytune.spec.model import Effective, FileMarker
from tests.examples import Example, examples_of
from tests.spec.test_spec_options import folder, model_folder, spec_of, tried

effective = {
    kind: [
        key
        for key, shape in fields_of(STEPS.load(kind).Spec).items()
        # The content of a file or folder is in the key by itself.
        if shape.marker(Effective) and not shape.marker(FileMarker)
    ]
    for kind in STEPS.names()
}
examples = {named.member: named.example.spec for named in examples_of(STEPS, Example)}


def facts(kind: str, fields: dict[str, Any], place: Path) -> bytes | None:
    """The key facts of a step; None when a field is refused."""
    spec, problems = spec_of(kind, fields, place)
    if problems:
        return None
    files = {"base_model": model_folder(place)} if fields["base_model"] == folder else {}
    step = STEPS.load(kind)(spec, files, Scope(place, place, "test", "default", Settings()))
    return canonical(step.key_facts().facts)


@pytest.mark.parametrize("platform", PLATFORMS.names())
@pytest.mark.parametrize("base_model", [*BASE_MODELS.names(), folder])
@pytest.mark.parametrize("kind", [kind for kind, fields in effective.items() if fields])
def test_an_effective_value_moves_the_key(kind: str, base_model: str, platform: str, tmp_path: Path) -> None:
    """Each value that a field takes gives other facts; unset gives those of at most one, the default's."""
    model_folder(tmp_path)
    given = {**examples[kind], "platform": {"kind": platform}, "base_model": base_model}
    unset = facts(kind, given, tmp_path)
    if unset is None:
        return  # The base model is not trained there, or not so.
    for field in effective[kind]:
        found = [facts(kind, {**given, field: value}, tmp_path) for value in tried]
        moved = [each for each in found if each is not None]
        assert len(set(moved)) == len(moved), (field, found)
        assert moved.count(unset) <= 1, field


def test_every_effective_field_is_taken_somewhere(tmp_path: Path) -> None:
    """The values that are tried include one for each field, so that none passes for want of one."""

    def is_taken(kind: str, field: str) -> bool:
        return any(
            facts(
                kind,
                {**examples[kind], "platform": {"kind": platform}, "base_model": model, field: value},
                tmp_path,
            )
            for model in (*BASE_MODELS.names(), folder)
            for platform in PLATFORMS.names()
            for value in tried
        )

    model_folder(tmp_path)
    assert [
        (kind, each) for kind, fields in effective.items() for each in fields if not is_taken(kind, each)
    ] == []
