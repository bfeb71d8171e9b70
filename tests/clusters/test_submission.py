"""Ray Jobs on a real cluster with a token, and a search that outlives whoever sent it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

import toprung
from toprung.search.runners._access import is_open
from toprung.trial.journal import read_events

pytestmark = pytest.mark.timeout(300)
ROOT = Path(__file__).parents[2]
CLIENT = """
import json, sys
from typer.testing import CliRunner
from toprung.cli.main import app
for line in sys.stdin:
    found = CliRunner().invoke(app, json.loads(line))
    code = getattr(found.exception, "exit_code", found.exit_code)
    said = found.output + (str(found.exception) if found.exception else "")
    print(json.dumps({"code": code, "said": said}), flush=True)
"""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass
class Head:
    """A Ray of its own on this machine.

    Attributes:
        url: of its dashboard.
        gcs: host:port of its head.
        home: folder with its token.
        env: that reaches it.
        pid: of its first process.
    """

    url: str
    gcs: str
    home: Path
    env: dict[str, str]
    pid: int

    @property
    def token(self) -> Path:
        return self.home / ".ray" / "auth_token"

    def without(self, **changed: str) -> dict[str, str]:
        """The environment of somebody else."""
        bare = {k: v for k, v in self.env.items() if not k.startswith("RAY_AUTH")}
        return {**bare, "HOME": str(self.home / "nobody"), **changed}


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    """``bash clusters/this_machine.sh``, on ports of its own; only its own processes are ended."""
    with tempfile.TemporaryDirectory(prefix="tr-", ignore_cleanup_errors=True) as folder:
        home, ports = Path(folder), (free_port(), free_port())
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        env = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
        env |= {"HOME": str(home), "PATH": path, "RAY_AUTH_MODE": "token"}
        env |= {"TOPRUNG_GCS_PORT": str(ports[0]), "TOPRUNG_DASHBOARD_PORT": str(ports[1])}
        source = str(Path(toprung.__file__).parents[1])
        env |= {"PYTHONPATH": os.pathsep.join([source, os.environ.get("PYTHONPATH", "")])}
        words = ["bash", str(ROOT / "clusters" / "this_machine.sh"), "--num-cpus=2"]
        words += [f"--temp-dir={home}/ray", "--object-store-memory=80000000"]
        # Ray's defaults for these may be taken by a Ray of another test.
        words += [f"--dashboard-agent-listen-port={free_port()}"]
        words += [f"--ray-client-server-port={free_port()}"]
        process = subprocess.Popen(
            words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        url = f"http://127.0.0.1:{ports[1]}"
        try:
            until(lambda: asked(url) == 401 or process.poll() is not None, "the dashboard is up")
            assert process.poll() is None, "Ray has not started"
            yield Head(url, f"127.0.0.1:{ports[0]}", home, env, process.pid)
        finally:
            own = []
            if process.poll() is None:
                own = psutil.Process(process.pid).children(recursive=True)
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=3)
            for one in [process, *own]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
            process.wait()


def asked(url: str, method: str = "GET", path: str = "/api/version") -> int:
    try:
        request = urllib.request.Request(url + path, method=method)
        with urllib.request.urlopen(request, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def until(holds: Callable[[], Any], what: str, seconds: float = 120) -> None:
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, f"not within {seconds} s: {what}"
        time.sleep(0.2)


def knock(url: str, env: dict[str, str]) -> str:
    """What the client says who comes with this environment."""
    code = "import sys; from toprung.search.servers.ray_jobs import RayJobs\n"
    code += "try: RayJobs(url=sys.argv[1]); print('in')\n"
    code += "except Exception as error: print(type(error).__name__, error)"
    words = [sys.executable, "-c", code, url]
    return subprocess.run(words, env=env, capture_output=True, text=True, check=True).stdout


def test_every_door_of_the_dashboard_asks_for_the_token(head: Head) -> None:
    doors = [("GET", "/api/version"), ("GET", "/api/jobs/"), ("POST", "/api/jobs/"),
             ("DELETE", "/api/jobs/x"), ("GET", "/nodes?view=summary")]  # fmt: skip
    assert {asked(head.url, method, path) for method, path in doors} == {401}


def test_the_token_file_is_its_users_alone(head: Head) -> None:
    assert head.token.stat().st_mode & 0o777 == 0o600
    for process in processes(head):
        assert head.token.read_text() not in " ".join(process.cmdline())


def test_without_the_token_nobody_comes_in(head: Head) -> None:
    said = knock(head.url, head.without())
    assert said.startswith("FixEnvironment The cluster at")
    assert "asks for a token. Set RAY_AUTH_MODE=token" in said


def test_with_a_wrong_token_nobody_comes_in(head: Head) -> None:
    wrong = "0" * 64
    said = knock(head.url, head.without(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=wrong))
    assert said.startswith("FixEnvironment The cluster at")
    assert "refuses the token" in said
    assert wrong not in said


def test_a_driver_with_a_wrong_token_or_none_is_turned_away_in_words(head: Head) -> None:
    code = "import sys; from toprung.search.runners._connection import connect\n"
    code += "try: connect(sys.argv[1], trusts_open=False)\n"
    code += "except Exception as error: print(type(error).__name__, error)"
    for env in (
        head.without(RAY_AUTH_MODE="disabled"),
        head.without(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN="0" * 64),
    ):
        words = [sys.executable, "-c", code, head.gcs]
        said = subprocess.run(words, env=env, capture_output=True, text=True, check=True).stdout
        assert said.startswith("FixEnvironment The Ray cluster at")
        assert "refuses this driver's token" in said


def test_a_cluster_with_a_token_is_not_taken_for_an_open_one(head: Head) -> None:
    assert not is_open(head.gcs)


def processes(head: Head) -> list[psutil.Process]:
    first = psutil.Process(head.pid)
    return [first, *first.children(recursive=True)]


def test_no_port_listens_to_the_network_but_those_of_the_readme(head: Head) -> None:
    readme = (ROOT / "clusters" / "README.md").read_text(encoding="utf-8")
    found = set()
    for process in processes(head):
        for connection in process.net_connections(kind="tcp"):
            host = connection.laddr.ip
            if connection.status == psutil.CONN_LISTEN and host not in ("127.0.0.1", "::1"):
                found.add(re.sub(r"(ray::|python).*", r"\1", process.name()))
    told = re.search(r"these processes listen to the network.*?: (.*?)\.", readme, flags=re.S)
    assert told is not None
    assert found <= set(re.findall(r"`([^`]+)`", told[1])), found


def make_spec(folder: Path, name: str, trials: int) -> Path:
    tree = {
        "name": name,
        "task": "single_label",
        "data": {"corpus": {"tickets": {"rows": 600}}, "train_rows": 192},
        "space": {
            "backbone": {"minilm": {"depth": 1}},
            "adapter": {"lora": {"rank": [2, 4]}, "frozen": {}},
            "learning_rate": {"float": [1e-3, 1e-2], "log": True},
            "batch_size": 16,
            "max_length": 16,
        },
        "metric": "macro_f1",
        "scheduler": {"asha": {"reduction_factor": 2}},
        "searcher": "random",
        "resource": {"unit": "examples", "min": 64, "max": 128},
        "budget": {"trials": trials},
        "trial": {"precision": "float32", "cpus": 2},
        "baselines": ["majority"],
        "ensemble": {"uniform": {"members": 1, "candidates": 1}},
        "seed": 7,
    }
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps(tree), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def client(head: Head) -> Iterator[Callable[..., tuple[int, str]]]:
    """A command line somewhere else, with the token."""
    with subprocess.Popen(
        [sys.executable, "-c", CLIENT],
        env={**head.env, "RAY_AUTH_TOKEN_PATH": str(head.token)},
        cwd=head.home,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        out, answers = process.stdin, process.stdout

        def run(*words: object) -> tuple[int, str]:
            out.write(json.dumps([*map(str, words)]) + "\n")
            out.flush()
            found = json.loads(answers.readline())
            return found["code"], found["said"]

        yield run
        out.close()


def test_a_search_is_sent_stopped_and_gone_on_with_from_anywhere(
    head: Head, client: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    results, at = tmp_path / "shared", ("--address", head.url)
    spec = make_spec(tmp_path, "sent", 12)
    code, said = client("search", spec, *at, "--results", results, "--detach")
    assert code == 0, said
    for verb in ("status", "logs", "stop", "resume"):
        assert f"toprung {verb} sent --address {head.url}" in said
    journal = results / "sent" / "journal.jsonl"
    until(lambda: journal.exists() and "decided" in journal.read_text(), "the search decides")
    code, said = client("search", spec, *at, "--results", results, "--detach")
    assert (code, "is at work already" in said) == (0, True)
    code, said = client("status", "sent", *at, "--json")
    assert (code, json.loads(said)["state"]) == (0, "running")
    code, said = client("stop", "sent", *at)
    assert (code, "pauses" in said) == (0, True)
    until(lambda: "interrupted" in journal.read_text(), "the search has paused")

    def state() -> Any:
        return json.loads(client("status", "sent", *at, "--json")[1])["state"]

    until(lambda: state() == "stopped", "the job has ended")
    assert not any(event["kind"] == "closed" for event in read_events(journal))
    code, said = client("logs", "sent", *at)
    assert (code, "t0001" in said) == (0, True)
    # Followed to its end, without naming the results: the cluster knows where they are.
    code, said = client("resume", "sent", "--address", head.url)
    assert code == 0, said
    assert "ensemble" in said
    events = read_events(journal)
    assert [event["kind"] for event in events].count("closed") == 1
    assert len({event["trial"] for event in events if event["kind"] == "suggested"}) >= 12
    assert head.token.read_text() not in journal.read_text() + said


def test_what_only_this_machine_sees_is_not_sent(
    head: Head, client: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    (tmp_path / "rows.jsonl").write_text('{"text": "late", "label": "a"}\n' * 9)
    spec = make_spec(tmp_path, "local", 2)
    tree = json.loads(spec.read_text())
    spec.write_text(json.dumps({**tree, "data": {"train": "rows.jsonl"}}))
    code, said = client("search", spec, "--address", head.url)
    assert code == 2
    assert "--results" in said
    assert "data.train=/shared/rows.jsonl" in said


def test_a_cluster_without_the_search_says_which_it_has(
    head: Head, client: Callable[..., tuple[int, str]]
) -> None:
    for verb in ("status", "logs", "stop", "resume"):
        code, said = client(verb, "nosuch", "--address", head.url)
        assert code == 2
        assert "no search of this name on the cluster" in said


def test_a_file_whose_cluster_does_not_answer_prints_the_commands(
    client: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    spec = make_spec(tmp_path, "nowhere", 2)
    file = ROOT / "clusters" / "kuberay_cluster.yaml"
    words = ("--address", f"http://127.0.0.1:{free_port()}", "--results", "/shared")
    code, said = client("search", spec, "--cluster", file, *words)
    assert code == 3
    assert "kubectl port-forward service/toprung-head-svc 8265:8265" in said
    assert "No Ray cluster answers" in said
