"""A data set of the Hugging Face hub, by its id; asked for only where it can be reached."""

from __future__ import annotations

import os
import socket
import threading
import urllib.request
from urllib.parse import urlsplit

import datasets
from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError

from toprung.core.errors import FixData, FixEnvironment, Problem
from toprung.data.source import DataSource
from toprung.data.stores._base import Part, Store
from toprung.data.stores._columns import parts_of

_WAIT_SECONDS = 5.0


class Hub(Store):
    """The splits of a hub's data set, from the network or from the local cache."""

    def parts(self, source: DataSource) -> list[Part]:
        name = source.path or ""
        offline = constants.HF_HUB_OFFLINE or os.environ.get("HF_HUB_OFFLINE", "") in ("1", "true")
        if not offline and not _reaches(constants.ENDPOINT):
            raise FixEnvironment(_advice(name, f"no network connection to {constants.ENDPOINT}"))
        try:
            loaded = datasets.load_dataset(name, source.name, revision=source.revision)
        except datasets.exceptions.DatasetNotFoundError as error:
            text = f"{_first_line(error)} Check the id, or log in with 'hf auth login'."
            raise FixData("data.path", [Problem(name, text)]) from error
        except (ConnectionError, HfHubHTTPError) as error:
            why = "HF_HUB_OFFLINE is set and no copy is cached" if offline else _first_line(error)
            raise FixEnvironment(_advice(name, why)) from error
        except (ValueError, RuntimeError, OSError) as error:
            text = f"{_first_line(error)} See data.name and data.revision."
            raise FixData("data.path", [Problem(name, text)]) from error
        if "train" not in loaded:
            text = f"no split train. Known: {', '.join(map(str, loaded))}."
            raise FixData("data.path", [Problem(name, text)])
        return parts_of({str(key): value for key, value in loaded.items()}, name, source)


def _advice(name: str, why: str) -> str:
    return (
        f"data.path: the data set '{name}' cannot be loaded from the hub: {why}. "
        f"Either run once with a network, or on another machine run\n"
        f"  python -c \"import datasets; datasets.load_dataset('{name}').save_to_disk('rows')\"\n"
        "copy the folder rows here and set data.path: rows. "
        "A copy that is cached already is used with HF_HUB_OFFLINE=1."
    )


def _first_line(error: Exception) -> str:
    line = (str(error).splitlines() or [type(error).__name__])[0].strip()
    return line if line.endswith(".") else f"{line}."


def _reaches(endpoint: str) -> bool:
    """Whether a connection to the hub, or to the proxy before it, opens within seconds.

    Asked first because the hub's own client tries for half a minute where there is no network.
    It runs in a thread of its own because looking up a name knows no time limit.
    """
    proxy = urllib.request.getproxies().get(urlsplit(endpoint).scheme)
    parts = urlsplit(proxy or endpoint)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    reached = threading.Event()

    def connect() -> None:
        try:
            socket.create_connection((parts.hostname or "", port), _WAIT_SECONDS).close()
            reached.set()
        except OSError:
            pass
        finished.set()

    finished = threading.Event()
    threading.Thread(target=connect, daemon=True).start()
    finished.wait(_WAIT_SECONDS)
    return reached.is_set()
