"""Keys, digests and their differences: pinned, because a changed digest reruns everybody's experiments."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytune.engine.artifacts import Artifact, Change, FileEntry, KeyRecord, changes, leaves
from polytune.engine.former import current, former_key
from polytune.fingerprint import canonical, fingerprint

record = KeyRecord(
    kind="format",
    version=3,
    spec={"layout": "prompt-completion", "split": {"train": 0.8, "test": 0.2}, "system": None, "seed": 7},
    inputs={"samples": "a" * 64},
    files={"prompts": "b" * 64},
    facts={"rules": ["one", "zwei, d'rei: é"], "limit": 10},
)
artifact = Artifact(
    type="Dataset",
    files={
        "train.jsonl": FileEntry(path="runs/x/1/format/train.jsonl", digest="c" * 64, bytes=12, records=2),
        "test.jsonl": FileEntry(path="runs/x/1/format/test.jsonl", digest="d" * 64, bytes=6, records=1),
    },
    facts={"layout": "prompt-completion"},
)

scalars = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=6)
values = st.recursive(
    scalars | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
specs = st.dictionaries(st.text("abc", min_size=1, max_size=3), values, max_size=4)


def test_a_known_record_has_its_known_key() -> None:
    """The cache key of this record is the one that ledgers out there contain."""
    assert record.key == "0573b454418a318e607bbbe33c8146536b7b86dc5da06dd83af9eab70cc98703"


def test_a_record_of_the_first_format_has_the_key_that_its_program_gave_it() -> None:
    """Manifests and ledgers out there contain it."""
    former = msgspec.structs.replace(record, format=1)

    assert former_key(former) == "44ef2293706032d6217c30918b8cfce0c2ea55bf5fa185d7800049db786ef0eb"
    assert current(former).format == record.format
    assert current(current(former)) == current(former)


def test_a_known_artifact_has_its_known_digest() -> None:
    """The digest of this artifact is the one that keys out there contain."""
    assert artifact.digest == "d9e474e3153515532c28df58f2d9d1956020aab439efe4990f623a13725c9fec"


def test_a_known_value_has_its_known_canonical_form_and_fingerprint() -> None:
    """Keys are sorted, nothing is escaped that need not be, and the tag is hashed before the value."""
    value = {"b": [1, 1.0, True, None], "a": "é\n"}

    assert canonical(value) == '{"a":"é\\n","b":[1,1.0,true,null]}'.encode()
    assert fingerprint("test.v1", value) == "5637a8419da5d873520d7f090cb20c929d031cdb79135ce51c7fa551af7dbaea"


def test_numbers_that_json_lacks_are_refused() -> None:
    """NaN has no canonical form, so it cannot enter a key."""
    with pytest.raises(ValueError, match="Out of range float"):
        canonical(float("nan"))


def test_the_tag_separates_kinds_of_things() -> None:
    """The same value under two tags has two fingerprints."""
    assert fingerprint("one.v1", {}) != fingerprint("two.v1", {})


def test_places_sizes_and_counts_do_not_enter_an_artifacts_digest() -> None:
    """Only type, names, contents and facts decide an artifact's digest."""
    moved = {
        name: FileEntry(path=f"elsewhere/{name}", digest=entry.digest, bytes=0)
        for name, entry in reversed(artifact.files.items())
    }

    assert msgspec.structs.replace(artifact, files=moved).digest == artifact.digest


@pytest.mark.parametrize(
    "other",
    [
        msgspec.structs.replace(artifact, type="Text"),
        msgspec.structs.replace(artifact, facts={"layout": "other"}),
        msgspec.structs.replace(artifact, files={"train.jsonl": artifact.files["train.jsonl"]}),
        msgspec.structs.replace(
            artifact,
            files={"a": artifact.files["train.jsonl"], "test.jsonl": artifact.files["test.jsonl"]},
        ),
    ],
    ids=["type", "facts", "fewer files", "a name"],
)
def test_whatever_later_steps_can_see_enters_an_artifacts_digest(other: Artifact) -> None:
    """An artifact that differs in type, facts, names or files has another digest."""
    assert other.digest != artifact.digest


def test_defaults_enter_no_key_and_are_shown_where_they_meet_a_decision() -> None:
    """A field at its default is no part of the key; a change from or to it shows the default's value."""
    usual = msgspec.structs.replace(record, spec={}, defaults={"layout": "plain", "split": {"train": 0.8}})
    decided = msgspec.structs.replace(record, spec={"split": {"train": 0.9}}, defaults={"layout": "new"})

    assert usual.key == msgspec.structs.replace(usual, defaults={}).key
    assert changes(usual, decided) == [Change(path="spec.split.train", old="0.8", new="0.9")]
    assert changes(decided, usual) == [Change(path="spec.split.train", old="0.9", new="0.8")]


def test_a_new_version_shows_the_defaults_that_are_new() -> None:
    """The version is one difference, each default that has changed another."""
    old = msgspec.structs.replace(record, spec={}, defaults={"layout": "plain", "seed": 0})
    new = msgspec.structs.replace(old, version=4, defaults={"layout": "new", "seed": 0})

    assert changes(old, new) == [
        Change(path="version", old="3", new="4"),
        Change(path="spec.layout", old="plain", new="new"),
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "upload"),
        ("version", 4),
        ("spec", {"layout": "prompt-completion"}),
        ("inputs", {"samples": "e" * 64}),
        ("files", {}),
        ("facts", {"rules": ["one"], "limit": 10}),
        ("versions", {"teachers/polychat": 2}),
        ("format", 3),
    ],
)
def test_every_part_of_a_record_enters_its_key(field: str, value: object) -> None:
    """A record that differs in any one part has another key, and the difference is found there."""
    other = msgspec.structs.replace(record, **{field: value})

    assert other.key != record.key
    assert {change.path.partition(".")[0] for change in changes(record, other)} == {field}


@given(specs)
def test_the_order_of_a_spec_does_not_matter(spec: dict[str, Any]) -> None:
    """Two records whose specs differ only in the order of their keys have the same key."""
    turned = dict(reversed(spec.items()))

    assert msgspec.structs.replace(record, spec=turned).key == msgspec.structs.replace(record, spec=spec).key


@given(specs)
def test_a_record_survives_the_ledger(spec: dict[str, Any]) -> None:
    """A record that went through JSON has the key that it had before."""
    before = msgspec.structs.replace(record, spec=spec)

    after = msgspec.json.decode(msgspec.json.encode(before), type=KeyRecord)

    assert after.key == before.key


@given(specs, specs)
def test_records_differ_exactly_when_they_have_changes(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Equal records have no changes; whatever changes say is told from old to new, in path order."""
    before, after = (msgspec.structs.replace(record, spec=spec) for spec in (one, other))

    found = changes(before, after)

    assert changes(before, before) == []
    assert [change.path for change in found] == sorted(change.path for change in found)
    assert all(change.old != change.new for change in found)
    assert [(c.path, c.new, c.old) for c in changes(after, before)] == [(c.path, c.old, c.new) for c in found]


def test_changes_are_told_leaf_by_leaf() -> None:
    """A nested value is named by its dotted path; what is absent on one side is None there."""
    other = msgspec.structs.replace(
        record,
        spec={"layout": "prompt-completion", "split": {"train": 0.9, "dev": 0.1}, "system": None, "seed": 7},
        inputs={},
    )

    assert changes(record, other) == [
        Change(path="inputs.samples", old="a" * 64, new=None),
        Change(path="spec.split.dev", old=None, new="0.1"),
        Change(path="spec.split.test", old="0.2", new=None),
        Change(path="spec.split.train", old="0.8", new="0.9"),
    ]


def test_lists_of_scalars_are_one_leaf_and_lists_of_objects_are_many() -> None:
    """`[1, 2]` is shown whole; objects in a list are told apart by their index."""
    value = {"styles": ["a", "b"], "graders": [{"kind": "x"}, {"kind": "y"}], "none": {}}

    assert dict(leaves(value)) == {
        "styles": '["a","b"]',
        "graders.0.kind": "x",
        "graders.1.kind": "y",
        "none": "{}",
    }
