"""Job servers, one a file: what runs a command on a cluster when who sent it has left."""

from __future__ import annotations

from toprung.core.registry import Registry
from toprung.search.servers._base import JobServer

registry = Registry(__name__, JobServer)  # type: ignore[type-abstract]
