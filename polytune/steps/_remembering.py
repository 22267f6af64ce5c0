"""The paid answers that a generate step's files hold, to rebuild a lost memory from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from polytune.data.samples import Sample
from polytune.engine.answers import Ask, StoredAnswer
from polytune.steps._verifying import Rejected


def answers_in(samples: Iterable[bytes]) -> Iterator[StoredAnswer]:
    """The answers that a samples file holds, to rebuild a lost memory from."""
    for line in samples:
        sample = msgspec.json.decode(line, type=Sample)
        answer = {
            "text": sample.answer,
            "usage": msgspec.to_builtins(sample.usage),
            "price_usd": sample.price_usd,
        }
        yield StoredAnswer(
            ask=Ask(sample.request, sample.draw),
            body=msgspec.json.encode(answer),
            tokens=sample.usage.input_tokens + sample.usage.output_tokens,
            price_usd=sample.price_usd,
        )


def rejects_in(rejects: Iterable[bytes]) -> Iterator[StoredAnswer]:
    """The answers that a rejects file holds."""
    for line in rejects:
        reject = msgspec.json.decode(line, type=Rejected)
        yield StoredAnswer(
            ask=Ask(reject.request, reject.draw),
            body=reject.body.encode(),
            tokens=reject.tokens,
            price_usd=reject.price_usd,
        )
