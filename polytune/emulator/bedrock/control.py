"""`/_control`: access to the clock, the faults and the state, for tests and for polytune's own polling.

POST /_control/advance {"seconds": 3600}     -> {"now": ...}
GET  /_control/now                           -> {"now": ...}
POST /_control/faults  [{...}] or {...}      -> {"faults": [...]}     GET lists, DELETE clears them
GET  /_control/state                         -> jobs, models, deployments, calls, tokens, faults
POST /_control/reset                         -> the account is empty, no fault is scripted
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from polytune.emulator.bedrock.call import Area
from polytune.emulator.bedrock.faults import BedrockFault
from polytune.emulator.bedrock.service_model import Response, WireRequest, iso
from polytune.emulator.bedrock.world import World

control_prefix = "/_control"


class Advance(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `/_control/advance`."""

    seconds: float


class Control:
    """The control address of one world."""

    def __init__(self, world: World, areas: Sequence[Area]) -> None:
        self.world = world
        self.areas = areas

    def respond(self, request: WireRequest) -> Response:
        """The response to a control request; 400 with the reason if it is invalid."""
        what = request.path.removeprefix(control_prefix).strip("/")
        try:
            match request.method, what:
                case "GET", "now":
                    return _json({"now": iso(self.world.clock.now())})
                case "POST", "advance":
                    seconds = msgspec.json.decode(request.body, type=Advance).seconds
                    return self._advance(seconds)
                case "GET", "state":
                    return _json(self.state())
                case "POST", "reset":
                    return self._reset()
                case "POST", "faults":
                    faults = msgspec.json.decode(request.body, type=BedrockFault | list[BedrockFault])
                    self.world.faults.add([faults] if isinstance(faults, BedrockFault) else faults)
                    return _json({"faults": self.world.faults.listed()})
                case "GET", "faults":
                    return _json({"faults": self.world.faults.listed()})
                case "DELETE", "faults":
                    self.world.faults.clear()
                    return _json({"faults": []})
        except (msgspec.DecodeError, ValueError) as error:
            return _json({"message": str(error)}, 400)
        return _json({"message": f"no control at {request.method} {request.path}"}, 404)

    def state(self) -> dict[str, Any]:
        """The current state of the account, as JSON values."""
        # Settle all areas before the first snapshot: an event in one area may change what another shows.
        with self.world.state.lock:
            now = self.world.clock.now()
            shown: dict[str, Any] = {"now": iso(now), "calls": dict(self.world.state.calls)}
            for area in self.areas:
                area.settle(now)
            for area in self.areas:
                shown |= area.snapshot(now)
            shown["tokens"] = self.world.state.tokens()
            shown["faults"] = self.world.faults.listed()
            return shown

    def _advance(self, seconds: float) -> Response:
        now = self.world.clock.advance(seconds)
        # Settle now, so that everything due, such as files in S3, exists when the request returns.
        with self.world.state.lock:
            for area in self.areas:
                area.settle(now)
        return _json({"now": iso(now)})

    def _reset(self) -> Response:
        with self.world.state.lock:
            self.world.state.clear()
            self.world.faults.clear()
        return _json({"now": iso(self.world.clock.now())})


def _json(value: dict[str, Any], status: int = 200) -> Response:
    return Response(status, json.dumps(value).encode(), {"Content-Type": "application/json"})
