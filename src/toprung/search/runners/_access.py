"""Who may reach a cluster: addresses, tokens, and whether a door stands open."""

from __future__ import annotations

import ipaddress
import os
import secrets
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

from toprung.core.errors import FixEnvironment

TOKEN_ADVICE = (
    "Set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN_PATH to a file with the cluster's token (mode "
    "0600; without it ~/.ray/auth_token is read)."
)
_SECONDS = 10.0
_PROBE = """
import sys
from ray._raylet import GcsClient
GcsClient(address=sys.argv[1]).internal_kv_keys(b"toprung", None, timeout=5)
"""


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine can reach an address.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("10.0.0.5")
    (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def asks_for_token(url: str) -> bool:
    """Whether a Ray dashboard refuses who brings no token.

    Raises:
        FixEnvironment: nothing answers there, or something that is no Ray.
    """
    try:
        with urllib.request.urlopen(f"{url}/api/version", timeout=_SECONDS) as answer:
            if b"ray_version" in answer.read(4096):
                return False
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            return True
        raise FixEnvironment(f"'{url}' answers with {error.code}: this is no Ray.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise FixEnvironment(f"No Ray cluster answers at '{url}': {reason}.") from None
    raise FixEnvironment(f"What answers at '{url}' is no Ray dashboard.")


def is_open(gcs: str) -> bool:
    """Whether a cluster's head lets anyone in who brings no token; asked without one.

    Args:
        gcs: the head's host:port.
    """
    bare = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    done = _ask(gcs, {**bare, "RAY_AUTH_MODE": "disabled"})
    return done is not None and done.returncode == 0


def refuses(gcs: str) -> bool:
    """Whether a cluster's head turns away who comes with the token of this environment, or none.

    Ray itself tries for twenty seconds and then says only that it could not connect.
    """
    done = _ask(gcs, dict(os.environ))
    return done is not None and (b"Unauthenticated" in done.stderr or b"AuthToken" in done.stderr)


def _ask(gcs: str, env: dict[str, str]) -> subprocess.CompletedProcess[bytes] | None:
    """What comes of a question to a head, in a process of its own; None where none answers."""
    command = [sys.executable, "-c", _PROBE, gcs]
    try:
        return subprocess.run(command, env=env, capture_output=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return None


def refuse_open(gcs: str) -> None:
    """Refuses a cluster that anyone on its network can use.

    Args:
        gcs: the head's host:port.

    Raises:
        FixEnvironment: it is open, and not on this machine alone.
    """
    host = gcs.rpartition(":")[0]
    if not is_loopback(host) and is_open(gcs):
        raise FixEnvironment(open_cluster(host))


def open_cluster(host: str) -> str:
    """Why an open cluster is refused, and what to do."""
    return (
        f"The Ray cluster at {host} asks for no token: anyone who reaches it can run code on it "
        f"and read its data. Start it with RAY_AUTH_MODE=token (clusters/README.md), or say "
        f"--allow-open-cluster where its network is closed."
    )


def token_path() -> Path:
    """Where Ray reads the token."""
    given = os.environ.get("RAY_AUTH_TOKEN_PATH")
    return Path(given) if given else Path.home() / ".ray" / "auth_token"


def close_token_file() -> None:
    """Makes the token file this user's alone; Ray itself writes it for all to read."""
    path = token_path()
    with suppress(OSError):
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)


def make_token() -> None:
    """Writes a token where a Ray of this machine will look for one and there is none."""
    if os.environ.get("RAY_AUTH_MODE", "token") != "token" or os.environ.get("RAY_AUTH_TOKEN"):
        return
    path = token_path()
    with suppress(OSError):  # Ray will write one itself, or say why it cannot.
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(number, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32))
