"""The answer memory: stores every paid answer under its request and draw as soon as it arrives.

A writer collects the answers that arrive within a few milliseconds and commits them in one durable
transaction; `put` returns once the answer is durable. Bodies are opaque bytes: parsing them is the caller's
work.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from types import TracebackType
from typing import Self

import msgspec

from polytune.engine.ledger import Ledger, utc_now
from polytune.errors import LedgerError

# A durable commit costs one fsync. Gathering for 20 ms puts all answers of that time into one commit, and
# is short next to the seconds a model takes to answer.
gather_seconds = 0.02
# Two parameters per lookup: 800 stays below 999, the limit on parameters in SQLite before 3.32.
batch_lookups = 400


@dataclass(frozen=True, slots=True)
class Ask:
    """The identity of one answer: a request's digest and the number of the draw, from 0."""

    request: str
    draw: int
    formerly: tuple[str, int] | None = field(default=None, compare=False)
    """Request and draw under which a program of the first key format stored the answer. Set only where the
    ledger holds such answers; the answer is looked up there too, and stays there."""


class StoredAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A stored answer."""

    ask: Ask
    body: bytes
    price_usd: float | None
    tokens: int = 0
    """Input and output tokens together, as billed."""


_Row = tuple[bytes, float | None, int]
"""Body, price and tokens of an answer."""


@dataclass(frozen=True)
class _Pending:
    answers: tuple[StoredAnswer, ...]
    stored: asyncio.Future[None]


class AnswerMemory:
    """Looks up stored answers and, as an async context manager, stores new ones durably in batches."""

    def __init__(self, ledger: Ledger, experiment: str) -> None:
        self.ledger = ledger
        self.experiment = experiment
        self._queue: list[_Pending] = []
        self._arrived = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None

    def get(self, ask: Ask) -> StoredAnswer | None:
        """Return the stored answer, or None."""
        return next(iter(self.find([ask])), None)

    def find(self, asks: Iterable[Ask]) -> Iterator[StoredAnswer]:
        """Yield those of `asks` that are stored, in no particular order. Memory use is constant."""
        remaining = iter(asks)
        while chunk := list(islice(remaining, batch_lookups)):
            yield from self._find_chunk(chunk)

    def _find_chunk(self, asks: list[Ask]) -> list[StoredAnswer]:
        wanted = {(ask.request, ask.draw): ask for ask in asks}
        found = [_under(wanted[place], row) for place, row in self._rows(list(wanted))]
        if len(found) == len(wanted):
            return found
        known = {stored.ask for stored in found}
        former = {ask.formerly: ask for ask in asks if ask.formerly is not None and ask not in known}
        return found + [_under(former[place], row) for place, row in self._rows(list(former))]

    def _rows(self, asks: Sequence[tuple[str, int]]) -> list[tuple[tuple[str, int], _Row]]:
        """Return what is stored under these requests and draws."""
        if not asks:
            return []
        places = ",".join(["(?,?)"] * len(asks))
        rows = self.ledger.connection.execute(
            # CROSS JOIN fixes the join order in SQLite: one primary-key lookup per ask, never a
            # scan of all answers.
            f"WITH wanted (request, draw) AS (VALUES {places})"
            " SELECT answers.request, answers.draw, body, price_usd, tokens FROM wanted CROSS JOIN answers"
            " ON answers.request = wanted.request AND answers.draw = wanted.draw",
            [value for ask in asks for value in ask],
        )
        return [((request, draw), (body, price, tokens)) for request, draw, body, price, tokens in rows]

    async def put(self, *answers: StoredAnswer) -> None:
        """The answers are durable when this returns. One call is one transaction: all of them or none."""
        stored = asyncio.get_running_loop().create_future()
        self._queue.append(_Pending(answers, stored))
        self._arrived.set()
        # Shielded: cancelling the caller must not cancel the future of an answer that is already paid for.
        await asyncio.shield(stored)

    def store_now(self, answers: Iterable[StoredAnswer]) -> None:
        """All of these answers are durable when this returns, in one transaction."""
        rows = [
            (a.ask.request, a.ask.draw, self.experiment, a.body, a.tokens, a.price_usd, utc_now())
            for a in answers
        ]
        with self.ledger.transaction() as connection:
            connection.executemany(
                # IGNORE: the first answer stays. Outputs may already be built from it, and replacing it
                # would make the same key produce different content.
                "INSERT OR IGNORE INTO answers"
                " (request, draw, experiment, body, tokens, price_usd, stored_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                rows,
            )

    async def __aenter__(self) -> Self:
        self._arrived = asyncio.Event()
        self._writer = asyncio.create_task(self._write())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.wait([self._writer])
        # Answers that were queued after the writer's last batch are paid for too.
        self._flush()

    async def _write(self) -> None:
        """Commit batches in a thread, so that a slow disk never blocks the event loop and its requests."""
        while True:
            await self._arrived.wait()
            await asyncio.sleep(gather_seconds)
            pending = self._taken()
            storing = asyncio.ensure_future(asyncio.to_thread(self._stored, pending))
            try:
                # A commit that has begun is completed even when the run is cancelled: its
                # answers are paid for.
                error = await asyncio.shield(storing)
            except asyncio.CancelledError:
                _tell(pending, await storing)
                raise
            _tell(pending, error)

    def _flush(self) -> None:
        pending = self._taken()
        _tell(pending, self._stored(pending))

    def _taken(self) -> list[_Pending]:
        pending, self._queue = self._queue, []
        self._arrived.clear()
        return pending

    def _stored(self, pending: list[_Pending]) -> LedgerError | None:
        """Return the error that kept these answers from being stored, or None when they are stored."""
        try:
            if pending:
                self.store_now(answer for item in pending for answer in item.answers)
        except sqlite3.Error as error:
            return LedgerError(f"an answer could not be stored: {error}")
        return None


def _under(ask: Ask, row: _Row) -> StoredAnswer:
    body, price, tokens = row
    return StoredAnswer(ask=ask, body=body, price_usd=price, tokens=tokens)


def _tell(pending: list[_Pending], error: LedgerError | None) -> None:
    for item in pending:
        # The caller may have been cancelled while it waited.
        if item.stored.done():
            continue
        if error is None:
            item.stored.set_result(None)
        else:
            item.stored.set_exception(error)
