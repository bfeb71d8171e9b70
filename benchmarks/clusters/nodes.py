"""A head and worker nodes of Ray, each a machine of its own, started as the walk-through says."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from namespaces import Machine

import toprung

HERE = Path(__file__).parent
SCRIPT = HERE.parents[1] / "clusters" / "by_hand.sh"
CPUS = 2
_COUNT = """
import sys
from ray._raylet import GcsClient
nodes = GcsClient(address=sys.argv[1]).get_all_node_info().values()
print(sum(node.state == 0 for node in nodes))
"""


def environment() -> dict[str, str]:
    """What every process of a node gets: this interpreter's commands, and this toprung."""
    path = f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin"
    source = str(Path(toprung.__file__).parents[1])
    return {"PATH": path, "PYTHONPATH": f"{source}:{os.environ.get('PYTHONPATH', '')}"}


class Cluster:
    """A head and two workers, as the walk-through says."""

    def __init__(self, machines: list[Machine], folder: Path) -> None:
        self.head, *self.workers = machines
        self.folder = folder
        for machine in machines:
            machine.env = environment()
        self._start(self.head, "head", self.head.address, "--", "--num-cpus=0")
        token = self.head.home / ".ray" / "auth_token"
        until(lambda: token.is_file() and token.read_text(), 60, "the head makes a token")
        self.token = token.read_text()
        until(lambda: self.nodes() == 1, 60, "the head is up")
        for machine in self.workers:
            copy = machine.home / ".ray" / "auth_token"
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(token, copy)
            self.join(machine)
        self.wait()

    def join(self, machine: Machine) -> None:
        address = self.head.address
        self._start(machine, "worker", address, machine.address, "--", f"--num-cpus={CPUS}")

    def wait(self, nodes: int = 3) -> None:
        until(lambda: self.nodes() == nodes, 90, f"{nodes} nodes are up")

    def nodes(self) -> int:
        """How many nodes are alive, as the head sees it."""
        command = [sys.executable, "-c", _COUNT, f"{self.head.address}:6379"]
        done = self.head.run(command, env={"RAY_AUTH_MODE": "token"})
        return int(done.stdout.split()[-1]) if done.returncode == 0 and done.stdout.strip() else 0

    def search(
        self, folder: Path, options: argparse.Namespace, place: Machine
    ) -> subprocess.Popen[bytes]:
        """Starts, or goes on with, a search whose driver runs on one of the machines."""
        command = [sys.executable, str(HERE / "sleeping.py"), "--folder", str(folder)]
        command += ["--address", f"{self.head.address}:6379", "--node", place.address]
        command += ["--trials", str(options.trials)]
        command += ["--workers", str(options.workers), "--seconds", str(options.seconds)]
        log = self.folder / f"{folder.name}.log"
        return place.start(command, log=log, env={"RAY_AUTH_MODE": "token"})

    def unexpected_ports(self) -> list[tuple[str, str, int, str]]:
        """What listens to the network and is not in the table of clusters/README.md."""
        text = (HERE.parents[1] / "clusters" / "README.md").read_text(encoding="utf-8")
        known = {int(port) for port in re.findall(r"^\| (\d+) \|", text, flags=re.M)} - {8265}
        return [
            (machine.name, address, port, program)
            for machine in (self.head, *self.workers)
            for address, port, program in machine.listening()
            if not address.startswith("127.")
            and address != "::1"
            and port not in known
            and not 20000 <= port <= 20999
        ]

    def _start(self, machine: Machine, *words: str) -> None:
        extra = ("--object-store-memory=80000000",)
        log = self.folder / f"{machine.name}.log"
        machine.start(["bash", str(SCRIPT), *words, *extra], log=log)


def until(holds: Callable[[], Any], seconds: float, what: str) -> float:
    """Waits until something holds; returns when, as time.time() says it."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if holds():
            return time.time()
        time.sleep(0.1)
    raise SystemExit(f"not within {seconds:.0f} s: {what}")
