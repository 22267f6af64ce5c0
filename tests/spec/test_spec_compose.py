"""Files, overrides, matrices and references come together into the trees to validate."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytune.errors import Problem
from polytune.fingerprint import Json
from polytune.spec.compose import Composition, compose, merged
from polytune.spec.located import Node, Origin, at, leaves, origins, plain, split
from polytune.spec.overrides import overridden
from tests.messages import message
from tests.spec.spec_samples import STEADY


def composed(
    folder: Path,
    files: Mapping[str, str],
    overrides: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Composition:
    """The composition of the first of some files."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return compose(folder / next(iter(files)), overrides, environment or {})


def only(composition: Composition) -> Json:
    """The value of the only variant of a composition without problems."""
    assert composition.problems == ()
    (variant,) = composition.variants
    return plain(variant.root)


def told(composition: Composition) -> list[str]:
    """The problems of a composition, without their files."""
    return [f"{each.line}:{each.column}: {each.where}: {each.what}" for each in composition.problems]


def test_maps_merge_and_the_rest_replaces(tmp_path: Path) -> None:
    """A child's mappings merge into its parent's; its lists and single values replace them."""
    found = composed(
        tmp_path,
        {
            "child.yaml": "extends: base.yaml\nname: c\nsteps:\n  train: {epochs: 3, tags: [z]}\n",
            "base.yaml": "seed: 7\nsteps:\n  train: {epochs: 2, rate: 5e-5, tags: [x, y]}\n  deploy: {}\n",
        },
    )

    assert only(found) == {
        "seed": 7,
        "steps": {"train": {"epochs": 3, "rate": 5e-5, "tags": ["z"]}, "deploy": {}},
        "name": "c",
    }


def test_each_value_keeps_the_file_that_states_it(tmp_path: Path) -> None:
    """After a merge every value is still placed in the file that stated it."""
    found = composed(
        tmp_path,
        {
            "child.yaml": "extends: bases/base.yaml\nname: c\nsteps:\n  train: {epochs: 3}\n",
            "bases/base.yaml": "steps:\n  train:\n    epochs: 2\n    rate: ${env:RATE}\n",
        },
        overrides=["steps.train.seed=1"],
        environment={"RATE": "0.1"},
    )

    assert origins(found.variants[0].root, "", tmp_path) == {
        "name": "child.yaml:2",
        "steps.train.epochs": "child.yaml:4",
        "steps.train.rate": "env:RATE",
        "steps.train.seed": "--set",
    }
    assert found.sources == (tmp_path / "child.yaml", tmp_path / "bases" / "base.yaml")
    assert found.environment == {"RATE": "0.1"}


def test_three_generations_fold_from_the_oldest(tmp_path: Path) -> None:
    """A grandchild wins over a child, and a child over the oldest file; each path is its own file's."""
    found = composed(
        tmp_path,
        {
            "c.yaml": "extends: b/b.yaml\nname: c\nd: {x: 3}\n",
            "b/b.yaml": "extends: ../a/a.yaml\nname: b\nd: {x: 2, y: 2}\n",
            "a/a.yaml": "name: a\nd: {x: 1, y: 1, z: 1}\n",
        },
    )

    assert only(found) == {"name": "c", "d": {"x": 3, "y": 2, "z": 1}}


def test_another_kind_replaces_a_member_but_not_a_step(tmp_path: Path) -> None:
    """A member that names another kind drops the old kind's keys; a step's own `kind` is an ordinary key."""
    found = composed(
        tmp_path,
        {
            "c.yaml": "extends: a.yaml\nplatform: {kind: local}\nsteps:\n  deploy: {kind: provisioned}\n",
            "a.yaml": "platform: {kind: bedrock, bucket: b}\nsteps:\n  deploy: {kind: on_demand, ttl: 7d}\n",
        },
    )

    assert only(found) == {
        "platform": {"kind": "local"},
        "steps": {"deploy": {"kind": "provisioned", "ttl": "7d"}},
    }


def test_problems_of_every_file_are_collected(tmp_path: Path) -> None:
    """A wrong value in a parent, a wrong override and a missing variable are told together."""
    found = composed(
        tmp_path,
        {"c.yaml": "extends: a.yaml\nname: ${env:NOPE}\n", "a.yaml": "x: !odd 1\n"},
        overrides=["broken"],
    )

    assert sorted(told(found)) == [
        "0:0: broken: write --set broken=value",
        "1:4: : " + message("spec/tag-is-not-supported-write-plain-value", name="!odd"),
        "2:7: " + message("spec/environment-variable-nope-is-not-set", name="${env:NOPE:-...}"),
    ]
    assert found.environment == {"NOPE": None}


def test_a_missing_file_is_a_problem_not_an_error(tmp_path: Path) -> None:
    """A file that is not there gives no variant and one problem."""
    found = compose(tmp_path / "no.yaml", [], {})

    assert found.variants == ()
    assert [problem.what for problem in found.problems] == [message("spec/no-such-file")]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("a.b=2", {"name": "n", "a": {"b": 2}, "items": [{"k": 1}, 2], "empty": None}),
        (
            "a.new.deep=x",
            {"name": "n", "a": {"b": 1, "new": {"deep": "x"}}, "items": [{"k": 1}, 2], "empty": None},
        ),
        ("items.0.k=9", {"name": "n", "a": {"b": 1}, "items": [{"k": 9}, 2], "empty": None}),
        ("items=[]", {"name": "n", "a": {"b": 1}, "items": [], "empty": None}),
        ("empty.x=1", {"name": "n", "a": {"b": 1}, "items": [{"k": 1}, 2], "empty": {"x": 1}}),
        ("a={c: 5e-5}", {"name": "n", "a": {"c": 5e-5}, "items": [{"k": 1}, 2], "empty": None}),
        ("a.b=x=y", {"name": "n", "a": {"b": "x=y"}, "items": [{"k": 1}, 2], "empty": None}),
        ("a.b=", {"name": "n", "a": {"b": None}, "items": [{"k": 1}, 2], "empty": None}),
        ("a.b=${spec:name}!", {"name": "n", "a": {"b": "n!"}, "items": [{"k": 1}, 2], "empty": None}),
    ],
)
def test_overrides_set_one_place(override: str, expected: Json, tmp_path: Path) -> None:
    """`--set` replaces exactly the value at its path, making mappings on the way."""
    text = "name: n\na: {b: 1}\nitems: [{k: 1}, 2]\nempty:\n"

    assert only(composed(tmp_path, {"x.yaml": text}, [override])) == expected


def test_the_last_override_wins(tmp_path: Path) -> None:
    """Of two overrides of one path the later one stays."""
    assert only(composed(tmp_path, {"x.yaml": "a: 1\n"}, ["a=2", "a=3"])) == {"a": 3}


def test_a_matrix_makes_one_variant_per_combination(tmp_path: Path) -> None:
    """Variants come in matrix order, named by the last part of each axis with values as written."""
    found = composed(
        tmp_path,
        {
            "x.yaml": "name: sweep\nsteps:\n  train: {epochs: 9, rate: 1}\n"
            "matrix: {steps.train.epochs: [1, 2], rate: [1e-5, 5e-5]}\n"
        },
    )

    assert [variant.name for variant in found.variants] == [
        "sweep@epochs=1,rate=1e-5",
        "sweep@epochs=1,rate=5e-5",
        "sweep@epochs=2,rate=1e-5",
        "sweep@epochs=2,rate=5e-5",
    ]
    assert plain(found.variants[3].root) == {"name": "sweep", "steps": {"train": {"epochs": 2, "rate": 5e-5}}}


def test_axes_that_share_a_last_part_are_told_apart(tmp_path: Path) -> None:
    """Two axes that end alike are named by their whole paths."""
    found = composed(tmp_path, {"x.yaml": "name: s\nmatrix: {steps.a.n: [1], steps.b.n: [2], seed: [3]}\n"})

    assert [variant.name for variant in found.variants] == ["s@steps.a.n=1,steps.b.n=2,seed=3"]


def test_names_of_variants_are_safe_as_folder_names(tmp_path: Path) -> None:
    """Slashes, spaces and mappings in axis values become dashes in names, and references their values."""
    found = composed(
        tmp_path,
        {
            "x.yaml": "name: s\nmatrix: {steps.a.model: [org/model 1, '${env:M}'], "
            "steps.a.teacher: [{kind: composer, top_k: 3}]}\n"
        },
        environment={"M": "../m"},
    )

    assert [variant.name for variant in found.variants] == [
        "s@model=org-model-1,teacher=composer-top_k-3",
        "s@model=..-m,teacher=composer-top_k-3",
    ]


def test_an_override_narrows_its_axis(tmp_path: Path) -> None:
    """Setting a path that the matrix varies leaves the one value, by whole path or by short name."""
    text = "name: s\nsteps:\n  t: {n: 0}\nmatrix: {n: [1, 2], seed: [5]}\n"

    by_path = composed(tmp_path, {"x.yaml": text}, ["steps.t.n=7"])
    by_axis = composed(tmp_path, {"x.yaml": text}, ["matrix.n=[8]"])

    assert [variant.name for variant in by_path.variants] == ["s@n=7,seed=5"]
    assert [variant.name for variant in by_axis.variants] == ["s@n=8,seed=5"]


def test_a_file_without_a_name_lends_its_own(tmp_path: Path) -> None:
    """A variant of a nameless file is called like the file."""
    assert composed(tmp_path, {"base.yaml": "seed: 1\n"}).variants[0].name == "base"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: ${env:A}-${env:B:-b}", {"a": "1-b"}),
        ("a: ${env:B:-}", {"a": ""}),
        ("a: ${env:E:-d}", {"a": "d"}),
        ("a: ${env:E}", {"a": ""}),
        ("a: ${env:B:-x:-y}", {"a": "x:-y"}),
        ("a: $${env:A} costs $5", {"a": "${env:A} costs $5"}),
        ("a: [2, x]\nb: ${spec:a.0}\nc: ${spec:a}", {"a": [2, "x"], "b": 2, "c": [2, "x"]}),
        ("a: 5e-5\nb: at ${spec:a}", {"a": 5e-5, "b": "at 5e-5"}),
        (
            "a: ${spec:b}\nb: ${spec:c}\nc: {d: '${env:A}'}",
            {"a": {"d": "1"}, "b": {"d": "1"}, "c": {"d": "1"}},
        ),
        ("a: ${spec:b.d}\nb: ${spec:c}\nc: {d: 4}", {"a": 4, "b": {"d": 4}, "c": {"d": 4}}),
        ("a: ${secret:KEY}\nb: ${spec:a}", {"a": "${secret:KEY}", "b": "${secret:KEY}"}),
    ],
)
def test_references_are_filled_in(text: str, expected: Json, tmp_path: Path) -> None:
    """Environment values, defaults, other values and escapes take their references' places."""
    assert only(composed(tmp_path, {"x.yaml": text}, environment={"A": "1", "E": ""})) == expected


def test_environment_values_are_not_read_again(tmp_path: Path) -> None:
    """A reference inside an environment value stays text."""
    found = composed(tmp_path, {"x.yaml": "a: ${env:A}\n"}, environment={"A": "${env:B}"})

    assert only(found) == {"a": "${env:B}"}
    assert found.environment == {"A": "${env:B}"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: ${spec:a}", "a: " + message("spec/refers-to-itself", cycle="a -> a")),
        ("a: {b: '${spec:a}'}", "a.b: " + message("spec/refers-to-itself", cycle="a -> a.b -> a")),
        (
            "a: x${spec:b}\nb: x${spec:c}\nc: x${spec:a}",
            "c: " + message("spec/refers-to-itself", cycle="a -> b -> c -> a"),
        ),
        ("a: ${spec:b.x}\nb: 5", "a: " + message("spec/refers-to-in-b", name="x")),
        (
            "a: ${spec:seeds}\nseed: 5",
            "a: " + message("spec/no-is-written-in-this-experiment", name="seeds", suggestion="seed"),
        ),
        ("a: ${env:B:-${env:C}}", "a: " + message("spec/is-not-closed")),
    ],
)
def test_references_that_lead_nowhere_are_told_once(text: str, complaint: str, tmp_path: Path) -> None:
    """A wrong reference is one problem, under the path of the value that holds it."""
    found = composed(tmp_path, {"x.yaml": text})

    assert [f"{each.where}: {each.what}" for each in found.problems] == [complaint]


def test_references_cannot_grow_without_bound(tmp_path: Path) -> None:
    """References that double each other are refused, as text, as values and as levels."""
    text = "\n".join(f"a{i}: x${{spec:a{i + 1}}}${{spec:a{i + 1}}}" for i in range(40)) + "\na40: xxxxxxxx"
    values = "\n".join(f"a{i}: ['${{spec:a{i + 1}}}', '${{spec:a{i + 1}}}']" for i in range(40)) + "\na40: x"
    levels = "a0: x\n" + "\n".join(f"a{i}: {{x: '${{spec:a{i - 1}}}'}}" for i in range(1, 500))
    chain = "\n".join(f"a{i}: ${{spec:a{i + 1}}}" for i in range(500)) + "\na500: x"

    complaints = [
        composed(tmp_path, {f"{i}.yaml": each}).problems[0].what
        for i, each in enumerate([text, values, levels, chain])
    ]

    assert complaints == [
        message("spec/grows-to-more-than-characters", characters="1,000,000"),
        message("spec/references-repeat-each-other-into-more", values="50,000", levels=80),
        message("spec/references-repeat-each-other-into-more", values="50,000", levels=80),
        message("spec/refers-through-too-many-levels"),
    ]


def test_environment_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    """A variable that is not UTF-8 is refused by name, without its value."""
    value = os.fsdecode(b"\xff")

    found = composed(tmp_path, {"x.yaml": "a: ${env:A}\n"}, environment={"A": value})

    assert told(found) == ["1:4: a: environment variable A is not UTF-8 text"]


def test_composing_imports_no_pydantic() -> None:
    """Reading and composing a file stays light: pydantic is not imported."""
    program = "import sys, polytune.spec.compose; print('pydantic' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"


PLACE = Origin(Path("x.yaml"), 1, 1)
KEYS = st.sampled_from("abcd")
TREES = st.recursive(
    st.sampled_from([None, True, 1, 0.5, "x"]).map(lambda value: Node(value, PLACE)),
    lambda inner: st.one_of(
        st.dictionaries(KEYS, inner, max_size=3).map(lambda value: Node(value, PLACE)),
        st.lists(inner, max_size=2).map(lambda items: Node(tuple(items), PLACE)),
    ),
    max_leaves=12,
)
MAPPINGS = st.dictionaries(KEYS, TREES, max_size=4).map(lambda value: Node(value, PLACE))


LEAVES = st.one_of(
    st.sampled_from([None, True, 1, 0.5, "x"]).map(lambda value: Node(value, PLACE)),
    st.lists(TREES, max_size=2).map(lambda items: Node(tuple(items), PLACE)),
)
# `a` and `b` always hold mappings, `c` and `d` never: no member changes its kind from one tree to another.
OF_ONE_KIND = st.recursive(
    st.fixed_dictionaries({}, optional={"c": LEAVES, "d": LEAVES}).map(lambda value: Node(value, PLACE)),
    lambda inner: st.fixed_dictionaries({}, optional={"a": inner, "b": inner, "c": LEAVES, "d": LEAVES}).map(
        lambda value: Node(value, PLACE)
    ),
    max_leaves=12,
)


@STEADY
@given(OF_ONE_KIND, OF_ONE_KIND, OF_ONE_KIND)
def test_merging_does_not_depend_on_grouping(a: Node, b: Node, c: Node) -> None:
    """Merging a chain gives the same from either end, as long as no member changes its kind."""
    assert plain(merged(merged(a, b), c)) == plain(merged(a, merged(b, c)))


@STEADY
@given(MAPPINGS)
def test_merging_with_itself_or_nothing_changes_nothing(tree: Node) -> None:
    """A tree over itself, over nothing and under nothing stays the same."""
    nothing = Node({}, PLACE)

    assert plain(merged(tree, tree)) == plain(tree)
    assert plain(merged(nothing, tree)) == plain(merged(tree, nothing)) == plain(tree)


@STEADY
@given(MAPPINGS, MAPPINGS)
def test_a_child_has_the_last_word(parent: Node, child: Node) -> None:
    """Every single value and list of a child is in the merged tree, at its own place."""
    own = replace(PLACE, file=Path("child.yaml"))
    root = merged(parent, replace(child, origin=own))

    assert root.origin == own
    for path, leaf in leaves(child):
        found = at(root, path)
        assert found is not None
        assert plain(found) == plain(leaf) or leaf.value == {}


@STEADY
@given(st.lists(KEYS, min_size=1, max_size=4), st.integers(-(2**63) + 1, 2**63 - 1))
def test_set_then_read_is_what_was_set(parts: list[str], value: int) -> None:
    """A path that was set holds what it was set to."""
    path = ".".join(parts)
    problems: list[Problem] = []

    root = overridden(Node({}, PLACE), [f"{path}={value}"], problems)

    found = at(root, split(path))
    assert found
    assert (found.value, problems) == (value, [])
