"""What a cluster's nodes can hold: how many trials, and why none where it is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from toprung.core.errors import FixEnvironment

Node = Mapping[str, float]
"""What a node has, by Ray's names: ``CPU``, ``GPU``, ``memory`` in bytes."""
_ENDLESS = 1 << 20


@dataclass(frozen=True)
class Need:
    """What a trial takes of a node.

    Attributes:
        cpus: of it.
        gpus: of it; a fraction shares a GPU.
        memory: in bytes; 0 where nothing is known of it.

    >>> need = Need(cpus=2, memory=3 * 2**30)
    >>> need.trials_on({"CPU": 8, "memory": 10 * 2**30}), need.trials_on({"CPU": 1})
    (3, 0)
    """

    cpus: int = 1
    gpus: float = 0.0
    memory: int = 0

    def trials_on(self, node: Node) -> int:
        """How many trials a node holds at a time."""
        slots = int(node.get("CPU", 0.0) // self.cpus) if self.cpus else _ENDLESS
        if self.gpus:
            gpus = node.get("GPU", 0.0)
            per_gpu = int(1 / self.gpus) if self.gpus <= 1 else 0
            slots = min(slots, int(gpus) * per_gpu if per_gpu else int(gpus // self.gpus))
        # A node that does not say how much memory it has is believed to have enough.
        if self.memory and "memory" in node:
            slots = min(slots, int(node["memory"] // self.memory))
        return slots

    def bundle(self) -> dict[str, float]:
        """The same in Ray's words."""
        asked = {"CPU": float(self.cpus), "GPU": self.gpus, "memory": float(self.memory)}
        return {name: amount for name, amount in asked.items() if amount}

    @property
    def dearest(self) -> tuple[str, float]:
        """The resource that searches share fairly, and how much of it a trial takes."""
        return ("GPU", self.gpus) if self.gpus else ("CPU", float(self.cpus))


def needs_of(
    nodes: Sequence[Node],
    cpus: int,
    gpus: float | None,
    *,
    memory: int = 0,
    cpus_alone: int = 0,
) -> list[Need]:
    """What a trial takes in each of the ways in which it may run, the preferred one first.

    Args:
        nodes: that are there.
        cpus, memory: of a trial.
        gpus: of a trial; None is one where a node holds a trial with one, else none.
        cpus_alone: that a trial takes where no GPU is left for it; 0 where it must have its GPUs.

    >>> [need.gpus for need in needs_of([{"CPU": 4, "GPU": 1}], 2, None, cpus_alone=4)]
    [1.0, 0.0]
    >>> [need.gpus for need in needs_of([{"CPU": 4, "GPU": 1}], 8, None, cpus_alone=4)]
    [0.0]
    """
    if gpus is None:
        gpus = float(any(Need(cpus, 1.0, memory).trials_on(node) for node in nodes))
    needs = [Need(cpus, gpus, memory)]
    return needs + [Need(cpus_alone, 0.0, memory)] * bool(gpus and cpus_alone)


def slots_by_need(nodes: Sequence[Node], needs: Sequence[Need]) -> list[int]:
    """How many trials of each kind all nodes hold at a time, the first kinds first.

    >>> card, alone = Need(cpus=2, gpus=1.0), Need(cpus=4)
    >>> slots_by_need([{"CPU": 8, "GPU": 2}, {"CPU": 16}], [card, alone])
    [2, 5]
    """
    found = [0] * len(needs)
    for node in nodes:
        left = dict(node)
        for number, need in enumerate(needs):
            trials = need.trials_on(left)
            found[number] += trials
            for name, amount in need.bundle().items():
                left[name] = left.get(name, 0.0) - trials * amount
    return found


def count_slots(nodes: Sequence[Node], *needs: Need) -> int:
    """How many trials all nodes hold at a time.

    Args:
        nodes: of the cluster.
        needs: of a trial; more than one where it may run in several ways.

    Raises:
        FixEnvironment: none, as no node is large enough; the largest one is named.
    """
    slots = sum(slots_by_need(nodes, needs))
    if slots:
        return slots
    need = needs[0]
    largest = max(nodes, key=lambda node: _size(node, need), default={})
    has = largest.get("memory", 0.0) if need.memory else 0.0
    raise FixEnvironment(
        f"A trial asks for {_words(need.cpus, need.gpus, need.memory)}, but the largest node has "
        f"{_words(largest.get('CPU', 0), largest.get('GPU', 0), int(has))}. "
        f"Lower {_settings(need)}, or join a larger node."
    )


def _size(node: Node, need: Need) -> tuple[float, ...]:
    """Nodes in the order of what counts for the trial."""
    cpus, gpus, memory = node.get("CPU", 0.0), node.get("GPU", 0.0), node.get("memory", 0.0)
    return (gpus, cpus, memory) if need.gpus else (cpus, memory)


def _words(cpus: float, gpus: float, memory: int) -> str:
    plain = f"{cpus:g} CPUs and {gpus:g} GPUs"
    return f"{cpus:g} CPUs, {gpus:g} GPUs and {memory / 2**30:.1f} GiB" if memory else plain


def _settings(need: Need) -> str:
    plain = "trial.cpus or trial.gpus"
    return "trial.cpus, trial.gpus or trial.memory_gib" if need.memory else plain
