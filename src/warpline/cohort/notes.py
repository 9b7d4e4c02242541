"""What the headers of a cohort's images leave open, said once for all pairs that share it."""

from __future__ import annotations

from collections.abc import Iterable

from warpline.cohort.failures import signature_of


class Notes:
    """Counts notes that differ only in paths and numbers, and keeps the first of each kind."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, str]] = {}

    def add(self, notes: Iterable[str]) -> None:
        """Enter the notes of one pair."""
        kinds = {signature_of(note): note for note in notes}
        for kind, note in kinds.items():
            count, first = self._known.get(kind, (0, note))
            self._known[kind] = (count + 1, first)

    def lines(self) -> tuple[str, ...]:
        """A sentence for each kind, the most frequent first."""
        ranked = sorted(self._known.values(), key=lambda known: -known[0])
        return tuple(note if count == 1 else f"{note} (and alike in {count} pairs)" for count, note in ranked)
