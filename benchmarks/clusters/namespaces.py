"""Machines of their own on one machine: network namespaces, joined by a switch; needs root.

Each has an address, a loopback, a home folder and a /tmp/ray of its own; the rest of the file
system is shared, as a mount would be. All of it is gone when the block ends, and what a killed run
left goes with the next.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

SUBNET = "10.0.0"  # as in the walk-through; the switch joins nothing but these machines
_PREFIX = "toprung"
NO_MORE: Mapping[str, str] = MappingProxyType({})


@dataclass
class Machine:
    """One of them.

    Attributes:
        name: for people.
        space: of the network.
        address: in the network.
        port: of the switch that its cable is in.
        home: its own folder.
        switch: namespace of the switch.
    """

    name: str
    space: str
    address: str
    port: str
    home: Path
    switch: str
    env: dict[str, str] = field(default_factory=dict)

    def start(
        self, command: Sequence[str], *, log: Path | None = None, env: Mapping[str, str] = NO_MORE
    ) -> subprocess.Popen[bytes]:
        """Runs a command on it."""
        out = subprocess.DEVNULL if log is None else log.open("ab")
        return subprocess.Popen(
            self._inside(command),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**os.environ, "HOME": str(self.home), **self.env, **env},
        )

    def run(
        self, command: Sequence[str], *, env: Mapping[str, str] = NO_MORE, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command on it to its end."""
        variables = {**os.environ, "HOME": str(self.home), **self.env, **env}
        return subprocess.run(
            self._inside(command),
            env=variables,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def _inside(self, command: Sequence[str]) -> list[str]:
        ray = self.home / "ray"
        ray.mkdir(parents=True, exist_ok=True)
        script = f'mkdir -p /tmp/ray && mount --bind {ray} /tmp/ray && exec "$@"'
        return ["ip", "netns", "exec", self.space, "sh", "-c", script, "sh", *command]

    def pids(self) -> list[int]:
        """Every process on it."""
        done = subprocess.run(
            ["ip", "netns", "pids", self.space], capture_output=True, text=True, check=False
        )
        return [int(word) for word in done.stdout.split()]

    def send(self, number: int, *, but: Sequence[int] = ()) -> None:
        """Sends a signal to every process on it."""
        for pid in self.pids():
            if pid not in but:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)

    def kill(self) -> None:
        """Ends every process on it, and waits until they are gone."""
        ends = time.monotonic() + 20
        while self.pids() and time.monotonic() < ends:
            self.send(signal.SIGKILL)
            self.send(signal.SIGCONT)
            time.sleep(0.05)

    def cut(self) -> None:
        """Pulls its cable."""
        _ip("-n", self.switch, "link", "set", self.port, "down")

    def mend(self) -> None:
        """Puts its cable back."""
        _ip("-n", self.switch, "link", "set", self.port, "up")

    def listening(self) -> list[tuple[str, int, str]]:
        """Address, port and program of whatever listens on it."""
        told = subprocess.run(
            ["ip", "netns", "exec", self.space, "ss", "-ltnpH"], capture_output=True, text=True
        ).stdout
        found = []
        for line in told.splitlines():
            address, _, port = line.split()[3].rpartition(":")
            program = re.search(r'\(\("([^"]+)"', line)
            found.append((address.strip("[]"), int(port), program[1] if program else "?"))
        return sorted(found)


@contextlib.contextmanager
def network(names: Sequence[str], folder: Path) -> Iterator[list[Machine]]:
    """So many machines on one switch.

    Args:
        names: of the machines.
        folder: that their home folders are made in.
    """
    sweep()
    own = f"{_PREFIX}{os.getpid()}"
    switch = f"{own}-switch"
    machines: list[Machine] = []
    try:
        _ip("netns", "add", switch)
        _ip("-n", switch, "link", "add", "br0", "type", "bridge")
        _ip("-n", switch, "link", "set", "br0", "up")
        for number, name in enumerate(names, 1):
            space, port = f"{own}-{name}", f"port{number}"
            address = f"{SUBNET}.{number}"
            machines.append(Machine(name, space, address, port, folder / name, switch))
            _ip("netns", "add", space)
            _ip("link", "add", port, "netns", switch, "type", "veth",
                "peer", "name", "eth0", "netns", space)  # fmt: skip
            _ip("-n", switch, "link", "set", port, "master", "br0", "up")
            _ip("-n", space, "addr", "add", f"{address}/24", "dev", "eth0")
            _ip("-n", space, "link", "set", "eth0", "up")
            _ip("-n", space, "link", "set", "lo", "up")
            _ip("-n", space, "route", "add", "default", "dev", "eth0")
            machines[-1].home.mkdir(parents=True, exist_ok=True)
        yield machines
    finally:
        for machine in machines:
            machine.kill()
            shutil.rmtree(machine.home, ignore_errors=True)
        for space in [*(machine.space for machine in machines), switch]:
            subprocess.run(["ip", "netns", "del", space], capture_output=True, check=False)


def sweep() -> None:
    """Removes the networks of runs that are no more."""
    told = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout
    for space in (line.split()[0] for line in told.splitlines() if line.strip()):
        owner = re.fullmatch(rf"{_PREFIX}(\d+)-\w+", space)
        if owner and not Path(f"/proc/{owner[1]}").exists():
            Machine("", space, "", "", Path(), "").kill()
            subprocess.run(["ip", "netns", "del", space], capture_output=True, check=False)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"ip {' '.join(words)}: {done.stderr.strip()} (this needs root)")
