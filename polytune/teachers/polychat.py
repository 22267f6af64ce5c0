"""polychat: the Strudel endpoint of a Polychat server, POST /apps/strudel/generate.

The server builds its own system prompt from style and complexity; ours is not sent. It reports no tokens, so
usage is estimated. A gateway in front of it may return one cached answer for equal requests for 24 hours: an
answer that repeats a lower draw is drawn again with an extra line that makes the prompt different.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

import msgspec
from pydantic import Field

from polytune.asking.failures import Failure, FailureKind
from polytune.spec.model import JsonObject, Secret
from polytune.teachers._http import HttpSpec, HttpTeacher
from polytune.teachers._replies import ParsedReply, decoded, unknown_price
from polytune.teachers.interface import Price, Request, TeacherSpec, redraws_apart

styles = ("techno", "ambient", "house", "jazz", "drums", "experimental")
"""The styles that the server's schema accepts; other styles appear in the prompt text only."""
complexities = ("simple", "medium", "complex")
slowest, fastest = 60, 200
"""The range of `tempo` that the server's schema accepts, in beats per minute."""
longest_answer_tokens = 8192
"""The output limit that the server sets for its model."""
server_prompt_characters = 15_500
"""The server's own system prompt with the longest guides (14,838 characters without them, 2026-01)."""
url_variable = "POLYTUNE_POLYCHAT_URL"

prices = {
    "claude-4-5-sonnet": Price(
        input_usd_per_million_tokens=3.0,
        output_usd_per_million_tokens=15.0,
        source="the original toolkit's README for Claude Sonnet 4: $3 and $15 per million tokens, 2025-11",
    ),
}
"""By model key: the price of the provider that Polychat uses for it."""

fenced = re.compile(r"^[ \t]*```[\w-]*[ \t]*\n(.*?)^[ \t]*```[ \t]*$", re.DOTALL | re.MULTILINE)
half_fence = re.compile(r"^[ \t]*```[\w-]*[ \t]*$\n?", re.MULTILINE)
tag_remains = re.compile(r"\A(?:typescript|ts|tsx|x|javascript|js|strudel)\n")
"""What remains of an opening fence when the server strips a tag it does not know: `jsx` becomes `x`."""

sentence = re.compile(r"[A-Z][\w',; -]*[.:!?]")
"""A line of prose: it has none of the characters that code needs."""


class PolychatSpec(HttpSpec):
    """Asks the Strudel endpoint of a Polychat server."""

    model: Annotated[str, Field(min_length=1)] = "claude-4-5-sonnet"
    """A model key of that server, such as `claude-4-5-sonnet`; not a provider's id."""
    url: Annotated[str, Field(pattern=r"^https?://")] = "https://api.polychat.app"
    """The server's URL."""
    api_key: Secret = "${secret:POLYCHAT_API_KEY}"
    """A reference to the API key."""


class GeneratedCode(msgspec.Struct, frozen=True):
    """The body of a reply since 2026."""

    code: str


class WrappedCode(msgspec.Struct, frozen=True):
    """The body of a reply in 2025."""

    data: GeneratedCode


class PolychatError(msgspec.Struct, frozen=True):
    """The body of an error; `retryAfter` is in seconds and absent when a usage limit is reached."""

    error: Any = None
    retryAfter: float | None = None


_bare, _wrapped = msgspec.json.Decoder(GeneratedCode), msgspec.json.Decoder(WrappedCode)
_errors = msgspec.json.Decoder(PolychatError)


class Polychat(HttpTeacher[PolychatSpec]):
    """One Strudel pattern per answer."""

    Spec: ClassVar[type[TeacherSpec]] = PolychatSpec
    label: ClassVar[str] = "Polychat"
    path = "/apps/strudel/generate"
    repeats_itself: ClassVar[bool] = True
    holds_conversations: ClassVar[bool] = False

    @property
    def server(self) -> str:
        """The server's URL from the spec; POLYTUNE_POLYCHAT_URL overrides it, for rehearsals."""
        return (self.settings.environment.get(url_variable) or self.spec.url).rstrip("/")

    @property
    def stated_url(self) -> str:
        """The spec's server, whatever the variable says."""
        return f"{self.spec.url.rstrip('/')}{self.path}"

    @property
    def longest_answer(self) -> int:
        """The server's own limit."""
        return longest_answer_tokens

    def price(self) -> Price:
        """The price of the model behind the model key."""
        return prices.get(self.spec.model, unknown_price(f"no sourced price for {self.spec.model}"))

    def body(self, request: Request, draw: int) -> JsonObject:
        """The prompt, the fields that the schema accepts, and a request to bypass the gateway's cache."""
        # The server has nested this option where its gateway no longer reads it since 2026-06-29, so cached
        # answers still occur: see `repeats_itself`. It costs nothing and works on older servers.
        fields: JsonObject = {
            "prompt": _prompt(request, draw),
            "model": self.spec.model,
            "options": {"cache_ttl_seconds": 0},
        }
        variables = request.variables
        # A value outside the schema is left out: the server would refuse the whole request with 400.
        if variables.get("style") in styles:
            fields["style"] = variables["style"]
        if variables.get("complexity") in complexities:
            fields["complexity"] = variables["complexity"]
        tempo = variables.get("tempo", variables.get("bpm"))
        if isinstance(tempo, int | float) and slowest <= tempo <= fastest:
            fields["tempo"] = tempo
        return fields

    def read(self, body: bytes) -> ParsedReply | None:
        """The pattern without surrounding fences and prose; the body is bare (2026) or wrapped (2025)."""
        code = _code(body)
        if code is None:
            return None
        # The server returns its provider's whole reply as JSON text when it finds no text in it.
        if _is_json(code):
            told = _text_in(code)
            if not told:
                return ParsedReply(
                    "", None, "the server returned its model's raw reply, which contains no text"
                )
            code = told
        return ParsedReply(_unwrapped(code), None)

    def known(self, failure: Failure) -> Failure:
        """The failure with its kind corrected according to the server's error codes."""
        told = decoded(_errors, failure.body)
        if failure.status == 429:
            in_body = told.retryAfter if told is not None else None
            asked_for = failure.retry_after if in_body is None else in_body
            # A rate limit says when to come back; a used-up quota does not.
            kind = FailureKind.QUOTA if asked_for is None else FailureKind.OVERLOADED
            return Failure(kind, str(failure), status=429, retry_after=asked_for, body=failure.body)
        if failure.status == 400 and b"model is not available" in failure.body:
            hint = (
                f"'{self.spec.model}' is not a model key of this server; GET {self.server}/models lists them"
            )
            return failure.as_kind(FailureKind.MISTAKEN, hint)
        if failure.status == 500 and b"Service configuration error" in failure.body:
            return failure.as_kind(FailureKind.MISTAKEN)
        return failure

    def estimated_input(self, request: Request) -> int:
        """The estimated input tokens: with the server's system prompt, without ours."""
        ours = request.characters - len(request.system)
        return (server_prompt_characters + ours) // 4

    def most_input(self, request: Request) -> int:
        """One token per byte of the prompt, plus the server's system prompt."""
        return request.bytes - len(request.system.encode()) + server_prompt_characters


def _prompt(request: Request, draw: int) -> str:
    """The prompt, with the rejected answer and its error if any, and with an extra line on a redraw."""
    parts = [request.prompt]
    if request.repairs:
        last = request.repairs[-1]
        parts.append(f"An earlier answer was:\n{last.answer}\nIt was rejected: {last.error}")
        parts.append("Write it again without that fault.")
    redraws, planned = divmod(draw, redraws_apart)
    if redraws:
        parts.append(f"(Take {planned + 1}.{redraws + 1}: let it differ from the takes before.)")
    return "\n\n".join(parts)


def _code(body: bytes) -> str | None:
    """The pattern in a body of either format; None for any other body."""
    bare = decoded(_bare, body)
    if bare is not None:
        return bare.code
    wrapped = decoded(_wrapped, body)
    return None if wrapped is None else wrapped.data.code


def _is_json(code: str) -> bool:
    """Whether the code is a JSON object, which no pattern is."""
    return code.lstrip().startswith('{"')


def _text_in(blob: str) -> str:
    """The text in a provider's raw reply; '' when there is none."""
    try:
        reply = msgspec.json.decode(blob)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    if not isinstance(reply, dict):
        return ""
    if isinstance(reply.get("response"), str):
        return str(reply["response"])
    choices = reply.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        message = choices[0].get("message")
        content = message.get("content") if isinstance(message, dict) else None
        return content if isinstance(content, str) else ""
    content = reply.get("content")
    blocks = content if isinstance(content, list) else []
    return "".join(str(block.get("text", "")) for block in blocks if isinstance(block, dict))


def _unwrapped(code: str) -> str:
    """The code inside the longest fence; without any, the code minus half fences and surrounding prose."""
    blocks = fenced.findall(code)
    # The longest block: shorter ones are usually fragments that the prose explains.
    if blocks:
        return str(max(blocks, key=len)).strip()
    lines = tag_remains.sub("", half_fence.sub("", code).strip()).splitlines()
    while lines and _is_prose(lines[0]):
        lines.pop(0)
    while lines and _is_prose(lines[-1]):
        lines.pop()
    return "\n".join(lines).strip()


def _is_prose(line: str) -> bool:
    """Whether a line before or after the code is a sentence, or blank."""
    return not line.strip() or sentence.fullmatch(line.strip()) is not None
