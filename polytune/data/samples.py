"""The record of `samples.jsonl`: one draw from a teacher, with everything that produced it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from polytune.data.lines import LineBlock
from polytune.errors import DataError

Value = str | int | float | bool


class SampleTeacher(msgspec.Struct, frozen=True, kw_only=True):
    """The teacher that answered."""

    kind: str
    """The teacher's name in YAML."""
    label: str
    """Its name in tables; for a language model the model's name."""


class SampleUsage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of one answer."""

    input_tokens: int = 0
    output_tokens: int = 0
    estimated: bool = True
    """False when the teacher itself reported the counts."""


class FollowUp(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a longer conversation: an answer, and the user's next message."""

    answer: str
    prompt: str


class SampledFollowUp(FollowUp, frozen=True, kw_only=True):
    """A follow-up with the request behind its answer, tokens and price."""

    request: str
    """The digest of the request that was answered."""
    draw: int = 0
    usage: SampleUsage = SampleUsage()
    price_usd: float | None = 0.0


class Derivation(msgspec.Struct, frozen=True, kw_only=True):
    """How a derived prompt was made: as the answer to a request of its own."""

    how: str
    """`paraphrase` or `evolve`."""
    request: str
    draw: int = 0
    answer: str
    """The raw answer: the prompt, possibly with text around it."""
    usage: SampleUsage = SampleUsage()
    price_usd: float | None = 0.0


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `samples.jsonl`. It has only those links to other samples that exist."""

    id: str
    """Unique in the file; stays the same when the same plan is extended to more samples."""
    cell: dict[str, Value]
    """The matrix cell."""
    template: str
    """The name of the template behind the prompt."""
    slots: dict[str, Value] = {}
    """The values of the template's slots."""
    system: str = ""
    """The system prompt that the teacher saw."""
    prompt: str
    teacher: SampleTeacher
    request: str
    """The digest of the request that was answered."""
    draw: int = 0
    """The number of this answer among those to the same request, from 0."""
    answer: str
    usage: SampleUsage = SampleUsage()
    price_usd: float | None = 0.0
    """The cost of the answer; None when no price is known."""
    seed: str | msgspec.UnsetType = msgspec.UNSET
    """The seed that it was generated from; samples of one seed belong in one split."""
    parent: str | msgspec.UnsetType = msgspec.UNSET
    """The id of the sample that its prompt was derived from."""
    derivation: Derivation | msgspec.UnsetType = msgspec.UNSET
    follow_ups: tuple[SampledFollowUp, ...] | msgspec.UnsetType = msgspec.UNSET
    """The exchanges between its prompt and its last answer."""


_encoder = msgspec.json.Encoder()


def encode_sample(sample: Sample) -> bytes:
    """The sample's line, without a newline."""
    return _encoder.encode(sample)


class SampleRow(msgspec.Struct, frozen=True, gc=False):
    """The part of a sample that formatting needs; the rest is only checked to be JSON."""

    id: str
    cell: msgspec.Raw
    template: str
    prompt: str
    request: str
    answer: str
    """The last answer; empty for a sample that is only a prompt."""
    system: str = ""
    follow_ups: tuple[FollowUp, ...] = ()
    """The exchanges between the prompt and the last answer."""


_row_decoder = msgspec.json.Decoder(SampleRow)


def rows_of(block: LineBlock, path: Path) -> list[SampleRow]:
    """The samples of a block of lines, in order. Raises DataError at the first line that is not a sample."""
    try:
        return _row_decoder.decode_lines(block.raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        # msgspec does not say which line was wrong, so decode them again one by one.
        for number, line in enumerate(block.lines, block.first):
            try:
                _row_decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
                raise _no_sample(path, number, wrong) from wrong
        raise _no_sample(path, block.first, error) from error


def _no_sample(path: Path, number: int, error: Exception) -> DataError:
    return DataError(
        f"{path}:{number}: not a sample: {error}. Samples are written by the generate step; run it again."
    )
