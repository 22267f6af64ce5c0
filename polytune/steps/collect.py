"""collect: turns existing records into samples, mixed by weight, without any paid request."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import islice
from math import lcm
from pathlib import Path
from random import Random
from typing import IO, Annotated, ClassVar

import msgspec
from pydantic import Field

from polytune.data.hashes import Repeats
from polytune.data.samples import Sample, SampleTeacher, SampleUsage, encode_sample
from polytune.engine.artifacts import Facts
from polytune.engine.step import Outcome, Progress, Scope, Step, Work
from polytune.errors import DataError, Obstacle, PolytuneError
from polytune.files import published
from polytune.fingerprint import fingerprint
from polytune.sources.interface import SOURCES, BadRecord, PassedOver, Record, Source, SourceSpec
from polytune.spec.model import FieldProblem, Inherited, Items, Member, MemberSpec, Spec

samples_name = "samples.jsonl"
unusable_name = "unusable.jsonl"
shown_problems = 8
looked_at = 20
"""Records of a source that a plan reads: enough to find a wrong column or key, and quick."""
told_every = 2000
"""Number of samples between two progress reports."""
listing_scheme = "listing:"


class CollectSpec(Spec):
    """Collects records from files, S3 or logs."""

    sources: Annotated[Items[Annotated[MemberSpec, Member("sources")]], Field(min_length=1)]
    """Sources of records."""
    system: str = ""
    """System prompt of records that have none."""
    shortfall: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of records that may be unusable; if more are, the step fails."""
    seed: Annotated[int, Inherited()] = 0
    """Determines which source comes first where several are due."""

    def problems(self) -> list[FieldProblem]:
        """Report weights for only some sources, and two sources with the same name."""
        specs = _source_specs(self)
        found = []
        if len({each.weight is None for each in specs}) > 1:
            number = next(number for number, each in enumerate(specs) if each.weight is None)
            found.append(FieldProblem(f"sources.{number}", "needs a `weight` too, or no source has one"))
        for number, each in enumerate(specs):
            if each.name and each.name in [other.name for other in specs[:number]]:
                found.append(FieldProblem(f"sources.{number}.name", "another source has this name"))
        return found


class CollectedFrom(msgspec.Struct, frozen=True, gc=False):
    """Where a sample was collected."""

    source: str
    file: str
    line: int


class CollectedSample(Sample, frozen=True, kw_only=True):
    """A sample with its origin: its cell is the source, its template the file and line."""

    origin: CollectedFrom
    rating: float | None = None


@dataclass
class Counts:
    """Counts for one source."""

    taken: int = 0
    unusable: int = 0
    passed_over: Counter[str] = field(default_factory=Counter)

    def facts(self) -> Facts:
        """Return the counts for metrics."""
        left_out = {"passed_over": dict(sorted(self.passed_over.items()))} if self.passed_over else {}
        return {"taken": self.taken, "unusable": self.unusable, **left_out}


class Collect(Step):
    """Samples as `generate` writes them, in the order of the mixture; `unusable.jsonl` has the rest."""

    version = 1
    Spec = CollectSpec
    spec: CollectSpec
    consumes: ClassVar = {}
    produces = "Samples"

    def __init__(self, spec: CollectSpec, files: Mapping[str, Path], scope: Scope) -> None:
        super().__init__(spec, files, scope)
        self.specs = _source_specs(spec)
        self.names = _names(self.specs)
        self.sources = [_source(each, number, files, scope) for number, each in enumerate(self.specs)]

    def missing(self) -> Obstacle | None:
        """Return the first source that cannot be read here, or whose first records would stop the step."""
        for number, source in enumerate(self.sources):
            found = source.missing() or (self._wrong_at_start(number) if source.is_here else None)
            if found is not None:
                cause, field = f"{self.names[number]}: {found.cause}", f"sources.{number}.{found.field}"
                return replace(found, cause=cause, field=field.rstrip("."))
        if all(source.is_here and next(source.records(), None) is None for source in self.sources):
            return Obstacle("the sources are empty", "Check the sources and their options", "sources")
        return None

    def _wrong_at_start(self, number: int) -> Obstacle | None:
        """Return what is wrong with a source as a whole, or with one of its first records."""
        # A mixture with weights may end before it comes to a source's second record.
        certain = 1 if self.specs[number].weight is not None else looked_at
        limit = min(certain, self.specs[number].limit or certain)
        try:
            found = list(islice(self.sources[number].records(), limit))
        except PolytuneError as error:
            return Obstacle(str(error).rstrip("."), "Correct the file, or what the source says of it")
        if self.spec.shortfall:
            # How many records are unusable is known only once all are read.
            return None
        for each in found:
            bad = each if isinstance(each, BadRecord) else None
            if isinstance(each, Record) and each.earlier:
                bad = _too_long(each)
            if bad is not None:
                return Obstacle(str(bad).rstrip("."), "Fix it, or set `shortfall:`")
        return None

    def exists(self, uri: str) -> bool:
        """Whether a source is unchanged; also True when it cannot be checked."""
        number, _, digest = uri.removeprefix(listing_scheme).partition(":")
        now = self.sources[int(number)].listing()
        # '' means that nobody can look now, for example offline. That alone must not
        # discard a finished result.
        return now in ("", digest)

    async def run(self, work: Work) -> Outcome:
        """Read every source once, in turn. Raises DataError when too many records are unusable."""
        loop = asyncio.get_running_loop()

        def tell(done: int) -> None:
            loop.call_soon_threadsafe(work.report, Progress(done=done, total=done, unit="records"))

        return await asyncio.to_thread(self._collected, work, tell)

    def _collected(self, work: Work, tell: Callable[[int], None]) -> Outcome:
        # Listed before reading: a file that arrives meanwhile then differs from the listing, and is
        # collected next time.
        listings = {number: source.listing() for number, source in enumerate(self.sources)}
        with SampleCollection(self, work.folder, tell) as collection:
            collection.collect()
        unusable = sum(each.unusable for each in collection.counts)
        self._check(collection, work)
        records = {samples_name: collection.samples}
        if unusable:
            records[unusable_name] = unusable
        teachers = sorted(collection.teachers)
        return Outcome(
            files=tuple(records),
            records=records,
            facts={"teacher": teachers[0] if len(teachers) == 1 else "", "short_system": ""},
            metrics={
                "samples": collection.samples,
                "unusable": unusable,
                "sources": {
                    name: counts.facts() for name, counts in zip(self.names, collection.counts, strict=True)
                },
            },
            resources={
                f"the content of {self.names[number]}": f"{listing_scheme}{number}:{digest}"
                for number, digest in listings.items()
                if digest
            },
        )

    def _check(self, collection: SampleCollection, work: Work) -> None:
        """Raise DataError when too many records are unusable, or none is left."""
        unusable, samples = sum(each.unusable for each in collection.counts), collection.samples
        if unusable > self.spec.shortfall * (unusable + samples) or not samples:
            raise DataError("\n".join(self._complaint(collection, work, unusable)))

    def _complaint(self, collection: SampleCollection, work: Work, unusable: int) -> Iterator[str]:
        if not unusable:
            left_out = Counter[str]()
            for each in collection.counts:
                left_out.update(each.passed_over)
            why = ", ".join(f"{count:,} {reason}" for reason, count in left_out.most_common())
            why = why or "the sources are empty"
            yield f"no records are left: {why}. Check the sources and their options"
            return
        allowed = f", and shortfall allows {self.spec.shortfall:.0%}" if self.spec.shortfall else ""
        yield f"{unusable:,} of {unusable + collection.samples:,} records are unusable{allowed}"
        yield from map(str, collection.problems)
        if unusable > len(collection.problems):
            yield f"and {unusable - len(collection.problems):,} more"
        kept = work.folder.parent / f"{work.folder.name.strip('.').partition('.')[0]}-{unusable_name}"
        # Moved out of the work folder, which a failed attempt leaves to be emptied by the next one.
        collection.unusable_path.replace(kept)
        yield f"All of them: {kept.relative_to(work.root)}. Fix them, or set `shortfall:`"


class SampleCollection:
    """One pass over all sources, as a context manager around the files that are written."""

    def __init__(self, step: Collect, folder: Path, tell: Callable[[int], None]) -> None:
        self.counts = [Counts() for _ in step.sources]
        self.samples = 0
        self.problems: list[BadRecord] = []
        """The first few problems."""
        self.teachers: set[str] = set()
        self.unusable_path = folder / unusable_name
        self._step = step
        self._folder = folder
        self._tell = tell
        self._opened = ExitStack()
        self._repeats = Repeats()
        self._readers = [source.records() for source in step.sources]
        self._next: list[Record | None] = [None] * len(step.sources)

    def __enter__(self) -> SampleCollection:
        self._rows: IO[bytes] = self._opened.enter_context(published(self._folder / samples_name))
        self._unusable: IO[bytes] = self._opened.enter_context(published(self.unusable_path))
        return self

    def __exit__(self, *raised: object) -> None:
        for reader in self._readers:
            close = getattr(reader, "close", None)
            if close:
                close()
        self._opened.__exit__(*raised)  # type: ignore[arg-type]

    def collect(self) -> None:
        """Write every record of the mixture."""
        weights = [each.weight for each in self._step.specs if each.weight is not None]
        mixture = Mixture(weights or None, len(self._readers), self._step.spec.seed)
        while (source := mixture.next(self._has_more)) is not None:
            record, self._next[source] = self._next[source], None
            assert record is not None, "the mixture asked whether there is one"
            self._write(source, record)

    def _has_more(self, source: int) -> bool:
        """Whether the source has another record; if so, it is read."""
        counts, limit = self.counts[source], self._step.specs[source].limit
        if limit is not None and counts.taken >= limit:
            return False
        for found in self._readers[source]:
            if isinstance(found, PassedOver):
                counts.passed_over[found.reason] += 1
            elif isinstance(found, BadRecord):
                self._refuse(source, found)
            elif found.earlier:
                self._refuse(source, _too_long(found))
            else:
                self._next[source] = found
                return True
        return False

    def _refuse(self, source: int, found: BadRecord) -> None:
        self.counts[source].unusable += 1
        if len(self.problems) < shown_problems:
            self.problems.append(found)
        place = {"source": self._step.names[source], "file": self._file(source, found.file)}
        named = {**msgspec.to_builtins(found), **place}
        self._unusable.write(msgspec.json.encode(named) + b"\n")

    def _write(self, source: int, record: Record) -> None:
        self.counts[source].taken += 1
        self.samples += 1
        sample = self._sample(source, record)
        self.teachers.add(sample.teacher.label)
        self._rows.write(encode_sample(sample) + b"\n")
        if self.samples % told_every == 0:
            self._tell(self.samples)

    def _file(self, source: int, shown: str) -> str:
        """Return a record's file as outputs name it."""
        return self._step.sources[source].recorded(shown) or self._step.names[source]

    def _sample(self, source: int, record: Record) -> CollectedSample:
        name, file = self._step.names[source], self._file(source, record.file)
        system = record.system or self._step.spec.system
        request = fingerprint("polytune.collected.v1", {"system": system, "prompt": record.prompt})
        draw = self._repeats.before(request)
        return CollectedSample(
            id=f"{request[:16]}-{draw}",
            cell={"source": name},
            template=f"{file}:{record.line}",
            system=system,
            prompt=record.prompt,
            teacher=SampleTeacher(kind=self._step.specs[source].kind, label=record.teacher or name),
            request=request,
            draw=draw,
            answer=record.answer,
            usage=SampleUsage(),
            origin=CollectedFrom(name, file, record.line),
            rating=record.rating,
        )


class Mixture:
    """Chooses the source of each record, in an order that keeps to the weights from the first record on.

    The quota method (Balinski and Young, 1975): among the sources that are not above their exact share, the
    next is the one whose share the next record would fill first. So every prefix of the mixture has each
    source within one record of its share, and a longer mixture begins with the shorter one.
    """

    def __init__(self, weights: Sequence[float] | None, sources: int, seed: int) -> None:
        """Without weights the sources take turns. The seed decides the order among equals."""
        self.ends_early = weights is not None
        """Whether the mixture ends with the first source that runs out: its weights hold only until then."""
        exact = [Fraction(str(weight)) for weight in weights or [1.0] * sources]
        scale = lcm(*(weight.denominator for weight in exact))
        self._weights = [int(weight * scale) for weight in exact]
        whole = lcm(*self._weights)
        self._distances = [whole // weight for weight in self._weights]
        """The distance between two records of each source, in units common to all."""
        self._left = list(range(sources))
        self._rank = list(range(sources))
        Random(f"polytune.mixture.v1:{seed}").shuffle(self._rank)
        self._taken = [0] * sources

    def next(self, has_more: Callable[[int], bool]) -> int | None:
        """Return the source of the next record, after checking that it has one; None at the end."""
        while self._left:
            source = self._due()
            if has_more(source):
                self._taken[source] += 1
                return source
            self._left = [] if self.ends_early else [each for each in self._left if each != source]
            self._taken = [0] * len(self._taken)
        return None

    def _due(self) -> int:
        whole = sum(self._weights[each] for each in self._left)
        place = 1 + sum(self._taken[each] for each in self._left)
        due = [each for each in self._left if self._taken[each] * whole < place * self._weights[each]]
        return min(due, key=lambda each: ((self._taken[each] + 1) * self._distances[each], self._rank[each]))


def _too_long(record: Record) -> BadRecord:
    questions = 1 + sum(turn.role == "user" for turn in record.earlier)
    return BadRecord(
        file=record.file,
        line=record.line,
        path="",
        reason=f"a conversation of {questions} questions; a sample holds one",
        fix="Give the file to a `dataset` step, which keeps conversations.",
    )


def _source_specs(spec: CollectSpec) -> Sequence[SourceSpec]:
    return [each for each in spec.sources if isinstance(each, SourceSpec)]


def _names(specs: Sequence[SourceSpec]) -> list[str]:
    """Return each source's name: as stated, else its kind, numbered if that is taken."""
    names: list[str] = []
    for number, spec in enumerate(specs, start=1):
        name = spec.name or spec.kind
        names.append(f"{name}-{number}" if name in names else name)
    return names


def _source(spec: SourceSpec, number: int, files: Mapping[str, Path], scope: Scope) -> Source:
    prefix = f"sources.{number}."
    own = {name.removeprefix(prefix): path for name, path in files.items() if name.startswith(prefix)}
    return SOURCES.load(spec.kind)(spec, own, scope)
