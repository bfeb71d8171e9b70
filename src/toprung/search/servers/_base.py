"""The contract of a job server, and what a job is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from toprung.core.errors import FixEnvironment

ENDED = ("STOPPED", "SUCCEEDED", "FAILED")


class Unreachable(FixEnvironment):
    """The cluster does not answer now; it may later."""


@dataclass(frozen=True)
class Job:
    """A command on a cluster.

    Attributes:
        name: unique on the cluster.
        state: PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED.
        message: of the cluster about the state.
        exit_code: of the command; None before it ended, or where a signal ended it.
        began, ended: in milliseconds since 1970; None where it has not.
        notes: that were left with it.
    """

    name: str
    state: str
    message: str = ""
    exit_code: int | None = None
    began: int | None = None
    ended: int | None = None
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self.state in ENDED


class JobServer(ABC):
    """The jobs of one cluster.

    Every method raises ``Unreachable`` where the cluster does not answer, and ``FixEnvironment``
    where it refuses.

    Attributes:
        url: that it is reached at.
    """

    url: str

    @abstractmethod
    def submit(
        self, command: str, *, name: str, notes: Mapping[str, str], folder: Path, wait_seconds: int
    ) -> None:
        """Has a command run on the head.

        Args:
            command: of a shell.
            name: of the job, unused so far.
            notes: to be found with it again.
            folder: whose files stand in the command's working directory.
            wait_seconds: that the command has to end by itself after it was asked to stop.
        """

    @abstractmethod
    def jobs(self) -> Sequence[Job]:
        """All jobs that were submitted, oldest first."""

    @abstractmethod
    def job(self, name: str) -> Job:
        """A job as it stands."""

    @abstractmethod
    def log(self, name: str) -> str:
        """All that a job's command has printed."""

    @abstractmethod
    def stop(self, name: str) -> bool:
        """Asks a job's command to end; False where it had ended."""
