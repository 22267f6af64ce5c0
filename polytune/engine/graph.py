"""The graph of steps: artifact types connect them, `from:` resolves ambiguity, `needs:` adds order.

The graph sees only declarations, so it is tested without real steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

from polytune.engine.step import Port
from polytune.errors import did_you_mean


@dataclass(frozen=True)
class Declared:
    """One step: what the experiment states and what its kind declares."""

    id: str
    kind: str
    consumes: Mapping[str, Port]
    produces: str
    sources: Mapping[str, str] = field(default_factory=dict)
    """`from:` as written; the key '' holds a bare step id."""
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class WiringFault:
    """Something wrong with the wiring of one step."""

    step: str
    part: str
    """'' for the step itself, else `from` or `needs`."""
    what: str


@dataclass(frozen=True)
class Wiring:
    """The source of every port, and an order in which the steps can run."""

    inputs: Mapping[str, Mapping[str, str]]
    order: tuple[str, ...]
    faults: tuple[WiringFault, ...]


def wire(steps: Sequence[Declared], producers: Callable[[str], Sequence[str]]) -> Wiring:
    """Connect the steps by artifact type. `producers` names the step kinds that produce a type."""
    faults: list[WiringFault] = []
    inputs = {step.id: _inputs(step, steps, producers, faults) for step in steps}
    order, cycle = _order(steps, inputs)
    return Wiring(inputs, order, (*faults, *cycle))


def _inputs(
    step: Declared,
    steps: Sequence[Declared],
    producers: Callable[[str], Sequence[str]],
    faults: list[WiringFault],
) -> dict[str, str]:
    found = {}
    faults += _unfit_sources(step, steps)
    for name, port in step.consumes.items():
        source = _source(step, name, port, steps)
        if isinstance(source, Declared):
            found[name] = source.id
        elif source or not port.optional:
            faults.append(WiringFault(step.id, "", source or _nothing(step, port, producers)))
    return found


def _source(step: Declared, name: str, port: Port, steps: Sequence[Declared]) -> Declared | str:
    """Return the step that feeds a port, or what is wrong; '' when there is no candidate."""
    wanted = step.sources.get(name, step.sources.get(""))
    if wanted is not None:
        stated = next((other for other in steps if other.id == wanted), None)
        if stated is not None and stated.produces in port.types:
            return stated
    if port.explicit:
        return ""
    # An unfit `from:` is reported by `_unfit_sources`. Wire the port by type meanwhile, so that one mistake
    # does not cause further messages.
    for artifact in port.types:
        # In order of preference: a checked dataset wins over an unchecked one that is also there.
        candidates = [other for other in steps if other.produces == artifact and other.id != step.id]
        if len(candidates) > 1:
            names = ", ".join(other.id for other in candidates)
            return f"'{name}' could come from {names}. Say which: `from: {{{name}: {candidates[0].id}}}`"
        if candidates:
            return candidates[0]
    return ""


def _unfit_sources(step: Declared, steps: Sequence[Declared]) -> list[WiringFault]:
    faults = []
    by_id = {other.id: other for other in steps}
    for port, wanted in step.sources.items():
        if port and port not in step.consumes:
            faults.append(
                WiringFault(step.id, "from", f"no input '{port}'.{did_you_mean(port, list(step.consumes))}")
            )
        elif wanted in by_id and not _accepts(step, port, by_id[wanted].produces):
            made = by_id[wanted].produces
            faults.append(
                WiringFault(
                    step.id, "from", f"{wanted} produces {_words(made)}, which {step.id} does not accept"
                )
            )
    return faults


def _accepts(step: Declared, port: str, artifact: str) -> bool:
    ports = [step.consumes[port]] if port else list(step.consumes.values())
    return any(artifact in each.types for each in ports)


def _nothing(step: Declared, port: Port, producers: Callable[[str], Sequence[str]]) -> str:
    makers = [maker for artifact in port.types for maker in producers(artifact)]
    remedy = " or ".join(f"`{maker}: {{}}`" for maker in makers) or "one"
    return f"no step produces {_words(port.types[0])}. Add {remedy} to steps"


def _words(artifact: str) -> str:
    """Turn 'CheckedDataset' into 'a checked dataset', and 'Samples' into 'samples'."""
    words = "".join(f" {c.lower()}" if c.isupper() else c for c in artifact).strip()
    if words.endswith("s"):
        return words
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _order(
    steps: Sequence[Declared], inputs: Mapping[str, Mapping[str, str]]
) -> tuple[tuple[str, ...], list[WiringFault]]:
    ids = {step.id for step in steps}
    # Unknown ids in `needs:` are reported by the spec's validation.
    after = {step.id: {*inputs[step.id].values(), *(ids & set(step.needs))} for step in steps}
    try:
        return tuple(TopologicalSorter(after).static_order()), []
    except CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        return (), [WiringFault(error.args[1][0], "needs", f"the steps depend on each other: {circle}")]
