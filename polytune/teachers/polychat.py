"""polychat: the Polychat API; experiments for it plan here, asking it comes with a later release."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from polytune.errors import Unavailable
from polytune.spec.model import Secret
from polytune.teachers.interface import Answer, Price, Request, Teacher, TeacherSpec

not_yet = "needs the Polychat API: it comes with a later release; teachers composer and replay answer here"

prices = {
    "claude-4-5-sonnet": Price(
        input_usd_per_million_tokens=3.0,
        output_usd_per_million_tokens=15.0,
        source="the original toolkit's README for Claude Sonnet 4: $3 and $15 per million tokens, 2025-11",
    ),
}
"""By model key; what Polychat's provider charges behind it."""


class PolychatSpec(TeacherSpec):
    """Asks the Strudel endpoint of a Polychat server."""

    model: Annotated[str, Field(min_length=1)] = "claude-4-5-sonnet"
    """A model key of that server, such as `claude-4-5-sonnet`; not a provider's id."""
    url: Annotated[str, Field(pattern=r"^https?://")] = "https://api.polychat.app"
    """The server."""
    api_key: Secret = "${secret:POLYCHAT_API_KEY}"
    """Where the key is found."""


class Polychat(Teacher):
    """Says what it needs; asks nothing yet."""

    Spec = PolychatSpec
    label = "Polychat"

    def __init__(self, spec: PolychatSpec, *args: object) -> None:
        self.spec = spec

    def price(self) -> Price:
        """What the model behind the key charges."""
        unknown = Price(
            input_usd_per_million_tokens=None,
            output_usd_per_million_tokens=None,
            source=f"no sourced price for {self.spec.model}",
        )
        return prices.get(self.spec.model, unknown)

    def missing(self) -> str:
        """Why nothing is asked yet."""
        return not_yet

    async def answer(self, request: Request, draw: int) -> Answer:
        """Raises Unavailable: see `missing`."""
        raise Unavailable(not_yet)
