"""The machine that a forecast is for: this one, or another that is only described."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toprung.core.errors import FixSpec
from toprung.core.files import read_json
from toprung.learn.device import count_cards
from toprung.search.runners._capacity import needs_of, slots_by_need
from toprung.trial.journal import JOURNAL_NAME, read_events

_BY_COUNT, _BY_SPEED = 0.6, 0.3


@dataclass(frozen=True)
class Machine:
    """A machine as a forecast sees it.

    Attributes:
        words: what it is called.
        cpus: cores.
        memory_bytes: of it; None where unknown.
        slowness: its time for the same work on one core, as a factor of this machine's.
        uncertainty: of that factor, as a share; 0 for this machine.
        gpus: graphics cards; of a number of cores, those that this machine has.
    """

    words: str
    cpus: int
    memory_bytes: int | None = None
    slowness: float = 1.0
    uncertainty: float = 0.0
    gpus: int = field(default_factory=count_cards)

    def slots(self, cpus: int, gpus: float | None, cpus_alone: int = 0) -> int:
        """How many trials it holds at a time, at least one; a trial's needs as of ``needs_of``.

        >>> card, none = Machine("", 16, gpus=1), Machine("", 16, gpus=0)
        >>> card.slots(4, None), card.slots(4, None, 6), none.slots(4, None)
        (1, 3, 4)
        """
        nodes = [{"CPU": float(self.cpus), "GPU": float(self.gpus)}]
        needs = needs_of(nodes, cpus, gpus, cpus_alone=cpus_alone)
        return max(1, sum(slots_by_need(nodes, needs)))


def this_machine() -> Machine:
    """The machine that this runs on."""
    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cpus = os.cpu_count() or 1
    return Machine(f"this machine, {cpus} cores", cpus, pages)


def other_machine(like: str, own_ms: float, device: str = "cpu") -> Machine:
    """A machine like the one that is described.

    Args:
        like: a number of cores, taken to be as quick as these; or the ``environment.json`` that a
            search left there, beside whose journal the speed of a core was measured too.
        own_ms: what the journal's measurement of arithmetic takes here, in milliseconds.
        device: that it was taken on.

    Raises:
        FixSpec: it is neither.
    """
    if like.isdecimal() and 0 < int(like) <= 100_000:
        words = f"a machine of {like} cores as quick as these (times uncertain by {_BY_COUNT:.0%})"
        return Machine(words, int(like), uncertainty=_BY_COUNT)
    path = Path(like)
    try:
        said: dict[str, Any] = read_json(path)
        cpus, memory = int(said["cpus"]), int(float(said["memory_gib"]) * 2**30)
        gpus = int(said.get("gpus", 0))
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        text = f"'{like}' is neither a number of cores nor the environment.json of a search."
        raise FixSpec("--like", [f"{text} Write for example --like 8."]) from None
    if not (0 < cpus <= 100_000 and memory > 0 and 0 <= gpus <= 1000):
        raise FixSpec("--like", [f"'{like}' describes no machine. Write for example --like 8."])
    found = _measured_ms(path.parent / JOURNAL_NAME, device)
    slowness, uncertainty = 1.0, _BY_COUNT
    if found and own_ms:
        slowness, uncertainty = found / own_ms, _BY_SPEED
    words = f"the machine of {path}: {cpus} cores (times uncertain by {uncertainty:.0%})"
    return Machine(words, cpus, memory, slowness, uncertainty, gpus)


def _measured_ms(journal: Path, device: str) -> float:
    """What the measurement took there, in the precision that was chosen; 0 where unknown.

    That of a graphics card says nothing of a CPU, nor the other way round.
    """
    for event in read_events(journal) if journal.is_file() else ():
        if event["kind"] == "precision":
            if (event.get("device", "cpu") == "cpu") != (device == "cpu"):
                return 0.0
            found = event.get(f"{event['precision']}_ms")
            return float(found) if isinstance(found, int | float) else 0.0
    return 0.0
