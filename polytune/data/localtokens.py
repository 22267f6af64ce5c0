"""Exact token counts by a `tokenizer.json`; needs the package tokenizers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from polytune.data.tokens import TokenCounter
from polytune.errors import DataError


class LocalTokens(TokenCounter):
    """The tokenizer of a model on this machine."""

    exact = True
    error = ""

    def __init__(self, path: Path) -> None:
        """Raises DataError when the file is no tokenizer."""
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:
            raise DataError(
                f"{path}: not a tokenizer: {error}. Give a Hugging Face tokenizer.json."
            ) from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    def count(self, texts: Sequence[str]) -> list[int]:
        encoded = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [len(each.ids) for each in encoded]
