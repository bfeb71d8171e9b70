"""A task on every node of a Ray cluster, each pinned to its node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ray
from ray.exceptions import RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from toprung.search.runners._base import T

_PATIENCE_SECONDS = 120.0


def ask_nodes(
    task: Callable[[], T], patience_seconds: float = _PATIENCE_SECONDS
) -> Mapping[str, T | BaseException]:
    """What a task answers, or raises, on each living node, by the node's name and address.

    Args:
        task: can be sent to another process; takes no share of the node.
        patience_seconds: for each node, counted from the start.
    """
    remote: Any = ray.remote(num_cpus=0, max_retries=0)(_call)
    asked: dict[str, Any] = {}
    for node in ray.nodes():
        if node["Alive"]:
            here = NodeAffinitySchedulingStrategy(node_id=node["NodeID"], soft=False)
            asked[_name(node)] = remote.options(scheduling_strategy=here).remote(task)
    ray.wait(list(asked.values()), num_returns=len(asked), timeout=patience_seconds)
    return {name: _answer(waiting) for name, waiting in asked.items()}


def _call(task: Callable[[], T]) -> T:
    return task()


def _name(node: Mapping[str, str]) -> str:
    return f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']}:{node['NodeManagerPort']})"


def _answer(waiting: Any) -> Any:
    """What has come by now.

    A node that died, hangs, or lacks this package answers with its error.
    """
    try:
        return ray.get(waiting, timeout=0.1)
    except RayTaskError as error:
        return error.cause  # What the task raised, without Ray's words around it.
    # The edge to another machine: whatever it raises is the answer.
    except Exception as error:
        return error
