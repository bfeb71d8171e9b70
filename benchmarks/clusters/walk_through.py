"""Follows "Two machines, step by step" of clusters/README.md to the letter, between namespaces.

HEAD, WORKER and the laptop are network namespaces with the addresses that the page names. Every
block is typed as it stands there, and after it the verbs that the text names: status, logs, stop,
resume, Ctrl-C. HEAD's ssh server is asyncssh, a package that toprung does not need otherwise. Needs
root, Linux, ssh and scp; leaves nothing behind.

    pip install asyncssh && python benchmarks/clusters/walk_through.py

What was typed where, and what came of it, goes into walk_through.json.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from namespaces import Machine, network
from nodes import environment, until

from toprung.trial.journal import JOURNAL_NAME, read_events

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RECORD = HERE / "walk_through.json"
SHARED, SEARCH = Path("/shared"), "quickstart"
FOLDER = SHARED / "results" / SEARCH
_SERVER = """
import asyncio, os, sys
import asyncssh

class Server(asyncssh.SSHServer):
    def connection_requested(self, host, port, *origin):
        return True

class Files(asyncssh.SFTPServer):
    def exit(self):
        self.channel.exit(0)  # scp takes its absence for an error

async def main():
    os.chdir(os.environ["HOME"])
    await asyncssh.listen("", 22, server_factory=Server, server_host_keys=[".ssh/id_ed25519"],
        authorized_client_keys=".ssh/id_ed25519.pub", sftp_factory=Files, allow_scp=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def steps() -> dict[int, tuple[str, list[str]]]:
    """Text and shell blocks of each step of the page."""
    page = (ROOT / "clusters" / "README.md").read_text(encoding="utf-8")
    part = page.partition("## Two machines, step by step")[2].partition("\n## ")[0]
    found = re.split(r"^(\d+)\. ", part, flags=re.M)[1:]
    blocks = r"^ *```sh\n(.*?)^ *```"
    return {
        int(number): (text, [textwrap.dedent(b) for b in re.findall(blocks, text, re.S | re.M)])
        for number, text in zip(found[::2], found[1::2], strict=True)
    }


class Terminal:
    """What is typed on a machine; whatever a terminal runs goes when it closes."""

    def __init__(self, machine: Machine, log: Path) -> None:
        self.machine, self.log = machine, log
        self.process: subprocess.Popen[bytes] | None = None

    def stay(self, block: str) -> None:
        """Types a block whose last command does not come back."""
        self.process = self.machine.start(["setsid", "bash", "-ec", block], log=self.log)

    def close(self, number: int = signal.SIGHUP) -> None:
        """Closes it: every process of it gets the signal, as those of a terminal's session do."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)
        self.process.wait(timeout=60)

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")


class Walk:
    """The machines, and what was typed on them so far."""

    def __init__(self, machines: list[Machine], root: Path) -> None:
        self.head, self.worker, self.laptop = machines
        self.root = root
        self.typed: list[dict[str, Any]] = []
        self.steps = steps()

    def run(self, step: int, machine: Machine, block: str) -> str:
        """Types a block on a machine and waits for its end."""
        began = time.monotonic()
        done = machine.run(["bash", "-ec", block], timeout=300)
        self.note(step, machine, block, time.monotonic() - began)
        said = done.stdout + done.stderr
        if done.returncode:
            raise SystemExit(f"step {step} on {machine.name}: {block}\n{done.returncode}: {said}")
        return said

    def stay(self, step: int, machine: Machine, block: str) -> Terminal:
        """Types a block on a machine in a terminal that stays."""
        terminal = Terminal(machine, self.root / f"{machine.name}-{len(self.typed)}.log")
        terminal.stay(block)
        self.note(step, machine, block, None)
        return terminal

    def note(self, step: int, machine: Machine, block: str, seconds: float | None) -> None:
        print(f"{step} {machine.name}: {block.strip()}", flush=True)
        line: dict[str, Any] = {"step": step, "on": machine.name, "typed": block.strip()}
        self.typed.append(line | ({} if seconds is None else {"seconds": round(seconds, 1)}))

    def _told(self, machine: Machine, command: str) -> str:
        """What a command says, which is not of the walk."""
        return machine.run(["bash", "-c", command]).stdout

    def nodes(self) -> int:
        """How many nodes HEAD sees."""
        command = "ray list nodes --filter state=ALIVE --format json 2>/dev/null"
        said = self._told(self.head, f"RAY_AUTH_MODE=token {command}").strip()
        return len(json.loads(said)) if said.startswith("[") else 0

    def follow(self) -> dict[str, Any]:
        """All five steps; what they led to."""
        self._install_and_start()
        first = self._send_and_close()
        self._reach_again()
        return {**first, **self._take_out()}

    def _install_and_start(self) -> None:
        command = re.findall(r"`(pip install [^`]+)`", self.steps[1][0])[0]
        for machine in (self.head, self.worker):
            self.run(1, machine, command)
        self.stay(2, self.head, self.steps[2][1][0])
        until(lambda: self.nodes() == 1, 90, "HEAD is up")
        assert oct((self.head.home / ".ray" / "auth_token").stat().st_mode)[-3:] == "600"
        self.workers = self.stay(3, self.worker, self.steps[3][1][0])
        until(lambda: self.nodes() == 2, 90, "WORKER has joined")

    def _send_and_close(self) -> dict[str, Any]:
        fetch = self.steps[3][1][0].splitlines()[0]
        self.run(4, self.laptop, fetch)
        began = time.time()
        terminal = self.stay(4, self.laptop, self.steps[4][1][0])
        until(lambda: len(_kinds("reported")) >= 2, 240, "the search trains")
        report = time.time() - began
        until(lambda: "t0001" in terminal.said(), 60, "the terminal shows it")
        terminal.close()
        before = len(_kinds("reported"))
        until(lambda: len(_kinds("reported")) > before, 120, "it goes on without the terminal")
        return {"seconds_to_second_report": round(report, 1)}

    def _reach_again(self) -> None:
        tunnel, token = self.steps[4][1][0].splitlines()[:2]
        self.stay(4, self.laptop, f"{tunnel}\nwait")
        at = "--address http://127.0.0.1:8265"
        ask = f"{token}; toprung"
        until(lambda: b"8265" in _listening(self.laptop), 30, "the tunnel stands")
        assert "running" in self.run(4, self.laptop, f"{ask} status {SEARCH} {at}").lower()
        logs = self.stay(4, self.laptop, f"{ask} logs {SEARCH} {at} --follow")
        until(lambda: "t0001" in logs.said(), 60, "the log is shown")
        self.run(4, self.laptop, f"{ask} stop {SEARCH} {at}")
        logs.close()
        here = f"toprung status {SEARCH} --results /shared/results"
        until(lambda: "paused" in self._told(self.worker, here), 120, "it is paused")
        self.run(4, self.worker, here)
        self.back = self.stay(4, self.laptop, f"{ask} resume {SEARCH} {at}")
        before = len(_kinds("reported"))
        until(lambda: len(_kinds("reported")) > before, 180, "it goes on")

    def _take_out(self) -> dict[str, Any]:
        self.note(5, self.worker, "Ctrl-C", None)
        began = time.time()
        self.workers.close(signal.SIGINT)
        until(lambda: self.nodes() == 1, 90, "WORKER is out")
        out = time.time() - began
        assert not self.worker.pids(), "something of WORKER's is left"
        assert self.back.process is not None
        assert self.back.process.wait(timeout=500) == 0
        ended = self.run(5, self.head, f"toprung status {SEARCH} --results /shared/results")
        assert "over" in ended, ended
        return {"seconds_until_worker_was_out": round(out, 1)}


def _kinds(kind: str) -> list[Any]:
    """The events of a kind in the search's journal."""
    file = FOLDER / JOURNAL_NAME
    return [e for e in read_events(file) if e["kind"] == kind] if file.exists() else []


def _listening(machine: Machine) -> bytes:
    return repr(machine.listening()).encode()


@contextlib.contextmanager
def people(machines: list[Machine]) -> Iterator[None]:
    """One user with a home folder a machine, an ssh key that HEAD knows, and HEAD's ssh server."""
    key = machines[0].home / ".ssh" / "id_ed25519"
    folders = [Path("/etc/netns") / machine.space for machine in machines]
    try:
        for machine, folder in zip(machines, folders, strict=True):
            # What lies there is what the namespace sees in /etc; ssh looks its user up in it.
            folder.mkdir(parents=True)
            line = f"root:x:0:0:root:{machine.home}:/bin/bash\n"
            (folder / "passwd").write_text(line, encoding="utf-8")
            machine.env = {**environment(), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
            (machine.home / ".ssh").mkdir(mode=0o700)
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
        subprocess.run(command, check=True)
        known = f"* {key.with_suffix('.pub').read_text(encoding='utf-8')}"
        for machine in machines:
            (machine.home / ".ssh" / "known_hosts").write_text(known, encoding="utf-8")
            if machine is not machines[0]:
                shutil.copy(key, machine.home / ".ssh")
        machines[0].start([sys.executable, "-c", _SERVER], log=machines[0].home / "sshd.log")
        until(lambda: b", 22," in _listening(machines[0]), 30, "HEAD's ssh server is up")
        yield
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # others may have theirs there
            folders[0].parent.rmdir()


@contextlib.contextmanager
def mount() -> Iterator[None]:
    """``/shared``, which all the machines see."""
    SHARED.mkdir()
    try:
        yield
    finally:
        shutil.rmtree(SHARED, ignore_errors=True)


def main() -> None:
    """Follows the page; exit code 1 and the reason where a step does not do what it says."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
    os.chdir(ROOT)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="toprung-walk-") as folder, mount():
        root = Path(folder)
        names = ["HEAD", "WORKER", "laptop"]
        with network(names, root / "machines") as machines, people(machines):
            walk = Walk(machines, root)
            try:
                said = walk.follow()
            except (AssertionError, SystemExit):
                _tell(root)
                raise
    said |= {"seconds": round(time.monotonic() - began, 1), "typed": walk.typed}
    RECORD.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


def _tell(root: Path) -> None:
    for log in sorted(root.glob("*.log")):
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        print(f"--- {log.name}\n{tail}", file=sys.stderr)


if __name__ == "__main__":
    main()
