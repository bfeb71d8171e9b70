"""Who may reach a cluster: what answers at an address, and what a token file is like."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from toprung.core.errors import FixEnvironment
from toprung.search import servers
from toprung.search.runners import _access as access

Serve = Callable[[str, int, bytes], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server that always gives the same answer; its address."""
    running: list[ThreadingHTTPServer] = []

    def start(host: str, code: int, body: bytes) -> str:
        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(code)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *words: object) -> None:
                pass

        server = ThreadingHTTPServer((host, 0), Answer)
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        running.append(server)
        return f"http://{host}:{server.server_address[1]}"

    yield start
    for server in running:
        server.shutdown()


def own_address() -> str:
    """An address of this machine that is not loopback; "" where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        try:
            door.connect(("192.0.2.1", 9))  # nothing is sent
        except OSError:
            return ""
        return str(door.getsockname()[0])


RAY = b'{"version": "4", "ray_version": "2.60.0"}'


@pytest.mark.parametrize("code", [401, 403])
def test_a_cluster_that_asks_for_a_token_is_told_from_an_open_one(serve: Serve, code: int) -> None:
    assert access.asks_for_token(serve("127.0.0.1", code, b"Unauthorized"))
    assert not access.asks_for_token(serve("127.0.0.1", 200, RAY))


@pytest.mark.parametrize(("code", "body"), [(200, b"<html>"), (404, b""), (500, RAY)])
def test_what_is_no_ray_is_called_so(serve: Serve, code: int, body: bytes) -> None:
    with pytest.raises(FixEnvironment, match="no Ray"):
        access.asks_for_token(serve("127.0.0.1", code, body))


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "http://[bad", "http://no.such.invalid:8265"]
)
def test_nothing_there_is_one_line(url: str) -> None:
    with pytest.raises(FixEnvironment, match="No Ray cluster answers"):
        access.asks_for_token(url)


@pytest.mark.skipif(not own_address(), reason="no network but loopback")
def test_an_open_cluster_on_a_network_is_refused_without_the_flag(serve: Serve) -> None:
    url = serve(own_address(), 200, RAY)
    with pytest.raises(FixEnvironment, match=r"asks for no token.*--allow-open-cluster"):
        servers.registry.make("ray_jobs", {"url": url})


@pytest.mark.parametrize(
    ("host", "closed"),
    [("127.0.0.1", True), ("127.8.9.1", True), ("[::1]", True), ("localhost", True),
     ("10.0.0.1", False), ("0.0.0.0", False), ("localhost.evil.test", False), ("", False)],
)  # fmt: skip
def test_loopback_is_this_machine_alone(host: str, closed: bool) -> None:
    assert access.is_loopback(host) == closed


def test_a_token_is_made_once_and_is_its_users_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "new" / "token"
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(file))
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    before = os.umask(0o022)
    try:
        access.make_token()
        made = file.read_text()
        access.make_token()
    finally:
        os.umask(before)
    assert file.read_text() == made
    assert len(made) == 64
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_token_file_that_others_can_read_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    file.write_text("secret")
    file.chmod(0o644)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(file))
    access.close_token_file()
    assert file.stat().st_mode & 0o777 == 0o600


def test_no_token_is_made_where_authentication_is_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    access.make_token()
    assert not (tmp_path / "token").exists()
