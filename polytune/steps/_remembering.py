"""The paid answers that a generate step's files hold, to rebuild a lost memory from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from polytune.data.lineage import Derivation, LinkedSample, Said
from polytune.data.samples import Sample
from polytune.engine.answers import Ask, StoredAnswer
from polytune.steps._verifying import Rejected


def answers_in(samples: Iterable[bytes]) -> Iterator[StoredAnswer]:
    """The answers that a samples file holds, to rebuild a lost memory from."""
    for line in samples:
        sample = msgspec.json.decode(line, type=LinkedSample)
        yield _stored(sample, sample.answer)
        for each in sample.follow_ups or ():
            yield _stored(each, each.answer)
        if sample.derivation:
            yield _stored(sample.derivation, sample.derivation.answer)


def _stored(paid: Sample | Said | Derivation, text: str) -> StoredAnswer:
    """An answer that one line of a samples file holds."""
    answer = {"text": text, "usage": msgspec.to_builtins(paid.usage), "price_usd": paid.price_usd}
    return StoredAnswer(
        ask=Ask(paid.request, paid.draw),
        body=msgspec.json.encode(answer),
        tokens=paid.usage.input_tokens + paid.usage.output_tokens,
        price_usd=paid.price_usd,
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
