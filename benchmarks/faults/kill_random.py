"""SIGKILL for driver, Ray worker, raylet, head or agent of short searches, at random, 200 times.

Short searches (``short_search.py``, real but for the training) run on a local Ray with one worker
one after the other, and somebody of theirs is killed at random moments. A driver that is gone, or
that ends because its Ray is, is followed by another one. Each search must end with the
suggestions, reports and decisions of its undisturbed twin, no trial lost, none reported twice and
none trained twice beyond a checkpoint, its journal readable after every kill.

    python benchmarks/faults/kill_random.py --kills 200
    python benchmarks/faults/kill_random.py --minutes 2    # some more, added to what was recorded

The record is ``kill_random.json``; it gives the lines of ``faults.json`` about killing.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from short_search import open_driver, run
from stories import broken_rules, copy_of_journal, story, trained_twice
from table import Entry, record

from toprung.core.errors import ToprungError
from toprung.core.processes import descendants
from toprung.trial.journal import read_events

HERE = Path(__file__).resolve().parent
RECORD = HERE / "kill_random.json"
VICTIMS = ("driver", "worker", "raylet", "head", "agent")
FAULTS = {
    "driver": "driver killed",
    "worker": "worker killed",
    "raylet": "raylet killed on one machine",
    "head": "Ray head killed",
    "agent": "Ray's agent killed on one machine",
}
_SIGNS = {
    "worker": r"^ray::(?!IDLE|\w*Agent\b)",
    "raylet": r"raylet/raylet",
    "head": r"gcs_server",
    "agent": r"^ray::\w*Agent\b",
}
_GONE_SECONDS = 90.0
TRIALS = 9


@dataclass
class Tally:
    """What was done and seen.

    Attributes:
        recoveries: by victim, seconds from each kill to the next report in the journal.
        problems: in words; none is the claim.
    """

    recoveries: dict[str, list[float]] = field(default_factory=lambda: {v: [] for v in VICTIMS})
    searches: int = 0
    hard: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        """Of all victims."""
        return sum(map(len, self.recoveries.values()))

    @classmethod
    def read(cls) -> Tally:
        """What was recorded before."""
        if not RECORD.exists():
            return cls()
        said = json.loads(RECORD.read_text(encoding="utf-8"))
        found = cls(**{name: said[name] for name in ("recoveries", "searches", "hard", "problems")})
        found.recoveries = {victim: found.recoveries.get(victim, []) for victim in VICTIMS}
        return found

    def write(self) -> None:
        """Keeps it, and brings the lines of the table up to date."""
        said = {"kills": self.kills, **vars(self)}
        RECORD.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
        for victim, seconds in self.recoveries.items():
            bad = sum(problem.startswith(f"{victim}:") for problem in self.problems)
            record(Entry(FAULTS[victim], len(seconds), len(seconds) - bad, tuple(seconds)))


class Life:
    """A driver's process, from its start to its end."""

    def __init__(self, folder: Path, seed: int, runner: str) -> None:
        self.journal = folder / "journal.jsonl"
        command = [sys.executable, str(HERE / "short_search.py"), str(folder), "--runner", runner]
        command += ["--trials", str(TRIALS), "--seed", str(seed), "--seconds", "0.02"]
        with (folder.parent / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def reports(self) -> int:
        """How many reports the journal holds; raises where it cannot be read."""
        return sum(event["kind"] == "reported" for event in read_events(self.journal))

    def works_on(self, reports: int, seconds: float) -> bool:
        """Waits for one more report; False where the process ends, or none comes."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.process.poll() is None:
            if self.reports() > reports:
                return True
            time.sleep(0.05)
        return self.reports() > reports

    def find(self, victim: str) -> int | None:
        """The process id of a victim."""
        if victim == "driver":
            return self.process.pid
        for process in descendants(self.process.pid):
            with suppress(OSError):
                said = Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace")
                if re.search(_SIGNS[victim], said):
                    return process
        return None

    def last_words(self) -> str:
        """The last line that its drivers wrote."""
        log = self.journal.parents[1] / "log"
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else "without a word"

    def end(self) -> None:
        """Ends the process and whatever it has started."""
        below = descendants(self.process.pid)
        for process in (self.process.pid, *below):
            with suppress(OSError):
                os.kill(process, signal.SIGKILL)
        self.process.wait()


@contextmanager
def ended(lives: list[Life]) -> Iterator[None]:
    """Leaves no process behind, also where the script itself is stopped."""
    try:
        yield
    finally:
        lives[-1].end()


def disturb(root: Path, seed: int, tally: Tally, options: argparse.Namespace) -> None:
    """One search with its kills, compared with its twin."""
    folder = root / f"cut{seed}" / "search"
    folder.mkdir(parents=True)
    killed: list[str] = []

    lives: list[Life] = []

    def begin() -> Life:
        lives.append(Life(folder, seed, options.runner))
        return lives[-1]

    life = begin()
    with ended(lives):
        _disturb_until_done(life, begin, killed, tally, options)
    _compare(root, folder, seed, tally, killed)


def _disturb_until_done(
    life: Life,
    begin: Callable[[], Life],
    killed: list[str],
    tally: Tally,
    options: argparse.Namespace,
) -> None:
    chance = random.Random(f"{options.seed}/{tally.searches}")
    until = time.monotonic() + 900
    while time.monotonic() < until:
        before = life.reports()
        if not life.works_on(before, _GONE_SECONDS):
            if life.process.poll() == 0:
                break
            ended = life.process.poll()
            what = "stands still" if ended is None else f"ended with {ended} unasked"
            what += f" ({life.last_words()})"
            tally.problems.append(f"{(killed or ['driver'])[-1]}: {what}")
            life.end()
            life = begin()
            continue
        time.sleep(chance.uniform(0.0, 1.0))
        victim = chance.choice(options.victims)
        process = life.find(victim)
        if process is None or tally.kills >= options.kills:
            if tally.kills >= options.kills:
                life.process.wait(timeout=300)
                break
            continue
        if life.process.poll() is not None:
            continue
        reports, began = life.reports(), time.monotonic()
        with suppress(OSError):
            os.kill(process, signal.SIGKILL)
        killed.append(victim)
        life = _recover(life, victim, reports, begin, tally)
        tally.recoveries[victim].append(round(time.monotonic() - began, 2))
        print(f"{tally.kills}: {victim}, {tally.recoveries[victim][-1]} s", file=sys.stderr)


def _recover(
    life: Life, victim: str, reports: int, again: Callable[[], Life], tally: Tally
) -> Life:
    """Waits until the search reports again, with another driver where this one has ended."""
    if victim == "worker":
        if life.works_on(reports, _GONE_SECONDS) or life.process.poll() == 0:
            return life
    else:
        with suppress(subprocess.TimeoutExpired):
            life.process.wait(timeout=_GONE_SECONDS)
    if life.process.poll() == 0:
        return life
    if life.process.poll() is None:
        # It hangs instead of ending: a person, or a service, would have to end it.
        tally.hard += 1
        print(f"the driver hung after its {victim} was killed", file=sys.stderr)
    life.end()
    reports = life.reports()  # some may have come before it ended
    life = again()
    life.works_on(reports, _GONE_SECONDS)
    return life


def _compare(root: Path, folder: Path, seed: int, tally: Tally, killed: list[str]) -> None:
    tally.searches += 1
    twin = root / f"whole{seed}"
    twin.mkdir()
    run(twin, trials=TRIALS, seed=seed, seconds=0.0)
    last = killed[-1] if killed else "driver"
    try:
        told, untouched = story(folder / "journal.jsonl"), story(twin / "journal.jsonl")
        wrong = [f"{name} differ" for name in untouched if told[name] != untouched[name]]
        wrong += broken_rules(folder / "journal.jsonl", TRIALS) + trained_twice(folder)
        aside = copy_of_journal(folder)
        open_driver(aside, trials=TRIALS, seed=seed)
        shutil.rmtree(aside)
    except ToprungError as error:
        wrong = [str(error)]
    tally.problems += [f"{last}: search {seed}: {what}" for what in wrong]
    if wrong and (keep := os.environ.get("TOPRUNG_KEEP")):
        shutil.copytree(folder.parent, Path(keep) / str(seed), dirs_exist_ok=True)


def main() -> None:
    """Kills, compares, records; exit code 1 where anything was lost, doubled or decided anew."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    tally = Tally() if options.anew or options.dry else Tally.read()
    until = time.monotonic() + 60 * (options.minutes or 1e6)
    with tempfile.TemporaryDirectory(prefix="toprung-kills-") as folder:
        while tally.kills < options.kills and time.monotonic() < until:
            disturb(Path(folder), tally.searches + 1, tally, options)
            if not options.dry:
                tally.write()
    counts = {victim: len(seconds) for victim, seconds in tally.recoveries.items()}
    said = {"kills": tally.kills, **counts, "searches": tally.searches, "hard": tally.hard}
    print(json.dumps({**said, "problems": tally.problems}))
    sys.exit(bool(tally.problems))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=200, help="in all")
    parser.add_argument("--minutes", type=float, help="begin no further search after so many")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runner", default="ray", choices=("ray", "inline"))
    parser.add_argument("--victims", nargs="*", default=VICTIMS, choices=VICTIMS)
    parser.add_argument("--anew", action="store_true", help="forget what was recorded")
    parser.add_argument("--dry", action="store_true", help="record nothing")
    return parser.parse_args()


if __name__ == "__main__":
    main()
