"""A search on an S3-compatible server: killed, gone on with elsewhere, read from anywhere."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from toprung.api import Search
from toprung.api.opening import Settings
from toprung.storage import lease
from toprung.storage.store import Store, open_store

pytest.importorskip("s3fs", reason="pip install 'toprung[s3]'")
server = pytest.importorskip("moto.server", reason="pip install 'moto[s3]' flask flask-cors")
boto3 = pytest.importorskip("boto3")

URL = "s3://searches/team"
SECRET = "hush-hush-canary-secret"


def give_access(patch: pytest.MonkeyPatch, address: str) -> None:
    patch.setenv("AWS_ENDPOINT_URL", address)
    patch.setenv("AWS_ACCESS_KEY_ID", "toprung")
    patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """A server with a bucket, and the environment that leads there."""
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        give_access(patch, f"http://{host}:{port}")
        boto3.client("s3").create_bucket(Bucket="searches")
        yield f"http://{host}:{port}"
    running.stop()


def lines_of(store: Store) -> list[dict[str, Any]]:
    """Every event that the storage has."""
    found = store.get_all(key for key in store.sizes("journal") if "upto" not in key)
    return [json.loads(line) for key in sorted(found) for line in found[key].splitlines()[1:]]


def start(*words: str, stderr: IO[bytes] | int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "toprung.cli.main", *words]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr)


def wait_for(store: Store, kind: str, number: int, process: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + 200
    while sum(event["kind"] == kind for event in lines_of(store)) < number:
        assert process.poll() is None, "the search ended before it was killed"
        assert time.monotonic() < ends
        time.sleep(0.2)


def told(search: Search) -> list[tuple[object, ...]]:
    return [
        (row.rank, row.trial, row.score, row.resource, row.state, row.reason)
        for row in search.rows()
    ]


def test_a_killed_search_is_gone_on_with_from_another_directory(
    s3: str,
    finished: Search,
    tmp_path: Path,
    move_to: Callable[[str], Path],
    write_spec: Callable[..., Path],
    toprung: Callable[..., Any],
) -> None:
    spec = write_spec(tmp_path)
    move_to("first")
    store = open_store(URL).below("tiny")
    process = start("search", str(spec), "--runner", "inline", "--results", URL)
    try:
        wait_for(store, "decided", 2, process)
    finally:
        process.kill()
        process.wait()
    assert "closed" not in {event["kind"] for event in lines_of(store)}

    move_to("second")
    answer = toprung("resume", f"{URL}/tiny", "--runner", "inline")
    assert answer.code == 0, answer.err
    assert f"toprung predict {URL}/tiny rows.jsonl" in answer.out
    move_to("third")
    again = Search.attach(f"{URL}/tiny", Settings("inline"))
    assert told(again) == told(finished)
    one, other = (
        json.loads((search.folder.ensemble / "ensemble.json").read_text())
        for search in (again, finished)
    )
    assert one == other
    reports = [(e["trial"], e["resource"]) for e in lines_of(store) if e["kind"] == "reported"]
    assert len(reports) == len(set(reports))

    board = toprung("board", "tiny", "--results", URL, "--json")
    assert [row["trial"] for row in json.loads(board.out)] == [row.trial for row in again.rows()]
    Path("rows.jsonl").write_text('{"text": "my parcel is late"}\n')
    labelled = toprung("predict", f"{URL}/tiny", "rows.jsonl")
    assert json.loads(labelled.out)["label"] == finished.predict(["my parcel is late"])[0]
    assert toprung("report", f"{URL}/tiny").code == 0
    assert store.has("report.html")
    found = store.get_all(store.sizes())
    assert not [key for key, data in found.items() if SECRET.encode() in data]
    for path in tmp_path.rglob("*"):
        assert not (path.is_file() and SECRET.encode() in path.read_bytes()), path


def test_a_search_waits_while_its_storage_does_not_answer_and_ends_as_if_it_had(
    finished: Search,
    tmp_path: Path,
    move_to: Callable[[str], Path],
    write_spec: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    give_access(monkeypatch, f"http://{host}:{port}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")  # Else its library tries for half a minute.
    boto3.client("s3").create_bucket(Bucket="searches")
    spec, where = write_spec(tmp_path, name="away"), move_to("first")
    store = open_store(URL).below("away")
    with (where / "said").open("wb") as said:
        process = start("search", str(spec), "--runner", "inline", "--results", URL, stderr=said)
        try:
            wait_for(store, "decided", 2, process)
            running.stop()
            ends = time.monotonic() + 200
            while b"paused: " not in (where / "said").read_bytes():
                assert process.poll() is None
                assert time.monotonic() < ends
                time.sleep(0.2)
            running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
            running.start()
            began = time.monotonic()
            while b"the search goes on, after" not in (where / "said").read_bytes():
                assert time.monotonic() < ends
                time.sleep(0.1)
            record_property("recovery_seconds", time.monotonic() - began)
            assert process.wait(timeout=200) == 0, (where / "said").read_text()
        finally:
            process.kill()
            process.wait()
    words = (where / "said").read_text()
    assert f"toprung resume {URL}/away" in words
    move_to("second")
    assert told(Search.attach(f"{URL}/away")) == told(finished)
    events = lines_of(store)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert "failed" not in {event["kind"] for event in events}
    running.stop()


def test_a_driver_that_slept_is_followed_and_stops_when_it_wakes(
    s3: str,
    tmp_path: Path,
    move_to: Callable[[str], Path],
    write_spec: Callable[..., Path],
    toprung: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = write_spec(tmp_path, name="slept", budget={"trials": 24})
    # The one that sleeps gives no sign of life however long it is waited for.
    monkeypatch.setattr(lease, "PATIENCE_SECONDS", 1.0)
    move_to("first")
    store = open_store(URL).below("slept")
    process = start("search", str(spec), "--runner", "virtual", "--results", URL)
    try:
        wait_for(store, "decided", 5, process)
        os.kill(process.pid, signal.SIGSTOP)
        before = len(lines_of(store))
        move_to("second")
        answer = toprung("resume", f"{URL}/slept", "--runner", "virtual")
        assert answer.code == 0, answer.err
        ended = lines_of(store)
        assert len(ended) > before
        os.kill(process.pid, signal.SIGCONT)
        assert process.wait(timeout=60) == 3
    finally:
        process.kill()
        process.wait()
    assert lines_of(store) == ended
    assert [event["seq"] for event in ended] == list(range(1, len(ended) + 1))
    assert {event["epoch"] for event in ended} == {1, 2}


@pytest.mark.parametrize(
    ("results", "words"),
    [
        ("s3://no-such-bucket/team", "cannot be written"),
        ("s3://key:secret@searches/team", "holds a password"),
    ],
)
def test_a_place_that_cannot_be_used_is_one_clear_error(
    s3: str,
    tmp_path: Path,
    write_spec: Callable[..., Path],
    toprung: Callable[..., Any],
    *,
    results: str,
    words: str,
) -> None:
    answer = toprung("search", write_spec(tmp_path), "--runner", "inline", "--results", results)
    assert answer.code == 2
    assert words in answer.err
    assert "Traceback" not in answer.err
    assert "secret" not in answer.err
