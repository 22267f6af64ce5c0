"""A thin HTTP client: one pool of kept-alive connections to one endpoint, typed failures, no SDK.

Vendors' SDKs each have their own retries, pools and timeouts, which would work against those of the client.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from polytune import __version__
from polytune.asking.failures import Failure, FailureKind, excerpt, kind_of_status, pause_asked_for

agent = f"polytune/{__version__}"


@dataclass(frozen=True)
class Timeouts:
    """Timeouts of one attempt in seconds; `RetryLimits` bounds all attempts at a question together."""

    connect: float = 20.0
    attempt: float = 180.0


@dataclass(frozen=True, slots=True)
class Received:
    """A reply with status 200 and its headers."""

    body: bytes
    headers: Mapping[str, str]


class HttpConnection:
    """An async context manager that posts JSON to one URL while it is open."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        environment: Mapping[str, str],
        timeouts: Timeouts = Timeouts(),
    ) -> None:
        """`url` is the complete URL; `environment` may name a proxy for it."""
        self.url = url
        self.timeouts = timeouts
        self._url = URL(url)
        self._headers = {"User-Agent": agent, "Content-Type": "application/json", **headers}
        self._proxy = proxy_for(url, environment)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # No limit on the pool: `Concurrency` bounds the questions in flight. `ceil_threshold` keeps aiohttp
        # from rounding timeouts above 5 s up to whole seconds. Cookies would tie questions to one backend.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(
                total=self.timeouts.attempt, sock_connect=self.timeouts.connect, ceil_threshold=1e9
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            proxy=self._proxy,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def post(self, body: bytes) -> Received:
        """Post a JSON body and return the reply. Raises Failure for anything but status 200."""
        assert self._session is not None, "the connection is open"
        try:
            async with self._session.post(self._url, data=body, allow_redirects=False) as response:
                received = await response.read()
                if response.status == 200:
                    return Received(received, response.headers)
        # The order matters: a connector error is also an OSError, but here nothing was sent or billed.
        except aiohttp.ClientConnectorError as error:
            raise Failure(FailureKind.UNREACHABLE, f"{self.url}: no connection ({_reason(error)})") from error
        except TimeoutError as error:
            seconds = f"{self.timeouts.attempt:g} s"
            raise Failure(FailureKind.LOST, f"{self.url}: no answer within {seconds}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Failure(
                FailureKind.LOST, f"{self.url}: the answer was cut off ({_reason(error)})"
            ) from error
        raise failure_of(self.url, response.status, response.headers, received)


def failure_of(url: str, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """The failure that a reply's status, headers and body describe."""
    # OpenAI sends `retry-after-ms` beside the standard header, which has whole seconds only.
    milliseconds = headers.get("retry-after-ms")
    asked_for = float(milliseconds) / 1000 if milliseconds and milliseconds.isdigit() else None
    if asked_for is None:
        asked_for = pause_asked_for(headers.get("Retry-After"))
    said = f": {excerpt(body)}" if body else ""
    kind = kind_of_status(status)
    # AWS sends throttling with status 400 or 429, and names it in the body or in a header.
    if b"ThrottlingException" in body or "ThrottlingException" in headers.get("x-amzn-ErrorType", ""):
        kind = FailureKind.OVERLOADED
    return Failure(kind, f"{url} answered {status}{said}", status=status, retry_after=asked_for, body=body)


def proxy_for(url: str, environment: Mapping[str, str]) -> str | None:
    """The proxy that HTTP_PROXY, HTTPS_PROXY and NO_PROXY name for a URL; None for none.

    aiohttp's `trust_env` would read this process's environment and .netrc, not the run's settings.
    """
    parts = urlsplit(url)
    proxies = {
        name.lower().removesuffix("_proxy"): value
        for name, value in environment.items()
        if name.lower().endswith("_proxy") and value
    }
    host = parts.hostname or ""
    spared = [name.strip().lstrip(".") for name in proxies.get("no", "").split(",") if name.strip()]
    if any(name == "*" or host == name or host.endswith(f".{name}") for name in spared):
        return None
    return proxies.get(parts.scheme)


def is_local(url: str) -> bool:
    """Whether a URL is on this machine."""
    return (urlsplit(url).hostname or "") in ("localhost", "127.0.0.1", "::1")


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
