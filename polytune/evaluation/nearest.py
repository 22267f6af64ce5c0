"""The trivial rival: answers a prompt with the training answer of the most similar training prompt."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

# `#` belongs to a word, so that F# and F are different keys. No stemming: the rival is meant to be simple.
word = re.compile(r"[a-z0-9#]+")


class Nearest:
    """An index of training prompts by cosine similarity of TF-IDF vectors."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        """`pairs` are (prompt, answer) of the training split, in file order."""
        self.answers: list[str] = []
        self._counts: list[Counter[str]] = []
        for prompt, answer in pairs:
            self.answers.append(answer)
            self._counts.append(_words(prompt))
        seen = Counter(w for counts in self._counts for w in counts)
        self._rarity = {w: math.log(1 + len(self.answers) / n) for w, n in seen.items()}
        self._postings: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for row, counts in enumerate(self._counts):
            # An inverted index: a prompt is compared only with those that share a word with it.
            for w, weight in self._weights(counts):
                self._postings[w].append((row, weight))

    def answer(self, prompt: str) -> str:
        """The answer of the most similar training prompt, the earliest on a tie; '' without training rows."""
        scores: dict[int, float] = defaultdict(float)
        for w, weight in self._weights(_words(prompt)):
            for row, other in self._postings.get(w, ()):
                scores[row] += weight * other
        if not scores:
            return self.answers[0] if self.answers else ""
        # Rounded, so that equal similarities tie on every machine, whatever the order of the additions.
        return self.answers[max(scores, key=lambda row: (round(scores[row], 12), -row))]

    def _weights(self, counts: Counter[str]) -> Sequence[tuple[str, float]]:
        # Sorted, because floating-point sums depend on the order of their terms.
        raw = [(w, n * self._rarity.get(w, 0.0)) for w, n in sorted(counts.items())]
        length = math.sqrt(sum(weight * weight for _, weight in raw)) or 1.0
        return [(w, weight / length) for w, weight in raw]


def _words(text: str) -> Counter[str]:
    return Counter(word.findall(text.lower()))
