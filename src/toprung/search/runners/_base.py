"""The contract of a runner, and what a trial's exception means."""

from __future__ import annotations

import errno
import re
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import TypeVar

from toprung.core.clock import Clock, SystemClock
from toprung.core.errors import Interrupted, RetryTrial, TrialDiverged
from toprung.core.files import AWAY, NO_ROOM
from toprung.core.secrets import redact
from toprung.search.driver import Driver
from toprung.trial.config import Assignment
from toprung.trial.decision import Failure
from toprung.trial.report import Report

Train = Callable[[Assignment], Iterator[Report]]
T = TypeVar("T")

_OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "cublas_status_alloc_failed",
)
# safetensors tells what the system answered in words alone, numpy only that it wrote less.
_NO_ROOM_WORDS = ("no space left on device", "disk quota exceeded", "read-only file system")
_WRITTEN_LESS = re.compile(r"\d+ requested and \d+ written")
_DISK_ERRORS = (errno.EIO, errno.ESTALE)
_SYSTEM_ERRORS = (errno.ENFILE, errno.EMFILE, errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTUNREACH)
_MACHINE_ERRORS = frozenset((*_DISK_ERRORS, *_SYSTEM_ERRORS))


class Runner(ABC):
    """Trains what the driver assigns and takes every report to it.

    Stopping a trial is closing its generator. Options are the constructor's keywords.

    Attributes:
        clock: what the journal of a search under this runner must tell time by.
    """

    clock: Clock = SystemClock()

    @abstractmethod
    def run(self, driver: Driver, train: Train) -> None:
        """Works until the driver assigns nothing more and nothing runs.

        Raises:
            Interrupted, KeyboardInterrupt: passed on as they come; the journal stays usable.
        """

    def on_each_node(self, task: Callable[[], T]) -> Mapping[str, T | BaseException]:
        """What a task answers, or raises, on each node that trials may run on, by its name."""
        return {socket.gethostname(): task()}


Reports = Generator[Report, None, None]


def begin(train: Train, assignment: Assignment) -> Reports:
    """The reports of a training; nothing happens before the first is asked for."""
    yield from train(assignment)


def next_report(reports: Reports) -> Report | Failure:
    """The next report, or why there is none.

    Raises:
        Interrupted: the trial saved a checkpoint and left, because the user stopped the search.
    """
    try:
        report = next(reports, None)
    except Interrupted:
        raise
    except Exception as error:  # The edge of a trial: whatever it raises is its own failure.
        return classify(error)
    return report or Failure("user_error", "the training ended before its last rung")


def classify(error: BaseException) -> Failure:
    """What an exception of a trial means, with one line for people, no secret of the environment.

    The cause of an exception is looked at where the exception itself says nothing special.
    Torch's errors are known by class name, so that torch need not be imported here.

    >>> classify(MemoryError()).kind
    'out_of_memory'
    >>> classify(ConnectionResetError("peer")).kind
    'infrastructure'
    >>> classify(OSError(28, "No space left on device")).kind
    'storage'
    >>> classify(ValueError("bad rank"))
    Failure(kind='user_error', message='ValueError: bad rank')
    """
    seen: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in seen:
        seen.append(link)
        special = _special(link)
        if special is not None:
            return special
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return Failure("user_error", _line(error))


def _special(error: BaseException) -> Failure | None:
    said = _said(error)
    text = said.lower()
    names = {kind.__name__ for kind in type(error).__mro__}
    if isinstance(error, TrialDiverged):
        return Failure("diverged", said or "diverged")
    if isinstance(error, RetryTrial):
        return Failure("infrastructure", said or "the trial asks to be tried again")
    number = error.errno if isinstance(error, OSError) else None
    if "StorageError" in names and number == AWAY:
        return Failure("storage", _line(error))
    short = isinstance(error, OSError) and _WRITTEN_LESS.fullmatch(text)
    if number in NO_ROOM or short or any(words in text for words in _NO_ROOM_WORDS):
        return Failure("storage", _line(error))
    if isinstance(error, MemoryError) or "OutOfMemoryError" in names or number == errno.ENOMEM:
        return Failure("out_of_memory", _line(error))
    if isinstance(error, RuntimeError) and any(words in text for words in _OUT_OF_MEMORY):
        return Failure("out_of_memory", _line(error))
    if isinstance(error, ConnectionError | TimeoutError) or number in _MACHINE_ERRORS:
        return Failure("infrastructure", _line(error))
    return None


def _line(error: BaseException) -> str:
    lines = _said(error).strip().splitlines()
    name = type(error).__name__
    return f"{name}: {lines[0]}"[:500] if lines else name


def _said(error: BaseException) -> str:
    """An error's words as they can be written: names of files may hold what is no text."""
    return redact(str(error)).encode("utf-8", "replace").decode("utf-8")
