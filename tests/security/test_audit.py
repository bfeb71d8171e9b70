"""The audit of dependencies: what it finds, and that no network is no failure."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

AUDIT = Path(__file__).with_name("audit.py")
ROOT = AUDIT.parents[2]


def audit(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(AUDIT), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_make_check_audits_the_dependencies_and_finds_nothing() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    check = makefile.partition("\ncheck:")[2].partition("\n\n")[0]
    assert "tests/security/audit.py" in check
    done = audit()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no problems" in done.stdout


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("ray==2.60.0", "ray>=2.60.0", "'ray>=2.60.0' pins no package to one version"),
        ("ray==2.60.0", "ray @ https://example.org/ray.whl", "pins no package"),
        ("ray==2.60.0", "", "ray is not pinned in constraints.txt"),
        ("ray==2.60.0", "ray==2.60.0\nRAY==2.61.0", "ray is pinned twice"),
        ("ray==2.60.0", "ray==2.50.0", "ray 2.50.0 has CVE-2026-57516: take 2.56.0 or later"),
        ("msgpack==", "msgpack==0.1.", "is installed, and 0.1."),
        ("click==", "clock==", "click 8.5.1 comes along and is not pinned"),
    ],
)
def test_a_pin_that_is_none_or_old_or_missing_is_told(
    before: str, after: str, told: str, tmp_path: Path
) -> None:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert before in text
    (tmp_path / "constraints.txt").write_text(text.replace(before, after))
    done = audit("--constraints", tmp_path / "constraints.txt")
    assert done.returncode == 1
    assert told in done.stdout


@contextmanager
def answering(vulnerable: str) -> Iterator[str]:
    """A service that knows a hole of one package, as osv.dev would tell it."""

    class Osv(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
            holes = {vulnerable: {"vulns": [{"id": "GHSA-xxxx"}]}}
            results = [holes.get(query["package"]["name"], {}) for query in asked]
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"results": results}).encode())

        def log_message(self, *_: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Osv)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()


def test_a_hole_that_is_known_online_is_told() -> None:
    with answering("torch") as address:
        done = audit("--online", "--osv", address)
    assert done.returncode == 1
    assert "torch 2.13.0 has GHSA-xxxx" in done.stdout


def test_no_network_is_no_failure() -> None:
    done = audit("--online", "--osv", "http://127.0.0.1:9/")
    assert done.returncode == 0
    assert "could not be asked" in done.stdout
