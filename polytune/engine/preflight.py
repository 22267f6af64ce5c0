"""The preflight: everything that would certainly stop a step, found before any step works.

    here       what this machine lacks: programs, variables, files, packages    Step.missing
    estimated  what only a step's inputs and answers show                       Estimate.obstacle
    money      a price that is not known, or is too high, under a limit         Estimate
    outside    what a platform lacks: credentials that work, a bucket           Step.unready, before work only

In this order, and each only for steps that nothing before has blocked. `plan`, `run`, `resume`, `preview` and
`doctor` all ask here. Steps whose output is known are never examined.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from polytune.engine.budget import BudgetLimits
from polytune.engine.compiled import CompiledStep
from polytune.engine.plan import Plan, PlannedStep, StepState, blocked_by, waiting_for
from polytune.engine.step import Estimate
from polytune.errors import Obstacle

Examine = Callable[[PlannedStep], Obstacle | None]
"""Returns what would certainly stop a planned step."""


def estimated(plan: Plan, estimates: Mapping[str, Estimate], limits: BudgetLimits) -> Plan:
    """Return the plan with steps blocked by what their estimates show, alone or against the limits."""
    left = _Remainder(limits)

    def examine(planned: PlannedStep) -> Obstacle | None:
        estimate = estimates.get(planned.step.id)
        # One that may turn out to be a hit, or whose job runs already, may cost nothing.
        if estimate is None or planned.state is not StepState.RUN:
            return None
        return estimate.obstacle or left.short_of(estimate)

    return _examined(plan, examine)


def outside(plan: Plan, unready: Callable[[CompiledStep], Obstacle | None]) -> Plan:
    """Return the plan with steps blocked by what is missing outside this machine."""
    # Also for a step that may turn out to be a hit: what is paid for before it should not wait half-way.
    able = (StepState.RUN, StepState.MAYBE)
    return _examined(plan, lambda planned: unready(planned.step) if planned.state in able else None)


def _examined(plan: Plan, examine: Examine) -> Plan:
    steps: dict[str, PlannedStep] = {}
    for planned in plan.steps:
        steps[planned.step.id] = _blocked_or_not(planned, steps, examine)
    return replace(plan, steps=tuple(steps.values()))


def _blocked_or_not(planned: PlannedStep, before: Mapping[str, PlannedStep], examine: Examine) -> PlannedStep:
    if not planned.state.works or planned.state is StepState.BLOCKED:
        return planned
    waits = [name for name in planned.step.after if before[name].state is StepState.BLOCKED]
    if waits:
        return waiting_for(planned, waits)
    obstacle = examine(planned)
    return blocked_by(planned, obstacle) if obstacle else planned


class _Remainder:
    """What the limits leave for the next step, if every step before it costs its low estimate."""

    def __init__(self, limits: BudgetLimits) -> None:
        self._limits = limits
        self._usd = 0.0
        self._requests = 0

    def short_of(self, estimate: Estimate) -> Obstacle | None:
        """Take a step's low estimate away; return what is too little for it."""
        spends = estimate.usd_low or 0.0
        # Only estimates that looked up what is stored are a lower bound.
        asks = (estimate.requests or 0) if estimate.reused is not None else 0
        self._usd += spends
        self._requests += asks
        usd, requests = self._limits.usd, self._limits.requests
        if usd is not None and estimate.unpriced:
            return Obstacle(
                "no price is known for its requests, so they fit into no budget", estimate.unpriced
            )
        if spends and usd is not None and self._usd > usd:
            cause = f"this run would cost at least ${self._usd:.2f}, and ${usd:.2f} is allowed"
            return Obstacle(cause, "Raise budget.usd in the file, or pass a higher --max-usd")
        if asks and requests is not None and self._requests > requests:
            cause = f"this run would ask at least {self._requests:,} times, and {requests:,} are allowed"
            return Obstacle(cause, "Raise budget.requests in the file")
        return None
