"""How often something came before, in about twelve bytes for each different thing."""

from __future__ import annotations

from collections import Counter

from polytune.data.hashes import HashTable, stable_hash


class Repeats:
    """Counts what it meets."""

    def __init__(self) -> None:
        self._met = HashTable()
        self._again: Counter[str] = Counter()
        """Only of what came more than once."""

    def before(self, name: str) -> int:
        """How often it was met before; it is met once more."""
        key = stable_hash(name.encode())
        slot = self._met.find(key)
        if not self._met.slots[slot]:
            self._met.fill(slot, key, 1)
            return 0
        self._again[name] += 1
        return self._again[name]
