"""Who may write a trial's checkpoints: the worker that was given the trial last."""

from __future__ import annotations

import json
from pathlib import Path

from toprung.core.errors import RetryTrial
from toprung.core.files import write_text
from toprung.trial.config import Assignment

_OWNER = "owner.json"


class Fence:
    """Keeps a worker out that was taken for dead and is not, such as one that was only stopped.

    A later order of the same trial has a higher epoch of the journal, or in the same one a higher
    attempt. Whoever opens a trial leaves its own beside the checkpoints.

    >>> from tempfile import TemporaryDirectory
    >>> from toprung.trial.config import TrialConfig
    >>> config = TrialConfig("t0001", {}, 0)
    >>> with TemporaryDirectory() as folder:
    ...     first = Fence(Path(folder), Assignment(config, attempt=1))
    ...     first.check()
    ...     second = Fence(Path(folder), Assignment(config, attempt=2))
    ...     second.check()
    ...     first.check()
    Traceback (most recent call last):
    toprung.core.errors.RetryTrial: t0001 was given to another worker
    """

    def __init__(self, folder: Path, assignment: Assignment) -> None:
        """Takes a trial over, unless a later order has been given.

        Args:
            folder: of the trial.
            assignment: the order.
        """
        self._path = folder / _OWNER
        self._trial = assignment.config.trial
        self._order = (assignment.epoch, assignment.attempt)
        there = self._there()
        if there is None or there < self._order:
            write_text(self._path, json.dumps(self._order) + "\n")

    def check(self) -> None:
        """Passes whoever was given the trial last.

        Raises:
            RetryTrial: another worker has it now.
        """
        there = self._there()
        if there is not None and there > self._order:
            raise RetryTrial(f"{self._trial} was given to another worker")

    def _there(self) -> tuple[int, int] | None:
        try:
            epoch, attempt = json.loads(self._path.read_text(encoding="utf-8"))
            return int(epoch), int(attempt)
        except (OSError, ValueError, TypeError):
            return None
