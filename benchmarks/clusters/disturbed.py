"""A search on a cluster, and the faults that are made while it runs."""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from invariants import FINAL, broken, trained
from namespaces import Machine
from nodes import Cluster, until

from toprung.trial.journal import JOURNAL_NAME, read_events

NAMES = {"killed": "node killed", "hung": "node hung, then continued",
         "cut8": "network cut for 8 s", "cut": "network cut for good",
         "driver": "driver machine gone"}  # fmt: skip


@dataclass
class Run:
    """One fault.

    Attributes:
        fault: that was made.
        trials: that trained on the node then.
        noticed_seconds: until the journal says that the first of them failed; None where none did.
        recovery_seconds: as three_nodes.py says.
        late: steps that the node made after others had taken its trials over.
        workers: of the search.
    """

    fault: str
    trials: int
    noticed_seconds: float | None
    recovery_seconds: float
    late: int
    workers: int


class Session:
    """One search, and the faults that are made while it runs."""

    def __init__(
        self, cluster: Cluster, folder: Path, options: argparse.Namespace, place: Machine
    ) -> None:
        self.cluster, self.folder, self.options, self.place = cluster, folder, options, place
        self.chance = random.Random(options.seed)
        self.process = cluster.search(folder, options, place)
        until(lambda: self.folder.is_dir() and trained(folder), 120, "the search trains")

    def make(self, fault: str) -> Run:
        """Makes a fault and waits until the search has recovered and the cluster is whole."""
        time.sleep(self.chance.uniform(0.5, 2.5))
        if fault == "driver":
            return self._lose_driver()
        victim = self._victim()
        hit = self._on(victim)
        began = time.time()
        {
            "killed": lambda: victim.send(signal.SIGKILL),
            "hung": lambda: victim.send(signal.SIGSTOP),
            "cut8": victim.cut,
            "cut": victim.cut,
        }[fault]()
        if fault == "cut8":
            time.sleep(max(0.0, began + 8.0 - time.time()))
            victim.mend()
            found = max(self._again(trial, began, None) for trial in hit)
        else:
            found = max(self._again(trial, began, victim) for trial in hit)
        if fault == "hung":
            victim.send(signal.SIGCONT)
            time.sleep(3.0)
        late = self._late(victim, hit, began)
        noticed = self._noticed(hit, began)
        self._repair(victim, fault)
        name = NAMES[fault]
        return Run(name, len(hit), noticed, round(found - began, 2), late, self.options.workers)

    def _lose_driver(self) -> Run:
        """Takes the driver's machine away, and starts the driver on the other worker node."""
        victim = self.place
        self.place = next(machine for machine in self.cluster.workers if machine is not victim)
        hit = self._on(*self.cluster.workers)
        began = time.time()
        # Without a cable first, or the machine's kernel would say farewell for its processes.
        victim.cut()
        victim.send(signal.SIGKILL)
        self.process.wait()
        self.process = self.cluster.search(self.folder, self.options, self.place)
        found = max(self._again(trial, began, victim) for trial in hit)
        late = self._late(victim, hit, began)
        self._repair(victim, "driver")
        name = NAMES["driver"]
        return Run(name, len(hit), None, round(found - began, 2), late, self.options.workers)

    def end(self) -> list[str]:
        """Lets the search end; what is wrong with it."""
        (self.folder / "enough").touch()
        try:
            code = self.process.wait(timeout=180)
        except subprocess.TimeoutExpired:
            return ["the search has not ended"]
        problems = [] if code == 0 else [f"the search ended with exit code {code}"]
        return problems + broken(self.folder, self.options.trials, 7)

    def _victim(self) -> Machine:
        """A worker node that trains something just now."""
        found: list[Machine] = []

        def look() -> list[Machine]:
            found[:] = [machine for machine in self.cluster.workers if self._on(machine)]
            return found

        until(look, 60, "a node trains")
        return self.chance.choice(found)

    def _on(self, *machines: Machine) -> list[str]:
        """The trials that train on machines: begun there last, and not decided since."""
        addresses = {machine.address for machine in machines}
        place: dict[str, str] = {}
        for line in trained(self.folder):
            if line["point"] is None:
                place[line["trial"]] = line["host"]
        states: dict[str, str] = {}
        for event in read_events(self.folder / JOURNAL_NAME):
            if event["kind"] in ("suggested", "started"):
                states[event["trial"]] = "running"
            if event["kind"] in ("decided", "failed"):
                states[event["trial"]] = event["state"]
        return [t for t, h in place.items() if h in addresses and states[t] == "running"]

    def _again(self, trial: str, began: float, victim: Machine | None) -> float:
        """When a trial was heard of again: trained elsewhere, or, without a victim, reported."""
        found: list[float] = []

        def look() -> bool:
            if victim is None:
                found[:] = [at for at in _reported(self.folder, trial) if at > began + 8.0]
            else:
                found[:] = [line["at"] for line in self._begun(victim, trial, began)]
            found.extend(_ended(self.folder, trial, began))
            return bool(found)

        until(look, 150, f"{trial} goes on")
        return min(found)

    def _begun(self, victim: Machine, trial: str, began: float) -> list[dict[str, Any]]:
        """A trial's beginnings on other machines since a fault."""
        return [
            line
            for line in trained(self.folder)
            if line["trial"] == trial and line["point"] is None
            and line["at"] > began and line["host"] != victim.address
        ]  # fmt: skip

    def _late(self, victim: Machine, hit: list[str], began: float) -> int:
        late = 0
        for trial in hit:
            for taken in self._begun(victim, trial, began)[:1]:
                late += sum(
                    line["trial"] == trial and line["at"] > taken["at"]
                    and line["process"] != taken["process"]
                    for line in trained(self.folder)
                )  # fmt: skip
        return late

    def _noticed(self, hit: list[str], began: float) -> float | None:
        events = read_events(self.folder / JOURNAL_NAME)
        times = [_at(e) for e in events if e["kind"] == "failed" and e["trial"] in hit]
        times = [moment for moment in times if moment > began]
        return round(min(times) - began, 2) if times else None

    def _repair(self, victim: Machine, fault: str) -> None:
        if fault == "cut8":
            # TCP tries again after waits that double: cuts in quick succession would be a long one.
            time.sleep(15.0)
            if self.cluster.nodes() == 3:
                return
        victim.kill()
        victim.mend()
        # The head must have given the old node up, or there would be four for a while.
        until(lambda: self.cluster.nodes() == 2, 120, "the node is given up")
        self.cluster.join(victim)
        self.cluster.wait()


def _reported(folder: Path, trial: str) -> list[float]:
    events = read_events(folder / JOURNAL_NAME)
    return [_at(e) for e in events if e["kind"] == "reported" and e["trial"] == trial]


def _ended(folder: Path, trial: str, began: float) -> list[float]:
    """When a trial ended after all, its last report having been on its way."""
    ends = [
        _at(event)
        for event in read_events(folder / JOURNAL_NAME)
        if event["kind"] == "decided" and event["trial"] == trial and event["state"] in FINAL
    ]
    return [at for at in ends if at > began]


def _at(event: Any) -> float:
    return datetime.fromisoformat(event["time"]).timestamp()
