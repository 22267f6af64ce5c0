"""The part of `format` that needs only one block of samples: their rows, and hashes that identify them.

Whatever depends on earlier samples is done in `format`: duplicates, splits, line numbers.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import msgspec

from polytune.data.dedupe.duplicates import Kind, default_threshold
from polytune.data.format.clusters import Clustering
from polytune.data.hashes import all_bare
from polytune.data.lines import LineBlock
from polytune.data.samples import SampleRow, rows_of
from polytune.errors import DataError
from polytune.formats.interface import FORMATS, Conversation, Turn


class FormatOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How samples become rows."""

    format: str = "bedrock-conversation-2024"
    system: str = "full"
    """`full`: the system prompt that the teacher saw; `short`: `short_system`; `none`: no system prompt;
    any other text: that text."""
    short_system: str = ""
    train: float = 0.8
    validation: float = 0.1
    test: float = 0.1
    seed: int = 0
    dedupe: Kind = "exact"
    """Which duplicates are dropped. `exact`: prompt and answer are the same, ignoring whitespace; `near`:
    also near-duplicates."""
    cluster: Clustering = "prompt"
    """What is kept in one split. `prompt`: all samples of a prompt; `exact`, `near`: also samples that are
    exact or near duplicates, and samples generated from the same seed."""
    dedupe_threshold: float = default_threshold
    """The likeness from which samples are dropped as near-duplicates, 0.5 to 1."""
    cluster_threshold: float = default_threshold
    """The likeness from which samples are clustered as near-duplicates, 0.5 to 1."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A prepared block of samples; every sequence except `cells` has one item per sample."""

    prompts: array[int]
    """Hashes of the prompts."""
    pairs: array[int]
    """Hashes of prompt and answer together."""
    marks: array[int]
    """CRC-32 of the prompts; seeds the random choice of split, so it is the same in every process."""
    cells: tuple[bytes, ...]
    """The distinct matrix cells, as JSON."""
    cell_of: array[int]
    """The index of each sample's cell in `cells`."""
    rows: list[bytes]
    """The rows in their layout."""
    origins: list[bytes]
    """The end of each sample's line of provenance, after split and line number; without the first brace."""


class ProvenanceLine(msgspec.Struct, frozen=True, gc=False):
    """The end of a line of `provenance.jsonl`."""

    sample: str
    cell: msgspec.Raw
    template: str
    request: str


_encoder = msgspec.json.Encoder()


class BlockPreparation:
    """Prepares the blocks of one file of samples."""

    def __init__(self, samples: Path, options: FormatOptions) -> None:
        """Raises UnknownMember for an unknown format, DataError for a system prompt that is missing."""
        self._samples = samples
        self._format = FORMATS.load(options.format)("optional")
        self._same_system = options.system != "full"
        self._system = _stated_system(options)

    def __call__(self, block: LineBlock) -> Prepared:
        """The block's samples, prepared. Raises DataError at a line that is not a sample."""
        samples = rows_of(block, self._samples)
        prompts = list(all_bare([sample.prompt for sample in samples]))
        answers = all_bare([sample.answer for sample in samples])
        written = [bytes(sample.cell) for sample in samples]
        cells = tuple(dict.fromkeys(written))
        return Prepared(
            prompts=array("q", map(hash, prompts)),
            pairs=array("q", map(hash, zip(prompts, answers, strict=True))),
            marks=array("L", map(crc32, prompts)),
            cells=cells,
            cell_of=array("L", map({cell: index for index, cell in enumerate(cells)}.__getitem__, written)),
            rows=self._rows(samples),
            origins=_origins(samples),
        )

    def _rows(self, samples: list[SampleRow]) -> list[bytes]:
        if self._same_system:
            systems = [self._system] * len(samples)
        else:
            systems = [sample.system or None for sample in samples]
        # Almost every file has only single exchanges, and formats write batches of them faster.
        if all(sample.answer and not sample.follow_ups for sample in samples):
            return self._format.exchanges(systems, [s.prompt for s in samples], [s.answer for s in samples])
        return [
            self._format.encode(Conversation(system, _turns(sample)))
            for system, sample in zip(systems, samples, strict=True)
        ]


def _turns(sample: SampleRow) -> tuple[Turn, ...]:
    """A conversation that ends with the answer, or with the user's turn if there is no answer."""
    turns = [Turn("user", sample.prompt)]
    for each in sample.follow_ups:
        turns += [Turn("assistant", each.answer), Turn("user", each.prompt)]
    return tuple([*turns, Turn("assistant", sample.answer)] if sample.answer else turns)


def _origins(samples: list[SampleRow]) -> list[bytes]:
    lines = _encoder.encode_lines([ProvenanceLine(s.id, s.cell, s.template, s.request) for s in samples])
    # The caller knows split and line number, and puts `{"split":"train","line":7,` before each.
    return lines[1:-1].split(b"\n{") if samples else []


def _stated_system(options: FormatOptions) -> str | None:
    """The system prompt of every row; None for the teacher's, or for none."""
    if options.system in ("full", "none"):
        return None
    if options.system != "short":
        return options.system
    if not options.short_system.strip():
        raise DataError(
            "system: short: there is no short system prompt. State one with the prompts, or use full."
        )
    return options.short_system
