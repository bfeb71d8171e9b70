"""Windows to be labelled: an .npz file in which modalities may be missing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toprung.core.errors import FixData
from toprung.core.registry import nearest
from toprung.data.read_npz import check_modality, read_arrays
from toprung.data.rows import Problems
from toprung.data.series import Series, Shape


def read_unlabelled(path: Path, shapes: Mapping[str, Shape]) -> Series:
    """The windows of a file; other arrays in it, labels too, are not read.

    A modality is missing where its array is not there, and in windows that are NaN in all of it.

    Args:
        path: of the archive.
        shapes: steps and channels of each modality that a model knows.

    Raises:
        FixData: every problem, with file and array.
    """
    problems = Problems()
    arrays = read_arrays(path, problems)
    found = {name: arrays[name] for name in shapes if name in arrays} if arrays else {}
    for name, array in found.items():
        check_modality(name, array, str(path), problems, may_lack=True)
    if arrays is not None and not problems:
        _check(found, arrays, path, shapes, problems=problems)
    if problems:
        raise FixData(str(path), problems.found)
    return Series(found)


def _check(
    found: Mapping[str, NDArray[Any]],
    arrays: Mapping[str, NDArray[Any]],
    path: Path,
    shapes: Mapping[str, Shape],
    *,
    problems: Problems,
) -> None:
    if not found:
        hint = nearest(next(iter(shapes)), sorted(arrays))
        text = f"none of the modalities {', '.join(shapes)}. {hint} Name the arrays as in training."
        problems.add(str(path), text)
        return
    rows = len(next(iter(found.values())))
    for name, array in found.items():
        if array.shape[1:] != shapes[name]:
            said = "{} steps × {} channels".format
            text = f"{said(*array.shape[1:])}, but {said(*shapes[name])} in training. Cut alike."
            problems.add(f"{path}: {name}", text)
        if len(array) != rows:
            text = f"{len(array):,} windows, but '{next(iter(found))}' has {rows:,}. Save both"
            problems.add(f"{path}: {name}", f"{text} from the same rows.")
    if not problems:
        lacking = np.stack([np.isnan(a).all(axis=(1, 2)) for a in found.values()]).all(axis=0)
        if lacking.any():
            row = int(np.flatnonzero(lacking)[0])
            text = f"window {row} has none of {', '.join(shapes)}: all of it is NaN. Leave it out."
            problems.add(str(path), text)
