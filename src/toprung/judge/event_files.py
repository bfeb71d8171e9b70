"""TensorBoard event files: one a run and opening, appended to, without a thread each."""

from __future__ import annotations

from pathlib import Path

from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

_PREFIX, _SUFFIX = "events.out.tfevents.", ".toprung"


class EventFile:
    """One run's events. TensorBoard's own ``EventFileWriter`` keeps a thread for every file and
    puts the host's name and the time into the file's name; this does neither.
    """

    def __init__(self, folder: Path, generation: int, begun: float) -> None:
        """Opens the run's file of that generation, or makes it.

        A new file begins with a mark that makes a TensorBoard which is open drop the points
        that it has read from files of earlier generations.
        """
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{_PREFIX}{generation:010d}{_SUFFIX}"
        new = not path.exists()
        self._file = path.open("ab")
        self._records = RecordWriter(self._file)
        if new:
            self._write(event_pb2.Event(wall_time=begun, file_version="brain.Event:2"))
            mark = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            self._write(event_pb2.Event(wall_time=begun, session_log=mark))

    def write(self, summary: summary_pb2.Summary, step: int, wall_time: float) -> None:
        """Appends one summary."""
        self._write(event_pb2.Event(wall_time=wall_time, step=step, summary=summary))

    def flush(self) -> None:
        """Hands what was written to the system, so that readers see it."""
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _write(self, event: event_pb2.Event) -> None:
        self._records.write(event.SerializeToString())


def empty_event_files(folder: Path) -> int:
    """Empties our event files of a log folder and of its runs; returns the last generation.

    A TensorBoard that is open never leaves a file that vanished, but goes on from an empty one
    to the next; so the newest of each run stays, empty, and older ones are deleted. Files of
    other writers stay as they are. 0 where there are none of ours.
    """
    last = 0
    for run in (folder, *(path for path in folder.glob("*") if path.is_dir())):
        ours = [p for p in sorted(run.glob(f"{_PREFIX}*{_SUFFIX}")) if _generation(p) is not None]
        for path in ours:
            last = max(last, _generation(path) or 0)
        for path in ours[:-1]:
            path.unlink()
        for path in ours[-1:]:
            path.write_bytes(b"")
    return last


def _generation(path: Path) -> int | None:
    number = path.name[len(_PREFIX) : -len(_SUFFIX)]
    return int(number) if number.isdigit() else None
