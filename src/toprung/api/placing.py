"""What of a node a trial of a search is promised."""

from __future__ import annotations

from typing import Any

from toprung.api.folder import Folder
from toprung.core.files import read_json
from toprung.spec.spec import SearchSpec

_TO_SPARE = 1.25


def trial_place(spec: SearchSpec, folder: Folder) -> dict[str, Any]:
    """Options of the Ray runner that say where a trial of the search fits."""
    return {
        "cpus": spec.cpus,
        "gpus": spec.gpus,
        "memory": _memory(spec, folder),
        "cpus_alone": spec.cpus_alone or 0,
    }


def _memory(spec: SearchSpec, folder: Folder) -> int:
    """Bytes: the spec's, or those of a forecast with a quarter to spare; 0 where unknown."""
    if spec.memory_gib is not None:
        return int(spec.memory_gib * 2**30)
    try:
        said = read_json(folder.forecast)
        known = said["forecast"]["trial_memory_bytes"] if said["spec"] == spec.resolved else 0
        return int(_TO_SPARE * known)
    except (OSError, ValueError, KeyError, TypeError):
        return 0
