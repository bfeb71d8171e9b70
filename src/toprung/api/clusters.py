"""Files of native tools that describe a cluster: what they are, and the tools' own commands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from toprung.core.errors import FixSpec

Kind = Literal["by hand", "ray up", "KubeRay cluster", "KubeRay job", "Slurm"]
DASHBOARD = "http://127.0.0.1:8265"
"""Where a cluster's dashboard is reached once it is forwarded, or on its own head."""
_MOST_BYTES, _MOST_DEEP = 1 << 18, 50
_KNOWN = (
    "Known are scripts that call 'ray start', YAML for 'ray up' (cluster_name, provider), "
    "KubeRay's RayCluster and RayJob, and Slurm scripts (#SBATCH). See clusters/README.md."
)


@dataclass(frozen=True)
class ClusterFile:
    """A file that a native tool takes as it is.

    Attributes:
        path: as it was given.
        kind: what it is for.
        commands: of the native tool, each with what it does, in their order.
    """

    path: str
    kind: Kind
    commands: Sequence[tuple[str, str]]


def read_cluster(path: str) -> ClusterFile:
    """Recognises a cluster's file by what stands in it.

    Raises:
        FixSpec: there is no such file, or it describes no cluster.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        text = data.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise FixSpec(path, [f"cannot be read as a cluster's file: {reason}. {_KNOWN}"]) from None
    if len(data) > _MOST_BYTES:
        raise FixSpec(path, [f"is larger than {_MOST_BYTES:,} bytes. {_KNOWN}"])
    if re.search(r"^#SBATCH\b", text, flags=re.M):
        return ClusterFile(path, "Slurm", _slurm(shlex.quote(path)))
    documents = [] if text.startswith("#!") else _documents(path, text)
    for document in documents:
        if "cluster_name" in document and "provider" in document:
            return ClusterFile(path, "ray up", _ray_up(shlex.quote(path)))
        if str(document.get("apiVersion", "")).startswith("ray.io/"):
            return _kuberay(path, document)
    if not documents and re.search(r"^[^#\n]*\bray start\b", text, flags=re.M):
        return ClusterFile(path, "by hand", _by_hand(shlex.quote(path), "worker)" in text))
    raise FixSpec(path, [f"describes no cluster. {_KNOWN}"])


def _documents(path: str, text: str) -> list[Mapping[str, Any]]:
    try:
        _refuse_tricks(path, text)
        found = list(yaml.safe_load_all(text))
    except (yaml.YAMLError, ValueError, RecursionError):
        return []  # A script of another kind.
    return [document for document in found if isinstance(document, dict)]


def _refuse_tricks(path: str, text: str) -> None:
    """Refuses what would take long to read, before it is read."""
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent):
            raise FixSpec(path, ["has YAML aliases (*name); write the values out."])
        if depth > _MOST_DEEP:
            raise FixSpec(path, [f"is nested deeper than {_MOST_DEEP}. {_KNOWN}"])


def _kuberay(path: str, document: Mapping[str, Any]) -> ClusterFile:
    kind = str(document.get("kind"))
    if kind not in ("RayCluster", "RayJob"):
        text = f"is a {kind}, and a search needs a RayCluster or a RayJob. {_KNOWN}"
        raise FixSpec(path, [text])
    metadata = document.get("metadata")
    name = shlex.quote(str(metadata.get("name", "NAME") if isinstance(metadata, dict) else "NAME"))
    file = shlex.quote(path)
    secret = f"kubectl get secret {name} -o jsonpath={{.data.auth_token}} | base64 -d"
    start = ("kubectl apply -f " + file, "starts the cluster")
    end = (f"kubectl delete -f {file}", "ends it")
    if kind == "RayJob":
        service = f"$(kubectl get rayjob {name} -o jsonpath={{.status.rayClusterName}})-head-svc"
        forward = f"kubectl port-forward service/{service} 8265:8265"
        return ClusterFile(
            path,
            "KubeRay job",
            (
                (start[0], "starts a cluster and, on it, the search that the file itself names"),
                (forward, "brings its dashboard to this machine"),
                end,
            ),
        )
    forward = f"kubectl port-forward service/{name}-head-svc 8265:8265"
    return ClusterFile(
        path,
        "KubeRay cluster",
        (start, (secret, "prints its token"), (forward, "brings its dashboard here"), end),
    )


def _ray_up(file: str) -> Sequence[tuple[str, str]]:
    return (
        (f"ray up {file}", "starts the cluster"),
        (f"ray rsync-down {file} '~/.ray/auth_token' ~/.ray/auth_token", "fetches its token"),
        (f"ray dashboard {file}", "brings its dashboard to this machine; stays until Ctrl-C"),
        (f"ray down {file}", "ends it"),
    )


def _slurm(file: str) -> Sequence[tuple[str, str]]:
    return (
        (f"sbatch {file} SPEC", "starts a cluster of its nodes and, on it, the search"),
        ("ssh -N -L 8265:127.0.0.1:8265 FIRST_NODE", "brings its dashboard to this machine"),
        ("scancel --signal=TERM --full JOB", "pauses the search, and ends the cluster"),
    )


def _by_hand(file: str, has_workers: bool) -> Sequence[tuple[str, str]]:
    if not has_workers:
        return ((f"bash {file}", "starts it on this machine; stays until Ctrl-C"),)
    return (
        (f"bash {file} head", "on the first machine; stays until Ctrl-C"),
        (f"bash {file} worker HEAD", "on every other, with the head's address and its token"),
        ("ssh -N -L 8265:127.0.0.1:8265 HEAD", "brings the dashboard to this machine"),
    )
