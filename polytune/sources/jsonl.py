"""A file of JSON objects, one per line.

    {"question": "How do I reset it?", "answer": "Hold the button."}
    {"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}

The layout is recognized by its keys: OpenAI, Anthropic and Bedrock chats, prompts with completions, samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from polytune.engine.step import Scope
from polytune.sources._lines import numbered_lines
from polytune.sources._rows import At, FieldsSpec, record_of_line
from polytune.sources.interface import Found, Source, SourceSpec
from polytune.spec.model import InputFile


class JsonlSpec(SourceSpec):
    """A JSONL file, also gzipped; the layout is detected for each row."""

    path: InputFile
    """The file; `.gz` files are decompressed."""
    fields: FieldsSpec = FieldsSpec()
    """The keys of the parts of a record, for custom layouts."""


class Jsonl(Source):
    """Reads the lines of one file."""

    Spec = JsonlSpec

    def __init__(self, spec: JsonlSpec, files: Mapping[str, Path], scope: Scope) -> None:
        super().__init__(spec, files, scope)
        self.spec = spec

    def records(self) -> Iterator[Found]:
        """One record per line."""
        path = self.files["path"]
        file = self.shown(path)
        for number, line in numbered_lines(path, file):
            yield record_of_line(line, At(file, number), self.spec.fields)
