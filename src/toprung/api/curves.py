"""TensorBoard's files beside a running search, which goes on where they cannot be written."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from toprung.judge.tensorboard import Scalars
from toprung.trial.journal import Event


class Curves:
    """Tells events to TensorBoard's files; they are a view, and no search ends for want of one.

    Where storage refuses, nothing more is written there; at the end all is written anew, and so
    it is whenever the search is opened again.
    """

    def __init__(self, scalars: Scalars, rebuild: Callable[[], None]) -> None:
        """Takes over files that are open.

        Args:
            scalars: the files.
            rebuild: writes them anew from the journal.
        """
        self._scalars, self._rebuild = scalars, rebuild
        self._refused = False

    def __call__(self, event: Event) -> None:
        """Tells an event."""
        if self._refused:
            return
        try:
            self._scalars(event)
        except OSError:
            self._refused = True

    def close(self) -> None:
        """Closes the files, or writes those anew that were refused."""
        try:
            self._scalars.close()
        except OSError:
            self._refused = True
        if self._refused:
            with suppress(OSError):
                self._rebuild()
