"""A cluster's searches tell each other what they want, and each keeps to its share."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from toprung.core.errors import FixEnvironment
from toprung.search.runners._capacity import Need, Node, count_slots
from toprung.search.runners._desk import Desk
from toprung.search.shares import Claim, shares

NAME, NAMESPACE = "toprung-shares-1", "toprung"
BEAT_SECONDS = 1.0
_FORGET_SECONDS = 15.0
_ANSWER_SECONDS = 5.0


class Table:
    """A list of claims that lives on the cluster; who does not come again is forgotten."""

    def __init__(self) -> None:
        self._claims: dict[str, tuple[float, str]] = {}

    def claim(self, name: str, claim: str) -> list[str]:
        """Notes a claim, as JSON, and gives all that stand."""
        now = time.monotonic()
        self._claims[name] = (now, claim)
        kept = {n: c for n, c in self._claims.items() if now - c[0] < _FORGET_SECONDS}
        self._claims = kept
        return [text for _, text in kept.values()]

    def leave(self, name: str) -> None:
        """Strikes a claim out."""
        self._claims.pop(name, None)


def alive_nodes() -> list[Node]:
    """What each node has that is alive, by Ray's names."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


class Pulse:
    """Looks every second at how large the cluster is and who shares it, and tells the desk."""

    def __init__(self, needs: Sequence[Need], priority: float, most: int | None) -> None:
        """Prepares it.

        Args:
            needs: of one trial; more than one where it may run in several ways.
            priority: of this search among those on the cluster.
            most: trials at a time; so many are asked for even where there is no room for them
                yet, so that an autoscaler starts nodes. None for as many as the nodes hold.
        """
        self._needs, self._most = needs, most
        # What can do without GPUs is weighed by CPUs.
        resource, size = needs[-1].dearest
        name = ray.get_runtime_context().get_job_id()
        self._claim = Claim(name, priority, size=size, resource=resource, most=most)
        self._table: Any = None
        self._claimed: list[Claim] = []
        self._told = 0
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def slots(self, wants: int | None) -> int:
        """How many trials may train now.

        Args:
            wants: trials that there is work for; None where any number would be welcome.

        Raises:
            FixEnvironment: no node is large enough for one.
        """
        nodes = alive_nodes()
        slots = self._most or count_slots(nodes, *self._needs)
        claims = self._claims(wants)
        if len(claims) > 1:
            slots = min(slots, shares(claims, _capacity(nodes, claims))[self._claim.name])
        self._told = slots
        return slots

    def start(self, desk: Desk) -> None:
        """Begins to look, in a thread of its own."""
        self._thread = threading.Thread(target=self._beat, args=(desk,), name="shares", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Looks no more, and leaves the others this search's share."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        if self._table is not None:
            with suppress(RayError):
                self._table.leave.remote(self._claim.name)

    def _beat(self, desk: Desk) -> None:
        while not self._over.wait(BEAT_SECONDS):
            before = self._told
            # Where no node is left, or the head does not answer, what runs goes on.
            with suppress(FixEnvironment, RayError, OSError):
                if self.slots(desk.wants) != before:
                    desk.allow(self._told)

    def _claims(self, wants: int | None) -> list[Claim]:
        mine = {**asdict(self._claim), "wants": wants}
        try:
            if self._table is None:
                self._table = _find_table()
            answer = self._table.claim.remote(self._claim.name, json.dumps(mine))
            found: list[str] = ray.get(answer, timeout=_ANSWER_SECONDS)
        except (RayError, ValueError):
            self._table = None  # Its node is gone; a new one is made with the next beat.
            return self._claimed
        self._claimed = [Claim(**json.loads(text)) for text in found]
        return self._claimed


def _find_table() -> Any:
    """The cluster's one table; it is made on this node, as a rule the head, where there is none."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    made = ray.remote(num_cpus=0, max_restarts=-1)(Table)
    return made.options(
        name=NAME,
        namespace=NAMESPACE,
        lifetime="detached",
        get_if_exists=True,
        scheduling_strategy=here,
    ).remote()


def _capacity(nodes: Sequence[Node], claims: Sequence[Claim]) -> Mapping[str, float]:
    """What there is of each resource, or what autoscaled searches may have together."""
    found = {}
    for name in ("CPU", "GPU"):
        asked = sum(c.size * (c.most or 0) for c in claims if c.resource == name)
        found[name] = max(asked, sum(node.get(name, 0.0) for node in nodes))
    return found
