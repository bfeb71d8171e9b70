"""Journal and history in one hand: durable first, then known, then told to the watchers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from toprung.core.errors import ToprungError
from toprung.trial.history import History
from toprung.trial.journal import Block, Event, Journal

Watcher = Callable[[Event], None]


class Ledger:
    """Writes events, folds them into the history, and tells the watchers.

    Inside ``together`` many events share one wait for the disk. The history knows each at once,
    so that the next decision can be taken; the outside hears of them when all are durable.

    Attributes:
        history: of all events, those of earlier openings among them.
    """

    def __init__(self, journal: Journal, watchers: Sequence[Watcher] = ()) -> None:
        self.history = History()
        self._journal = journal
        self._watchers = list(watchers)
        self._untold: list[Event] = []
        self._blocks = 0
        self._block = Block(self._begin_block, self._end_block)

    def write(self, kind: str, **fields: object) -> Event:
        """Journals an event and takes it into the history."""
        event = self._journal.append(kind, **fields)
        self.history.apply(event)
        self._untold.append(event)
        if not self._blocks:
            self._tell()
        return event

    def together(self) -> AbstractContextManager[object]:
        """The block's events share one wait for the disk; the watchers hear them after it.

        An error in the block does not undo what was written before it.

        Raises:
            OSError, ToprungError: the disk refuses; see ``Journal.together``.
        """
        return self._block

    def _begin_block(self) -> None:
        self._blocks += 1
        if self._blocks == 1:
            self._journal.together().__enter__()

    def _end_block(self) -> None:
        self._blocks -= 1
        if self._blocks:
            return
        try:
            self._journal.together().__exit__(None, None, None)
        except (OSError, ToprungError):
            self._untold.clear()
            raise
        self._tell()

    def watch(self, watcher: Watcher) -> None:
        """Has one more watcher called with each new event."""
        self._watchers.append(watcher)

    def elapsed(self) -> float:
        """Seconds of search time so far, over all openings."""
        return self._journal.elapsed()

    def wait(self, why: str, seconds: float) -> bool:
        """Waits for room on some storage, at most so long; see ``Journal.wait``."""
        tries_again = self._journal.wait(why, seconds)
        if tries_again:
            self._journal.goes_on()
        return tries_again

    def _tell(self) -> None:
        told, self._untold = self._untold, []
        for event in told:
            for watch in self._watchers:
                watch(event)
