"""Wiring: artifact types connect steps; what cannot be connected is told with its remedy."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from polytune.engine.graph import Declared, Wiring, WiringFault, wire
from polytune.engine.step import Port
from tests.messages import message

makers = {"Samples": ["generate"], "Dataset": ["format"], "CheckedDataset": ["validate", "import"]}


def producers(artifact: str) -> list[str]:
    """The kinds that make an artifact type."""
    return makers.get(artifact, [])


def step(
    id: str,
    *needs: str,
    takes: Mapping[str, Port] | None = None,
    makes: str = "Nothing",
    sources: Mapping[str, str] | None = None,
) -> Declared:
    """A declared step."""
    return Declared(id, id, takes or {}, makes, sources or {}, tuple(needs))


def what(wiring: Wiring) -> list[str]:
    """The text of each fault."""
    return [fault.what for fault in wiring.faults]


def test_a_type_that_one_step_produces_needs_no_words() -> None:
    """Each port is fed by the only step that makes its type, whatever the order in the file."""
    wiring = wire(
        [
            step("validate", takes={"dataset": Port(("Dataset",))}, makes="CheckedDataset"),
            step("format", takes={"samples": Port(("Samples",))}, makes="Dataset"),
            step("generate", makes="Samples"),
        ],
        producers,
    )

    assert wiring.faults == ()
    assert wiring.inputs == {
        "validate": {"dataset": "format"},
        "format": {"samples": "generate"},
        "generate": {},
    }
    assert wiring.order == ("generate", "format", "validate")


def test_two_candidates_need_a_from() -> None:
    """An ambiguity names the candidates and the line that settles it."""
    one, two = step("one", makes="Samples"), step("two", makes="Samples")
    taker = step("format", takes={"samples": Port(("Samples",))}, makes="Dataset")

    wiring = wire([one, two, taker], producers)

    assert wiring.faults == (
        WiringFault(
            "format",
            "",
            message("engine/could-come-from-one", name="samples", name2="{samples", name3="one}"),
        ),
    )


def test_from_settles_an_ambiguity_by_port_or_for_all_ports() -> None:
    """`from: {port: step}` and a bare `from: step` choose among candidates."""
    one, two = step("one", makes="Samples"), step("two", makes="Samples")
    ports = {"samples": Port(("Samples",))}

    by_port = wire([one, two, step("f", takes=ports, sources={"samples": "two"})], producers)
    bare = wire([one, two, step("f", takes=ports, sources={"": "two"})], producers)

    assert (by_port.inputs["f"], by_port.faults) == ({"samples": "two"}, ())
    assert (bare.inputs["f"], bare.faults) == ({"samples": "two"}, ())


def test_the_preferred_type_wins() -> None:
    """A port that takes two types is fed by the first of them that anybody makes."""
    port = {"data": Port(("CheckedDataset", "Dataset"))}
    plain, checked = step("format", makes="Dataset"), step("validate", makes="CheckedDataset")

    with_both = wire([plain, checked, step("upload", takes=port)], producers)
    with_one = wire([plain, step("upload", takes=port)], producers)

    assert with_both.inputs["upload"] == {"data": "validate"}
    assert with_one.inputs["upload"] == {"data": "format"}


def test_a_missing_producer_is_an_error_that_names_the_step_to_add() -> None:
    """Nothing produces the input: the message says which kinds would."""
    wiring = wire([step("upload", takes={"data": Port(("CheckedDataset",))})], producers)

    assert what(wiring) == ["no step produces a checked dataset. Add `validate: {}` or `import: {}` to steps"]


def test_a_type_that_no_kind_makes_is_told_too() -> None:
    """A third party's type without a maker still gets a sentence."""
    wiring = wire([step("x", takes={"data": Port(("Image",))})], producers)

    assert what(wiring) == [message("engine/nothing-produces-image")]


def test_an_optional_input_may_be_absent() -> None:
    """An optional port that nobody feeds is left out."""
    wiring = wire([step("x", takes={"data": Port(("Image",), optional=True)})], producers)

    assert (wiring.inputs, wiring.faults) == ({"x": {}}, ())


def test_a_step_does_not_feed_itself() -> None:
    """A step that takes what it makes is fed by another one."""
    first = step("first", makes="Text")
    second = step("second", takes={"text": Port(("Text",))}, makes="Text")

    assert wire([first, second], producers).inputs["second"] == {"text": "first"}
    assert what(wire([second], producers)) == [message("engine/nothing-produces-text")]


def test_a_from_that_does_not_fit_is_told() -> None:
    """An unknown port is told with the nearest name, a source of another type with its type."""
    maker = step("generate", makes="Samples")
    takes = {"dataset": Port(("Dataset",), optional=True)}

    port = wire([maker, step("v", takes=takes, sources={"datset": "generate"})], producers)
    type_ = wire([maker, step("v", takes=takes, sources={"dataset": "generate"})], producers)

    assert port.faults == (
        WiringFault("v", "from", message("engine/no-input", name="datset", suggestion="dataset")),
    )
    assert type_.faults == (WiringFault("v", "from", message("engine/generate-produces-samples")),)


def test_steps_that_wait_for_each_other_are_told_in_a_circle() -> None:
    """A cycle through `needs` names the steps in it."""
    wiring = wire([step("a", "b"), step("b", "c"), step("c", "a")], producers)

    assert wiring.order == ()
    (text,) = what(wiring)
    circle = text.removeprefix("the steps depend on each other: ").split(" -> ")
    assert circle[0] == circle[-1]
    assert {"a b", "b c", "c a"} >= {" ".join(pair) for pair in pairwise(circle)}


@st.composite
def graphs(draw: st.DrawFn) -> list[Declared]:
    """Steps of which each is fed by, and needs, any of those before it; given in any order."""
    count = draw(st.integers(1, 9))
    steps = []
    for number in range(count):
        earlier = [f"s{n}" for n in range(number)]
        sources = draw(st.lists(st.sampled_from(earlier), max_size=3)) if earlier else []
        needs = draw(st.lists(st.sampled_from(earlier), max_size=2, unique=True)) if earlier else []
        steps.append(
            step(
                f"s{number}",
                *needs,
                takes={f"p{n}": Port(("Text",)) for n in range(len(sources))},
                makes="Text",
                sources={f"p{n}": source for n, source in enumerate(sources)},
            )
        )
    return draw(st.permutations(steps))


@given(graphs())
def test_the_order_respects_every_edge(steps: list[Declared]) -> None:
    """Every step comes once, after all that feed it and all that it needs; every port has its source."""
    wiring = wire(steps, producers)

    assert wiring.faults == ()
    assert sorted(wiring.order) == sorted(each.id for each in steps)
    for each in steps:
        assert wiring.inputs[each.id] == dict(each.sources)
        before = wiring.order[: wiring.order.index(each.id)]
        assert {*each.sources.values(), *each.needs} <= set(before)
