"""Runs a range of cases in this process, with limits on memory and on each one's time."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import cases
from payloads import CANARY

from toprung.core.seeds import derive_seed

SECONDS = 20.0
"""Of processor time that a case may take."""
MEMORY_BYTES = 1 << 30


class TooLong(BaseException):
    """A case has taken its time; nothing may catch that but the loop."""


def kind_of(number: int) -> str:
    """The kind of a case: of each hundred in a row as many as its share."""
    order = [kind for kind, share in cases.SHARES.items() for _ in range(share)]
    random.Random(derive_seed(0, "fuzz", number // 100)).shuffle(order)
    return order[number % 100]


def main() -> None:
    """Reads ``base, seed, first, last`` from the command line; prints a JSON line a case."""
    base, seed, first, last = Path(sys.argv[1]), int(sys.argv[2]), *map(int, sys.argv[3:5])
    with tempfile.TemporaryDirectory(prefix="toprung-fuzz-") as scratch:
        os.chdir(scratch)
        os.environ[CANARY] = str(Path(scratch) / "canary")
        for kind in cases.CASES:
            _attempt(kind, seed, -1, base)
        before = _most_memory()
        _limit_memory()
        for number in range(first, last):
            kind = kind_of(number)
            print(json.dumps({"begins": number, "kind": kind}), flush=True)
            said = _attempt(kind, seed, number, base)
            said["memory"] = _most_memory() - before
            print(json.dumps(said), flush=True)


def _most_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _attempt(kind: str, seed: int, number: int, base: Path) -> dict[str, object]:
    place = Path(tempfile.mkdtemp(prefix=f"{kind}-", dir="."))
    chance = random.Random(derive_seed(seed, "case", kind, number))
    said: dict[str, object] = {"case": number, "kind": kind}
    began = time.process_time()
    try:
        with _time_limit(), _silent():
            said["outcome"] = cases.run(kind, chance, base, place.resolve())
    except TooLong:
        said["failure"] = f"more than {SECONDS:.0f} s"
    # Whatever it is: that is what is looked for.
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        said["failure"] = traceback.format_exc()[-6000:]
    said["seconds"] = round(time.process_time() - began, 4)
    if Path(os.environ[CANARY]).exists():
        said["failure"] = "the canary was left: something was executed"
        Path(os.environ[CANARY]).unlink()
    if "failure" in said:
        kept = Path(os.environ.get("TOPRUNG_FUZZ_KEEP", tempfile.gettempdir()))
        said["kept"] = str(kept / f"{number}-{kind}")
        shutil.copytree(place, str(said["kept"]), dirs_exist_ok=True, symlinks=True)
    shutil.rmtree(place, ignore_errors=True)
    return said


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


@contextmanager
def _time_limit() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise TooLong

    signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


@contextmanager
def _silent() -> Iterator[None]:
    """What libraries print about hostile files is not of interest."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    out = os.dup(1)
    os.dup2(nowhere, 2)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.dup2(out, 1)
        for descriptor in (kept, nowhere, out):
            os.close(descriptor)


if __name__ == "__main__":
    main()
