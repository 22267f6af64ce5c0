"""The stand-in for the Polychat API, asked over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp
import pytest

from polytune.emulator.polychat.server import Conduct, PolychatFault, PolychatStandIn
from polytune.errors import Busy
from polytune.strudel.checker import check
from polytune.strudel.emulated import palettes, voices, write_pattern
from polytune.strudel.vocabulary import sounds
from tests.messages import message

T = TypeVar("T")

path = "/apps/strudel/generate"
browser = "Mozilla/5.0 (X11; Linux x86_64) Firefox/150.0"
login = {"User-Agent": "polytune/0.1", "Authorization": "Bearer ak_secret"}
techno = {"prompt": "A minimal techno loop", "style": "techno", "complexity": "simple"}
masked = {"error": message("emulator/authentication-failed")}


@dataclass(frozen=True)
class Told:
    """One answer."""

    status: int
    body: Any
    retry_after: str | None

    @property
    def code(self) -> str:
        return str(self.body["code"])


@contextmanager
def serving(**conduct: Any) -> Iterator[PolychatStandIn]:
    with PolychatStandIn(Conduct(**conduct)) as stand_in:
        yield stand_in


def talk(stand_in: PolychatStandIn, work: Callable[[aiohttp.ClientSession], Awaitable[T]]) -> T:
    """What a client session with a login gets done."""

    async def session() -> T:
        async with aiohttp.ClientSession(stand_in.address, headers=login) as opened:
            return await work(opened)

    return asyncio.run(session())


async def post(session: aiohttp.ClientSession, body: object = techno, **more: Any) -> Told:
    async with session.post(path, json=body, **more) as got:
        return Told(got.status, await got.json(), got.headers.get("Retry-After"))


def ask(stand_in: PolychatStandIn, body: object = techno, times: int = 1) -> list[Told]:
    async def work(session: aiohttp.ClientSession) -> list[Told]:
        return [await post(session, body) for _ in range(times)]

    return talk(stand_in, work)


def raw(stand_in: PolychatStandIn, headers: dict[str, str], data: bytes) -> Told:
    """What a request with exactly these headers gets."""

    async def work() -> Told:
        skipped = ("User-Agent", "Content-Type")
        async with (
            aiohttp.ClientSession(stand_in.address, skip_auto_headers=skipped) as session,
            session.post(path, data=data, headers=headers) as got,
        ):
            return Told(got.status, await got.json(), got.headers.get("Retry-After"))

    return asyncio.run(work())


def as_json(headers: dict[str, str]) -> dict[str, str]:
    return headers | {"Content-Type": "application/json"}


def test_an_answer_is_valid_strudel_with_an_id() -> None:
    """A request is answered with code that the checker accepts, an explanation and an id."""
    with serving() as stand_in:
        [told] = ask(stand_in)

    assert told.status == 200
    assert sorted(told.body) == ["code", "explanation", "generationId"]
    assert check(told.code, sounds()).reason == ""
    assert "techno" in told.body["explanation"]


def test_every_style_and_complexity_is_valid_and_varied() -> None:
    """The pattern writer knows every style; other seeds give other pieces, equal seeds equal ones."""
    found = [
        write_pattern(f"seed {seed}", style, complexity)
        for style in (*palettes, "")
        for complexity in voices
        for seed in range(20)
    ]

    assert [check(code, sounds()).reason for code in found] == [""] * len(found)
    assert len(set(found)) > 0.8 * len(found)
    assert write_pattern("seed", "jazz", "complex", 90.5) == write_pattern("seed", "jazz", "complex", 90.5)
    assert ".cpm(90.5/4)" in write_pattern("seed", "jazz", "complex", 90.5)


def test_the_older_era_wraps_its_answers() -> None:
    """2025: {status, data}; a refusal has no Retry-After header, and a failure tells details."""
    with serving(era="2025") as stand_in:
        stand_in.fail([PolychatFault(kind="rate_limit"), PolychatFault(kind="unexpected")])
        limited, failed, told = ask(stand_in, times=3)

    assert (limited.retry_after, limited.body["retryAfter"]) == (None, 60)
    assert sorted(failed.body) == ["context", "details", "error"]
    assert told.body["status"] == "success"
    assert check(told.body["data"]["code"], sounds()).reason == ""


def test_equal_requests_get_other_answers_in_an_order_that_repeats() -> None:
    """Each draw of a request differs; a second server draws the same."""
    with serving() as first, serving() as second:
        drawn = [told.code for told in ask(first, times=4)]
        again = [told.code for told in ask(second, times=4)]

    assert len(set(drawn)) == 4
    assert drawn == again


def test_the_gateway_repeats_itself_and_charges_once() -> None:
    """With the cache on, equal requests get equal code under new ids; other requests do not."""
    with serving(gateway_cache=True) as stand_in:
        first, second = ask(stand_in, techno | {"options": {"cache_ttl_seconds": 0}}, times=2)
        [other] = ask(stand_in, techno | {"prompt": "Another loop"})
        state = stand_in.state()

    assert first.code == second.code != other.code
    assert first.body["generationId"] != second.body["generationId"]
    assert (state.requests, state.answers) == (3, 2)


def test_the_older_gateway_could_be_switched_off() -> None:
    """2025: `options.cache_ttl_seconds: 0` gives fresh answers."""
    with serving(gateway_cache=True, era="2025") as stand_in:
        fresh = ask(stand_in, techno | {"options": {"cache_ttl_seconds": 0}}, times=2)
        kept = ask(stand_in, techno, times=2)

    assert fresh[0].body["data"]["code"] != fresh[1].body["data"]["code"]
    assert kept[0].body["data"]["code"] == kept[1].body["data"]["code"]


@pytest.mark.parametrize(
    ("body", "issue"),
    [
        ({}, {"code": "invalid_type", "expected": "string", "path": ["prompt"]}),
        ({"prompt": ""}, {"code": "too_small", "minimum": 1, "inclusive": True, "origin": "string"}),
        ({"prompt": 3}, {"message": message("emulator/expected-string")}),
        ({"prompt": "a", "style": "lofi"}, {"code": "invalid_value", "path": ["style"]}),
        ({"prompt": "a", "complexity": None}, {"code": "invalid_value", "path": ["complexity"]}),
        ({"prompt": "a", "tempo": 59}, {"code": "too_small", "minimum": 60, "origin": "number"}),
        ({"prompt": "a", "tempo": 201}, {"code": "too_big", "maximum": 200}),
        ({"prompt": "a", "tempo": "fast"}, {"message": message("emulator/expected-number")}),
        ({"prompt": "a", "options": []}, {"expected": "record", "path": ["options"]}),
        ([], {"message": message("emulator/expected-object"), "path": []}),
    ],
)
def test_the_schema_refuses_with_its_issues(body: object, issue: dict[str, object]) -> None:
    """A body that breaks the schema comes back with zod's issues, HTTP 400."""
    with serving() as stand_in:
        [told] = ask(stand_in, body)

    assert told.status == 400
    assert (told.body["data"], told.body["success"]) == (body, False)
    [found] = told.body["error"]
    assert issue.items() <= found.items()


def test_unknown_keys_are_dropped_and_models_are_keys() -> None:
    """Keys outside the schema change nothing; a provider's id is no model key; blanks are no prompt."""
    with serving() as stand_in:
        [plain] = ask(stand_in, techno | {"model": "claude-4-5-sonnet", "colour": "red"})
        [unknown] = ask(stand_in, techno | {"model": "claude-sonnet-4-20250514"})
        [blank] = ask(stand_in, {"prompt": "  "})
        [long] = ask(stand_in, {"prompt": "a" * 400_001})

    assert plain.status == 200
    assert (unknown.status, unknown.body) == (
        400,
        {"error": message("emulator/selected-model-is-not-available")},
    )
    assert (blank.status, blank.body) == (400, {"error": message("emulator/prompt-is-required")})
    assert long.status == 413


@pytest.mark.parametrize(
    ("headers", "data", "status", "error"),
    [
        (as_json(login), b"{", 500, message("emulator/unexpected-error-occurred")),
        (login, json.dumps(techno).encode(), 500, message("emulator/unexpected-error-occurred")),
        (login | {"Content-Type": "text/plain"}, b"{}", 500, message("emulator/unexpected-error-occurred")),
        (as_json({"Authorization": "Bearer ak_secret"}), b"{}", 401, masked["error"]),
        (as_json({"User-Agent": "polytune/0.1"}), b"{}", 401, masked["error"]),
        (as_json({"User-Agent": browser}), json.dumps(techno).encode(), 401, masked["error"]),
        (as_json(login | {"Authorization": "Bearer nonsense"}), b"{}", 401, masked["error"]),
        (as_json(login | {"Authorization": "Basic ak_secret"}), b"{}", 401, masked["error"]),
    ],
)
def test_who_is_let_in(headers: dict[str, str], data: bytes, status: int, error: str) -> None:
    """JSON, a User-Agent and a login are wanted; the reason for a 401 is masked."""
    with serving() as stand_in:
        told = raw(stand_in, headers, data)

    assert (told.status, told.body["error"]) == (status, error)


def test_a_browser_without_login_sees_the_schema_first() -> None:
    """An anonymous caller with a bad body gets 400, not 401; another content type counts as no body."""
    with serving() as stand_in:
        anonymous = raw(stand_in, as_json({"User-Agent": browser}), b"{}")
        xml = raw(stand_in, login | {"Content-Type": "application/xml"}, b"<prompt/>")

    assert (anonymous.status, anonymous.body["data"]) == (400, {})
    assert (xml.status, xml.body["error"][0]["path"]) == (400, ["prompt"])


@pytest.mark.parametrize(
    ("given", "let_in"),
    [("ak_mine", True), ("ak_other", False), ("aaa.bbb.ccc", False)],
)
def test_only_the_keys_named_are_let_in(given: str, let_in: bool) -> None:
    """With `api_keys`, no other token will do; the scheme's case does not matter."""
    with serving(api_keys=("ak_mine",)) as stand_in:
        told = raw(
            stand_in, as_json(login | {"Authorization": f"bearer {given}"}), json.dumps(techno).encode()
        )

    assert (told.status == 200) is let_in


@pytest.mark.parametrize(
    ("kind", "status", "error", "retry_after"),
    [
        ("rate_limit", 429, message("emulator/rate-limit-exceeded", requests=100), 60),
        ("usage_limit", 429, message("emulator/you-have-reached-usage-limit"), None),
        ("unavailable", 502, message("emulator/external-service-temporarily-unavailable"), None),
        ("too_large", 413, message("emulator/prompt-does-not-fit-model-context"), None),
        ("forbidden", 403, message("emulator/you-may-not-use-this-project"), None),
        ("unauthorized", 401, masked["error"], None),
        ("configuration", 500, message("general/service-configuration-error"), None),
        ("unexpected", 500, message("emulator/unexpected-error-occurred"), None),
    ],
)
def test_every_refusal_can_be_scripted(kind: str, status: int, error: str, retry_after: int | None) -> None:
    """Each row of the error table; only a rate limit says when to come back."""
    with serving() as stand_in:
        [added] = talk(stand_in, lambda session: control(session, "faults", [{"kind": kind}]))
        refused, answered = ask(stand_in, times=2)
        state = stand_in.state()

    assert added == {"added": 1}
    assert (refused.status, refused.body["error"]) == (status, error)
    assert refused.body.get("retryAfter") == retry_after
    assert refused.retry_after == (None if retry_after is None else str(retry_after))
    assert answered.status == 200
    assert (state.requests, state.answers) == (2, 1)


async def control(session: aiohttp.ClientSession, what: str, body: object) -> list[Any]:
    async with session.post(f"/_control/{what}", json=body) as got:
        return [await got.json()]


def test_replies_come_through_as_the_api_cuts_them() -> None:
    """What the API's own cutting of code leaves of each kind of reply."""
    with serving() as stand_in:
        plain = PolychatStandIn()
        with plain:
            [expected] = [told.code for told in ask(plain)]

        def of(kind: Any, text: str = "") -> str:
            with PolychatStandIn() as fresh:
                fresh.fail([PolychatFault(kind=kind, text=text)])
                [told] = ask(fresh)
            return told.code

        assert of("fence") == expected
        assert of("typescript_fence") == f"typescript\n{expected}"
        assert of("jsx_fence") == f"x\n{expected}"
        assert of("indented_fence") == f"Sure:\n  ```js\n{expected}"
        assert expected in of("prose")
        assert of("prose").startswith(message("emulator/here-is-pattern-for-you"))
        assert of("two_blocks") == f's("bd*4")\n{expected}'
        assert of("empty") == ""
        assert json.loads(of("json_blob"))["stop_reason"] == "end_turn"
        assert check(of("invalid"), sounds()).stage == "parse"
        assert of("code", "```js\ns('bd')\n```") == "```js\ns('bd')\n```"
        stand_in.fail([PolychatFault(kind="repeat", skip=1)])
        first, second = ask(stand_in, times=2)
        assert first.code == second.code


def test_connections_can_break() -> None:
    """Before the work, after it, or in the middle of the answer; only finished work is charged."""

    async def work(session: aiohttp.ClientSession) -> list[str]:
        ended = []
        for _ in range(3):
            try:
                await post(session)
            except aiohttp.ClientPayloadError:
                ended.append("payload")
            except aiohttp.ServerDisconnectedError:
                ended.append("disconnected")
            except aiohttp.ClientOSError:
                ended.append("reset")
        return ended

    with serving() as stand_in:
        stand_in.fail([PolychatFault(kind="reset"), PolychatFault(kind="dropped"), PolychatFault(kind="cut")])
        ended = talk(stand_in, work)
        state = stand_in.state()

    assert set(ended[:2]) <= {"disconnected", "reset"}
    assert ended[2:] == ["payload"]
    assert (state.requests, state.answers, state.statuses) == (3, 2, {"closed": 3})


def test_a_dead_endpoint_refuses_connections_and_comes_back() -> None:
    """Stopped, nothing listens at its port; started again there, it still knows what it was asked."""
    stand_in = PolychatStandIn()
    address = stand_in.start()
    ask(stand_in)
    stand_in.stop()
    with pytest.raises(aiohttp.ClientConnectorError, match=stand_in.address.rpartition(":")[2]):
        ask(stand_in)
    stand_in.start(int(address.rpartition(":")[2]))
    ask(stand_in)
    state = stand_in.state()
    stand_in.stop()

    assert stand_in.address == address
    assert state.answers == 2


def test_a_port_that_is_taken_is_named() -> None:
    """A second server on the same port is refused with the port's number."""
    with serving() as first:
        port = int(first.address.rpartition(":")[2])
        with pytest.raises(Busy, match=f"port {port} of 127.0.0.1"):
            PolychatStandIn().start(port)


def test_a_rate_limit_counts_what_it_let_through() -> None:
    """Over the limit of the window there is 429 with Retry-After; another token has its own window."""
    with serving(requests_per_minute=3, window_seconds=60.0, retry_after_seconds=7) as stand_in:
        told = ask(stand_in, times=5)
        other = raw(
            stand_in, as_json(login | {"Authorization": "Bearer ak_other"}), json.dumps(techno).encode()
        )

    assert [each.status for each in told] == [200, 200, 200, 429, 429]
    assert (told[4].retry_after, told[4].body["retryAfter"]) == ("7", 7)
    assert other.status == 200


def test_a_window_passes() -> None:
    """When the window is over, requests are let in again."""

    async def work(session: aiohttp.ClientSession) -> list[int]:
        found = [(await post(session)).status for _ in range(2)]
        await asyncio.sleep(1.05)
        return [*found, (await post(session)).status]

    with serving(requests_per_minute=60, window_seconds=1.0) as stand_in:
        assert talk(stand_in, work) == [200, 429, 200]


def test_slow_answers_overlap_and_are_counted() -> None:
    """While the model thinks, other requests are taken; the most at once is told."""

    async def work(session: aiohttp.ClientSession) -> list[Told]:
        return await asyncio.gather(*(post(session, {"prompt": f"loop {n}"}) for n in range(20)))

    with serving(latency_seconds=0.2) as stand_in:
        told = talk(stand_in, work)
        state = stand_in.state()

    assert [each.status for each in told] == [200] * 20
    assert 2 <= state.most_in_flight <= 20


def test_a_slow_fault_hits_a_client_that_waits_less() -> None:
    """A late answer is missed by an impatient client, and charged all the same."""

    async def work(session: aiohttp.ClientSession) -> None:
        with pytest.raises(TimeoutError):
            await post(session, timeout=aiohttp.ClientTimeout(total=0.1))
        async with asyncio.timeout(10):
            while not stand_in.state().answers:
                await asyncio.sleep(0.02)

    with serving() as stand_in:
        stand_in.fail([PolychatFault(kind="slow", seconds=0.3)])
        talk(stand_in, work)

        assert stand_in.state().answers == 1


def test_the_script_can_be_aimed() -> None:
    """`skip`, `every`, `times` and `containing` choose the requests; null hits for good."""
    with serving() as stand_in:
        stand_in.fail(
            [
                PolychatFault(kind="unavailable", containing="jazz", times=None),
                PolychatFault(kind="rate_limit", skip=1, every=2, times=2),
            ]
        )
        techno_statuses = [told.status for told in ask(stand_in, techno, times=7)]
        jazz_statuses = [told.status for told in ask(stand_in, techno | {"prompt": "jazz"}, times=3)]

    assert techno_statuses == [200, 200, 429, 200, 429, 200, 200]
    assert jazz_statuses == [502, 502, 502]


def test_the_state_proves_what_was_asked() -> None:
    """Requests and charged answers by body, whatever the order of its keys; DELETE starts anew."""

    async def work(session: aiohttp.ClientSession) -> tuple[Any, Any]:
        await post(session, {"prompt": "a", "style": "jazz"})
        await post(session, {"style": "jazz", "prompt": "a"})
        await post(session, {"prompt": ""})
        async with session.get("/_control/state") as got:
            before = await got.json()
        async with session.delete("/_control/state"), session.get("/_control/state") as got:
            return before, await got.json()

    with serving() as stand_in:
        before, after = talk(stand_in, work)

    assert before["asked"] == {'{"prompt":"a","style":"jazz"}': 2, '{"prompt":""}': 1}
    assert before["answered"] == {'{"prompt":"a","style":"jazz"}': 2}
    assert before["statuses"] == {"200": 2, "400": 1}
    assert (after["requests"], after["asked"]) == (0, {})


def test_a_wrong_script_is_refused() -> None:
    """A fault of an unknown kind, or with an unknown key, changes nothing and is explained."""

    async def work(session: aiohttp.ClientSession) -> list[Any]:
        sent: list[object] = [[{"kind": "nope"}], [{"kind": "slow", "second": 1}], {"kind": "slow"}]
        told = [(await control(session, "faults", each))[0]["error"] for each in sent]
        async with session.get("/_control/faults") as got:
            return [*told, await got.json()]

    with serving() as stand_in:
        *told, faults = talk(stand_in, work)

    assert [each.startswith("faults: ") for each in told] == [True] * 3
    assert faults == []


def test_the_other_routes() -> None:
    """Status, model keys, feedback on an answer, and 404 for the rest."""

    async def work(session: aiohttp.ClientSession) -> list[tuple[int, Any]]:
        generation = (await post(session)).body["generationId"]
        found = []
        for method, route, body in (
            ("GET", "/status", None),
            ("GET", "/models", None),
            ("POST", "/apps/strudel/feedback", {"generationId": generation, "score": 5}),
            ("POST", "/apps/strudel/feedback", {"generationId": "other", "score": 5}),
            ("POST", "/apps/strudel/feedback", {"generationId": generation}),
            ("GET", "/apps/strudel/generate", None),
        ):
            async with session.request(method, route, json=body) as got:
                found.append((got.status, await got.json()))
        return found

    with serving() as stand_in:
        status, models, liked, unknown, empty, wrong = talk(stand_in, work)

    assert (status[0], status[1]["status"]) == (200, "ok")
    assert "claude-4-5-sonnet" in models[1]["data"]
    assert [liked[0], unknown[0], empty[0]] == [200, 404, 400]
    assert wrong == (404, {"status": "not found"})
