"""Samples and rows that the tests of polytune/data are made of."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from polytune.base_models.interface import BASE_MODELS
from polytune.data.samples import Sample, SampleTeacher, encode_sample
from polytune.data.validate.report import CheckReport
from polytune.data.validate.validate import check_dataset

STYLES = ("techno", "house", "ambient", "jazz", "drums", "experimental")
COMPLEXITIES = ("simple", "medium", "complex")
LAYOUT = "bedrock-conversation-2024"
SPLITS = ("train", "validation", "test")


def sample(
    number: int, *, prompt: str | None = None, answer: str | None = None, style: str = "techno"
) -> Sample:
    """A sample; its prompt and answer tell its number unless given."""
    return Sample(
        id=f"s{number:05d}",
        cell={"style": style, "complexity": "simple"},
        template=f"{style}-0",
        slots={"take": number},
        system=f"You write {style}.",
        prompt=f"Write {style}, take {number}." if prompt is None else prompt,
        teacher=SampleTeacher(kind="composer", label="composed offline"),
        request=f"{number:064x}",
        answer=f's("bd*{number}")' if answer is None else answer,
    )


def balanced(count: int, draws: int = 1) -> Iterator[Sample]:
    """Samples that visit 18 cells in turn, each prompt asked `draws` times in a row."""
    cells = list(itertools.product(STYLES, COMPLEXITIES))
    for number in range(count):
        style, complexity = cells[number // draws % len(cells)]
        prompt = f"Write {complexity} {style}, take {number // draws}."
        made = sample(number, prompt=prompt, style=style)
        yield msgspec.structs.replace(made, cell={"style": style, "complexity": complexity})


def write(path: Path, samples: Iterable[Sample]) -> Path:
    """The file holds the samples."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(encode_sample(each) + b"\n" for each in samples))
    return path


def lines(folder: Path) -> dict[str, list[str]]:
    """The rows of each split in a folder, as text."""
    found = {split: folder / f"{split}.jsonl" for split in SPLITS}
    return {split: path.read_text().splitlines() for split, path in found.items() if path.exists()}


def prompts(folder: Path) -> dict[str, list[str]]:
    """The prompts of each split in a folder."""
    return {
        split: [json.loads(line)["messages"][0]["content"][0]["text"] for line in found]
        for split, found in lines(folder).items()
    }


def row(asked: str, answered: str, system: str | None = None) -> str:
    """A row of the usual layout."""
    return json.dumps(
        {
            "schemaVersion": LAYOUT,
            **({"system": [{"text": system}]} if system is not None else {}),
            "messages": [
                {"role": "user", "content": [{"text": asked}]},
                {"role": "assistant", "content": [{"text": answered}]},
            ],
        }
    )


def rows(path: Path, count: int, word: str = "row") -> Path:
    """The file holds so many good rows, no prompt twice."""
    path.write_text("".join(row(f"{word} {number}", f"answer {number}") + "\n" for number in range(count)))
    return path


def checked(*files: Path, base_model: str = "nova-lite", layout: str = LAYOUT) -> CheckReport:
    """The report on files whose names are their splits."""
    return check_dataset({path.stem: path for path in files}, BASE_MODELS.get(base_model), layout)


def train(folder: Path, *extra: str | bytes, good: int = 8) -> Path:
    """A training file of good rows followed by the lines given."""
    path = rows(folder / "train.jsonl", good)
    with path.open("ab") as file:
        for line in extra:
            file.write((line if isinstance(line, bytes) else line.encode()) + b"\n")
    return path
