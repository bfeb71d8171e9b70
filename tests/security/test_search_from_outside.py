"""A search on a local Ray, watched from outside: no secret anywhere, no port but on loopback."""

from __future__ import annotations

import os
import secrets
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

HERE = Path(__file__).parent
LOOPBACK = ("127.", "::1", "::ffff:127.")
PLANTED = {
    name: f"{name.lower()}-{secrets.token_hex(12)}"
    for name in (
        *("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"),
        *("MY_PASSWORD", "SOME_API_KEY", "DEPLOY_SECRET", "WANDB_API_KEY", "GITHUB_TOKEN"),
    )
}


@dataclass
class Watched:
    """What a search left, and what was seen of its processes while it ran."""

    results: Path
    home: Path
    session: Path
    output: str = ""
    code: int | None = None
    arguments: set[str] = field(default_factory=set)
    listeners: set[tuple[str, str]] = field(default_factory=set)
    processes: int = 0


@pytest.fixture(scope="module")
def watched(
    tmp_path_factory: pytest.TempPathFactory, write_spec: Callable[..., Path]
) -> Iterator[Watched]:
    """A search of four trials of which two fail, each quoting the tokens of the environment."""
    root = tmp_path_factory.mktemp("watched")
    home, session = root / "home", root / "ray"
    home.mkdir()
    space = {"backbone": {"minilm": {"depth": 1}}, "adapter": {"frozen": {}}, "max_length": 8}
    spec = write_spec(
        root,
        space={**space, "batch_size": 16},
        data={"corpus": {"tickets": {"rows": 600}}, "train_rows": 64},
        resource={"unit": "examples", "min": 32, "max": 64},
        budget={"trials": 4},
        baselines=["majority"],
        ensemble={"uniform": {"members": 1, "candidates": 1}},
    )
    environment = {name: value for name, value in os.environ.items() if "RAY_AUTH" not in name}
    link = _short(session)
    environment |= {**PLANTED, "HOME": str(home), "RAY_TMPDIR": str(link)}
    environment["PYTHONPATH"] = os.pathsep.join([str(HERE), *sys.path])
    found = Watched(root / "results", home, session)
    command = [sys.executable, str(HERE / "leaky_search.py"), str(spec), str(found.results), "ray"]
    with (root / "output").open("w+") as output:
        process = psutil.Popen(
            command, env=environment, stdout=output, stderr=subprocess.STDOUT, cwd=root, umask=0o022
        )
        while process.poll() is None:
            _look(process, found)
            time.sleep(0.3)
        output.seek(0)
        found.output, found.code = output.read(), process.returncode
    yield found
    link.unlink()


def _short(folder: Path) -> Path:
    """Ray's sockets lie there, and a socket's path is short."""
    folder.mkdir()
    link = Path("/tmp") / f"tr-{os.getpid()}-{secrets.token_hex(3)}"
    link.symlink_to(folder)
    return link


def _look(process: psutil.Popen, found: Watched) -> None:
    family = [process, *_children(process)]
    found.processes = max(found.processes, len(family))
    for one in family:
        try:
            found.arguments.add(" ".join(one.cmdline()))
            for connection in one.net_connections(kind="tcp"):
                if connection.status == psutil.CONN_LISTEN:
                    found.listeners.add((one.name(), connection.laddr.ip))
        except psutil.Error:
            continue


def _children(process: psutil.Popen) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.Error:
        return []


def files(*folders: Path) -> Iterator[Path]:
    for folder in folders:
        yield from (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def test_the_search_ran_and_its_trials_failed_as_planned(watched: Watched) -> None:
    assert watched.code == 0, watched.output
    journal = (watched.results / "tiny" / "journal.jsonl").read_text()
    assert "401 for [HF_TOKEN] [AWS_SECRET_ACCESS_KEY] [MY_PASSWORD]" in journal
    assert "https://x:[HF_TOKEN]@example.org" in journal
    assert watched.processes > 3


def test_no_secret_is_in_any_file_that_the_search_or_ray_left(watched: Watched) -> None:
    seen = 0
    for path in files(watched.results, watched.session, watched.home):
        data = path.read_bytes()
        seen += 1
        for name, value in PLANTED.items():
            assert value.encode() not in data, f"{name} is in {path}"
    assert seen > 30


def test_no_secret_is_in_the_output_or_in_the_arguments_of_a_process(watched: Watched) -> None:
    token = (watched.home / ".ray" / "auth_token").read_text()
    for name, value in {**PLANTED, "Ray's token": token}.items():
        assert value not in watched.output, name
        assert not [line for line in watched.arguments if value in line], name


def test_every_port_of_a_local_search_is_on_loopback(watched: Watched) -> None:
    assert watched.listeners
    elsewhere = {found for found in watched.listeners if not found[1].startswith(LOOPBACK)}
    assert not elsewhere


def test_rays_token_is_for_its_owner_alone(watched: Watched) -> None:
    file = watched.home / ".ray" / "auth_token"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_what_a_search_leaves_is_for_its_owner_alone(watched: Watched) -> None:
    for name in ("tiny", ".cache"):
        assert stat.S_IMODE((watched.results / name).stat().st_mode) == 0o700
