"""One rung: who reached it with which score, and who waits there, best first."""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort

Place = tuple[float, int]
"""Negated score and order of arrival at the rung: the smaller, the better."""


class Rung:
    """The scores of all that reached a resource; each question costs O(log n) comparisons.

    >>> rung = Rung(512)
    >>> [rung.enter(trial, score) for trial, score in [("a", 0.5), ("b", 0.7), ("c", 0.5)]]
    [1, 1, 3]
    >>> rung.best_waiting(1), rung.leave("b"), rung.best_waiting(2)
    ('b', None, 'a')
    """

    def __init__(self, resource: int) -> None:
        self.resource = resource
        self._ranked: list[Place] = []
        self._places: dict[str, Place] = {}
        self._waiting: list[tuple[Place, str]] = []
        self._gone: set[str] = set()

    def __len__(self) -> int:
        return len(self._ranked)

    def __contains__(self, trial: str) -> bool:
        return trial in self._places

    def enter(self, trial: str, score: float) -> int:
        """Takes a trial in, which then waits here; returns its rank from 1.

        Of equal scores the one that came earlier ranks higher.
        """
        place = (-score, len(self._ranked))
        self._places[trial] = place
        insort(self._ranked, place)
        heapq.heappush(self._waiting, (place, trial))
        return self.rank(trial)

    def rank(self, trial: str) -> int:
        """The trial's rank from 1 among all that have reached this rung by now."""
        return bisect_left(self._ranked, self._places[trial]) + 1

    def score(self, trial: str) -> float:
        """The score that the trial had here."""
        return -self._places[trial][0]

    def leave(self, trial: str) -> None:
        """The trial waits here no more: it went on, or it is over. Its score stays."""
        if trial in self._places:
            self._gone.add(trial)

    @property
    def left(self) -> int:
        """How many have left this rung."""
        return len(self._gone)

    def waits(self, trial: str) -> bool:
        """Whether the trial reached this rung and has not left it."""
        return trial in self._places and trial not in self._gone

    def best_waiting(self, places: int) -> str | None:
        """The best trial that waits here, if it is among the best ``places`` of all."""
        while self._waiting and self._waiting[0][1] in self._gone:
            heapq.heappop(self._waiting)
        if not self._waiting or self.rank(self._waiting[0][1]) > places:
            return None
        return self._waiting[0][1]


def ordinal(number: int) -> str:
    """A rank in words.

    >>> [ordinal(n) for n in (1, 2, 3, 4, 11, 22, 113)]
    ['1st', '2nd', '3rd', '4th', '11th', '22nd', '113th']
    """
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else ending}"
