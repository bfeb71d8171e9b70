"""The token of a Ray cluster: made where there is none, and readable for its owner alone."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path


def guard_token(home: Path | None = None) -> Path | None:
    """Makes sure that Ray's token file exists with mode 0600, before Ray makes one with 0644.

    Where the environment brings a token or the path of one, nothing is made; a file that the path
    names is closed to others all the same.

    Args:
        home: folder of the user.

    Returns:
        The file; None where the token stands in the environment itself, or cannot be written.
    """
    if os.environ.get("RAY_AUTH_TOKEN"):
        return None
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    file = Path(named) if named else (home or Path.home()) / ".ray" / "auth_token"
    # A home that is read-only, or a file of somebody else's: Ray says itself what it lacks.
    with suppress(OSError):
        if not named and not file.exists():
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            new = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(new, "w", encoding="ascii") as opened:
                opened.write(secrets.token_hex(32))
        if file.stat().st_mode & 0o077:
            file.chmod(0o600)
        return file
    return None
