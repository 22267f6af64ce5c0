"""The rules of the Polychat API: turns requests into replies, without any networking.

A request is checked in the order of the real server: content type, login or browser, rate limit, route,
JSON, schema, login, prompt, model.
"""

from __future__ import annotations

import re
import time
import uuid
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from polytune.emulator.domains.interface import DomainQuestion, answer_in
from polytune.emulator.polychat.replies import code_of, reply_kinds
from polytune.emulator.polychat.request import PatternRequest, judge
from polytune.emulator.polychat.script import PolychatFault

app = "strudel"
"""The Polychat app that generates patterns, and the name of the domain that answers for it here."""
generate_path = f"/apps/{app}/generate"
feedback_path = f"/apps/{app}/feedback"
token = re.compile(r"(?i:bearer) +([A-Za-z0-9._~+/-]+=*)")
key_or_jwt = re.compile(r"ak_.+|[^.]+\.[^.]+\.[^.]+")
# The real server rejects requests with these content types as CSRF, and its error handler turns the 403
# into a 500. A missing content type counts as one of them.
csrf_types = ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain", "")
bot = re.compile(r"bot|crawl|spider|headless|curl|python|node|polytune", re.IGNORECASE)

some_models = (
    "claude-4-5-sonnet",
    "claude-4-sonnet",
    "claude-4-5-haiku",
    "gpt-5",
    "gemini-2-5-pro",
    "nova-pro",
)
"""Some of the keys of the real model registry. They are not the providers' model ids."""


@dataclass(frozen=True, kw_only=True)
class Conduct:
    """How the stand-in behaves in the absence of faults."""

    era: Literal["2025", "2026"] = "2026"
    """The version of the API. 2025: answers in {status, data}, no Retry-After header, details in errors;
    `options.cache_ttl_seconds: 0` turns the cache off. 2026: bare answers, a Retry-After header, and a cache
    that cannot be turned off."""
    api_keys: tuple[str, ...] = ()
    """The accepted tokens. If empty, any `ak_...` and any token of three parts (a JWT) is accepted."""
    models: tuple[str, ...] = some_models
    """The keys that `model` of a request may have."""
    latency_seconds: float = 0.0
    """The time the model takes to answer. Errors are returned immediately."""
    requests_per_minute: int | None = None
    """The rate limit per token; None for no limit."""
    window_seconds: float = 60.0
    """The window of the rate limit: 9,000 per minute in a window of 1 s allow 150 in any one second."""
    retry_after_seconds: int = 60
    """The waiting time that rate-limit errors state. 60 is the real server's."""
    gateway_cache: bool = False
    """Whether equal requests get the code of the first answer, as from the real gateway for 24 hours."""
    longest_prompt: int = 400_000
    """The longest prompt in characters; a longer one exceeds the model's context window."""


@dataclass(frozen=True)
class ApiRequest:
    """One HTTP request."""

    method: str
    path: str
    headers: Mapping[str, str]
    """Headers by case-insensitive name."""
    raw: bytes

    @property
    def content_type(self) -> str:
        """The media type without parameters, in lower case; '' if there is none."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True)
class ApiReply:
    """One HTTP reply."""

    status: int
    body: object
    retry_after: int | None = None
    """The value of the Retry-After header, in seconds; None for no header."""
    charged: bool = False
    """Whether the model behind the API generated an answer for it, which costs money."""


# Without a server or sockets, so that the rules can be tested as functions; `server.py` does the rest.
class PolychatApi:
    """The rules of the API and its state."""

    def __init__(self, conduct: Conduct) -> None:
        self.conduct = conduct
        self._drawn: Counter[str] = Counter()
        self._cached: dict[str, str] = {}
        self._generations: set[str] = set()
        self._arrivals: dict[str, deque[float]] = {}
        self._last_code = ""

    def gate(self, asked: ApiRequest) -> ApiReply | None:
        """The refusal of a request before routing; None if the request may pass."""
        if asked.method == "POST" and asked.content_type in csrf_types:
            return self.unexpected()
        agent, login = asked.headers.get("User-Agent", ""), self._login(asked)
        # The real server's bot filter flags every non-browser agent, so a client needs a login to pass it.
        browser = agent.startswith("Mozilla/") and not bot.search(agent)
        if not agent or not (login or browser):
            return unauthorized()
        return None if self._within_rate(login) else self._rate_limited("")

    def wanted(self, asked: ApiRequest) -> PatternRequest | ApiReply:
        """The validated request in a body, or the refusal."""
        # Another content type leaves the body unparsed, so the schema finds an empty one, as in the real API.
        body: object = {}
        if "json" in asked.content_type:
            try:
                body = msgspec.json.decode(asked.raw)
            except (msgspec.DecodeError, UnicodeDecodeError):
                return self.unexpected()
        judged = judge(body)
        if judged.request is None:
            return ApiReply(400, {"data": body, "error": judged.issues, "success": False})
        # After the schema: an anonymous caller with an invalid body gets 400, not 401.
        if not self._login(asked):
            return unauthorized()
        wanted = judged.request
        if not wanted.prompt.strip():
            return ApiReply(400, {"error": "Prompt is required"})
        if wanted.model is not None and wanted.model not in self.conduct.models:
            return ApiReply(400, {"error": "Selected model is not available"})
        if len(wanted.prompt) > self.conduct.longest_prompt:
            return ApiReply(413, {"error": "The prompt does not fit the model's context window"})
        return wanted

    def pattern(self, wanted: PatternRequest, fault: PolychatFault | None) -> ApiReply:
        """A generated answer. Repeating a request gives another one, unless the gateway cached the first."""
        key = msgspec.json.encode(wanted, order="deterministic").decode()
        remembers = self._remembers(wanted)
        charged = not (remembers and key in self._cached)
        code = self._code(wanted, key, fault) if charged else self._cached[key]
        if remembers:
            self._cached[key] = code
        self._drawn[key] += 1
        self._last_code = code
        generation = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{key}#{self._drawn[key]}"))
        # The feedback route accepts only ids that were handed out.
        self._generations.add(generation)
        tempo = f" at {wanted.tempo:g} BPM" if wanted.tempo else ""
        explanation = f"A {wanted.style or 'musical'} pattern{tempo} for Strudel."
        answer = {"code": code, "explanation": explanation, "generationId": generation}
        return ApiReply(200, self._enveloped(answer), charged=charged)

    def other(self, asked: ApiRequest) -> ApiReply:
        """The reply of every route except the one that generates patterns."""
        match asked.method, asked.path:
            case "GET", "/status":
                now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
                about = {"version": "stand-in", "environment": "emulator"}
                return ApiReply(200, {"status": "ok", "timestamp": now, **about})
            case "GET", "/models":
                found = {name: {"matchingModel": name} for name in self.conduct.models}
                return ApiReply(200, {"success": True, "message": "Models", "data": found})
            case "POST", path if path == feedback_path:
                return self._feedback(asked.raw)
            case _:
                return ApiReply(404, {"status": "not found"})

    def refusal(self, fault: PolychatFault) -> ApiReply | None:
        """The reply of a scripted refusal; None for a fault of another kind."""
        match fault.kind:
            case "rate_limit":
                return self._rate_limited(fault.text)
            # Also a 429, but without retryAfter: the plan is used up, and retrying does not help.
            case "usage_limit":
                return ApiReply(429, {"error": fault.text or "You have reached the usage limit of your plan"})
            case "unavailable":
                return ApiReply(502, self._wrong(fault.text or "External service temporarily unavailable"))
            case "too_large":
                return ApiReply(
                    413, {"error": fault.text or "The prompt does not fit the model's context window"}
                )
            case "forbidden":
                return ApiReply(403, {"error": fault.text or "You may not use this project"})
            case "unauthorized":
                return unauthorized()
            case "configuration":
                return ApiReply(500, {"error": "Service configuration error"})
            case "unexpected":
                return self.unexpected()
            case _:
                return None

    def unexpected(self) -> ApiReply:
        """The 500 with which the real server reports every unforeseen failure."""
        return ApiReply(500, self._wrong("An unexpected error occurred"))

    def _login(self, asked: ApiRequest) -> str:
        """The token or session of a signed-in user; '' for an anonymous user."""
        found = token.fullmatch(asked.headers.get("Authorization", ""))
        given = found[1] if found else ""
        if self.conduct.api_keys:
            return given if given in self.conduct.api_keys else ""
        if key_or_jwt.fullmatch(given):
            return given
        return "session" if "session=" in asked.headers.get("Cookie", "") else ""

    def _within_rate(self, login: str) -> bool:
        if self.conduct.requests_per_minute is None:
            return True
        # A sliding window: exact at any time, where fixed windows would allow twice the rate at their border.
        window = self.conduct.window_seconds
        now = time.monotonic()
        arrivals = self._arrivals.setdefault(login, deque())
        while arrivals and arrivals[0] <= now - window:
            arrivals.popleft()
        if len(arrivals) >= self.conduct.requests_per_minute * window / 60:
            return False
        arrivals.append(now)
        return True

    def _rate_limited(self, message: str) -> ApiReply:
        seconds = self.conduct.retry_after_seconds
        limit = self.conduct.requests_per_minute or 100
        # 100 is the number in the real server's message for signed-in users.
        said = message or f"Rate limit exceeded: {limit} requests per minute"
        in_header = seconds if self.conduct.era == "2026" else None
        return ApiReply(429, {"error": said, "retryAfter": seconds}, retry_after=in_header)

    def _code(self, wanted: PatternRequest, key: str, fault: PolychatFault | None) -> str:
        if fault is not None and fault.kind == "code":
            return fault.text
        if fault is not None and fault.kind == "repeat":
            return self._last_code
        # The count is part of the seed, so that repeating a request draws another answer.
        question = DomainQuestion(prompt=wanted.prompt, fields=wanted.fields)
        code = answer_in(app, f"{key}#{self._drawn[key]}", question)
        kind = fault.kind if fault is not None else "plain"
        return code_of(kind, code) if kind in reply_kinds else code

    def _remembers(self, wanted: PatternRequest) -> bool:
        switched_off = self.conduct.era == "2025" and (wanted.options or {}).get("cache_ttl_seconds") == 0
        return self.conduct.gateway_cache and not switched_off

    def _enveloped(self, answer: object) -> object:
        return {"status": "success", "data": answer} if self.conduct.era == "2025" else answer

    def _wrong(self, message: str) -> dict[str, object]:
        if self.conduct.era == "2025":
            return {"error": message, "details": message, "context": {}}
        return {"error": message, "requestId": str(uuid.uuid5(uuid.NAMESPACE_URL, message))}

    def _feedback(self, raw: bytes) -> ApiReply:
        try:
            body = msgspec.json.decode(raw, type=dict[str, object])
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self.unexpected()
        if "score" not in body and "feedback" not in body:
            return ApiReply(400, {"error": "A score or feedback is required"})
        if body.get("generationId") not in self._generations:
            return ApiReply(404, {"error": "Generation not found"})
        return ApiReply(200, self._enveloped({"success": True}))


def unauthorized() -> ApiReply:
    """The 401 of the real server, which gives the same message for every reason."""
    return ApiReply(401, {"error": "Authentication failed. Please check your credentials."})
