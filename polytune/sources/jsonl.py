"""A file of JSON objects, one a line.

    {"question": "How do I reset it?", "answer": "Hold the button."}
    {"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}

Chats of OpenAI, Anthropic and Bedrock, prompts with completions, and samples are told by their keys.
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
    """A JSONL file, also gzipped; its layout is told from each row."""

    path: InputFile
    """The file; `.gz` is unpacked."""
    fields: FieldsSpec = FieldsSpec()
    """Where the parts of a record stand, for layouts of your own."""


class Jsonl(Source):
    """Reads the lines of one file."""

    Spec = JsonlSpec

    def __init__(self, spec: JsonlSpec, files: Mapping[str, Path], scope: Scope) -> None:
        super().__init__(spec, files, scope)
        self.spec = spec

    def records(self) -> Iterator[Found]:
        """One record a line."""
        path = self.files["path"]
        file = self.shown(path)
        for number, line in numbered_lines(path, file):
            yield record_of_line(line, At(file, number), self.spec.fields)
