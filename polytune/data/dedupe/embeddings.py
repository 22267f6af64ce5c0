"""Finds texts with the same meaning by the cosine of their embeddings; for reports, not for dropping rows.

The embeddings come from a sentence-transformers model that the user names. Which threshold is useful depends
on the model and the corpus: rows made from one template are close to each other whatever they say. For the
same reason no recall is stated here: it was not measured.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from polytune.errors import DataError, Unavailable
from polytune.extras import install_command

texts_at_a_time = 512
most_texts = 50_000
"""A limit because every text is compared with every other one."""


class SameMeaning(msgspec.Struct, frozen=True, kw_only=True):
    """Two rows with the same meaning."""

    line: int
    of_line: int
    """The line of the earlier row."""
    likeness: float
    """The cosine of the angle between them."""


class Embedder(ABC):
    """Turns texts into vectors."""

    @abstractmethod
    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """A unit vector for each text, in order."""


class SentenceEmbedder(Embedder):
    """A sentence-transformers model in a local folder."""

    def __init__(self, folder: str | None) -> None:
        """Raises Unavailable if the package is not installed, DataError if the folder does not exist."""
        package = _package("sentence_transformers")
        if folder is None or not Path(folder).is_dir():
            stated = f"{folder}: no such folder." if folder else "--kind semantic needs --model."
            raise DataError(f"{stated} Give the folder of a sentence-transformers model.")
        self._model: Any = package.SentenceTransformer(folder, local_files_only=True)

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        vectors: Sequence[Sequence[float]] = self._model.encode(list(texts), normalize_embeddings=True)
        return vectors


def alike(texts: Sequence[str], embedder: Embedder, threshold: float) -> list[SameMeaning]:
    """The texts that mean the same as an earlier one, each with the closest of those, in order.

    Empty texts are ignored.

    Raises DataError for more than `most_texts` texts, Unavailable without numpy.
    """
    if len(texts) > most_texts:
        raise DataError(f"{len(texts):,} rows are too many to compare by meaning; at most {most_texts:,}.")
    numpy = _package("numpy")
    numbered = [(number, text) for number, text in enumerate(texts, 1) if text.strip()]
    lines = [number for number, _ in numbered]
    vectors: Any = None
    found = []
    for start in range(0, len(numbered), texts_at_a_time):
        some = [text for _, text in numbered[start : start + texts_at_a_time]]
        fresh = numpy.asarray(embedder.embed(some), dtype="float32")
        vectors = fresh if vectors is None else numpy.concatenate([vectors, fresh])
        products = fresh @ vectors.T
        for place in range(len(some)):
            before = products[place][: start + place]
            nearest = int(before.argmax()) if len(before) else -1
            if nearest >= 0 and before[nearest] >= threshold:
                likeness = round(float(before[nearest]), 4)
                found.append(
                    SameMeaning(line=lines[start + place], of_line=lines[nearest], likeness=likeness)
                )
    return found


def _package(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        advice = f"Run `{install_command('semantic', 'sentence-transformers')}`, or use --kind near."
        raise Unavailable(f"comparing meanings needs {name}. {advice}") from error
