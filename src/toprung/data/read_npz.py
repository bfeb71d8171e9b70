"""One .npz file of windows, read without pickle, and all that is wrong with it."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toprung.core.registry import nearest
from toprung.data.labels import LONGEST_NAME
from toprung.data.npz_member import DAMAGES, NotAnArray, has_odd, read_member
from toprung.data.rows import Problems
from toprung.data.series import Series

AUXILIARY = "aux_"
MODALITIES, LABEL_NAMES = "modalities", "label_names"
_NAMES_OF = "_names"
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Windows:
    """What one file holds, checked.

    Attributes:
        file: as it is named to people.
        series: the inputs.
        labels: (N,) indices into ``label_names``.
        auxiliary: further targets, (N,) int64 or float32.
        unused: names of the arrays that nothing reads.
    """

    file: str
    series: Series
    labels: NDArray[np.int64]
    label_names: tuple[str, ...]
    auxiliary: Mapping[str, NDArray[Any]]
    unused: tuple[str, ...]


def read_arrays(path: Path, problems: Problems) -> Arrays | None:
    """Every array of an archive; None, and why in ``problems``, where it cannot be read."""
    file = str(path)
    try:
        with path.open("rb") as opened:
            if opened.read(6) == b"\x93NUMPY":
                text = "one array (.npy), not an archive. Write it with numpy.savez_compressed."
                problems.add(file, text)
                return None
        archive = zipfile.ZipFile(path)
    except FileNotFoundError:
        problems.add(file, f"no such file. {_there(path)}")
    except OSError as error:
        problems.add(file, f"cannot be read: {error.strerror or error}.")
    except (zipfile.BadZipFile, *DAMAGES):
        text = "not a zip archive, so no .npz, or cut short. Write it with"
        problems.add(file, f"{text} numpy.savez_compressed, or copy it again.")
    else:
        with archive:
            return _members(archive, file, problems)
    return None


def _there(path: Path) -> str:
    found = sorted(child.name for child in path.parent.glob("*.npz"))
    return nearest(path.name, found) if found else "Its folder holds no .npz file. Correct it."


def _members(archive: zipfile.ZipFile, file: str, problems: Problems) -> Arrays | None:
    arrays: Arrays = {}
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        where = f"{file}: {name[:100]!r}" if has_odd(name) else f"{file}: {name}"
        if name in arrays:
            problems.add(where, "the archive holds this array twice. Write it again.")
            continue
        try:
            arrays[name] = read_member(archive, member)
        except NotAnArray as error:
            problems.add(where, f"{error}. Save it as numbers or text: array.astype(…).")
        except (zipfile.BadZipFile, OSError, *DAMAGES) as error:
            said = str(error)[:200]
            problems.add(where, f"the archive is damaged here ({said}). Copy or write it again.")
    return None if problems else arrays


def read_windows(path: Path, problems: Problems, *, label: str = "labels") -> Windows | None:
    """A file's inputs, labels and auxiliary targets; None, and why, where something is wrong.

    Args:
        path: of the archive.
        problems: what is found wrong is added here, each with file and array.
        label: name of the array of labels.
    """
    here = Problems()
    arrays = read_arrays(path, here)
    found = None if arrays is None else _check(arrays, str(path), here, label)
    problems.found += here.found
    return found


def _check(arrays: Arrays, file: str, problems: Problems, label: str) -> Windows | None:
    names = _texts(arrays, MODALITIES, file, problems)
    classes = _texts(arrays, LABEL_NAMES, file, problems)
    if label not in arrays:
        hint = nearest(label, sorted(arrays))
        problems.add(file, f"no array '{label}'. {hint} Name it with data.label.")
    targets = sorted(
        n
        for n in arrays
        if n.startswith(AUXILIARY) and n.removesuffix(_NAMES_OF) not in arrays.keys() - {n}
    )
    for name in names:
        if name == label or name.startswith(AUXILIARY):
            text = f"'{name}' is a target and stands in {MODALITIES}. Remove it there: what is"
            problems.add(f"{file}: {MODALITIES}", f"{text} to be predicted cannot be an input.")
        elif name not in arrays:
            hint = nearest(name, sorted(arrays))
            problems.add(file, f"no array '{name}', which {MODALITIES} names. {hint}")
    inputs = {n: arrays[n] for n in names if n in arrays and n != label and n not in targets}
    for name, array in inputs.items():
        check_modality(name, array, file, problems)
    if label in arrays:
        _check_labels(arrays[label], classes, f"{file}: {label}", problems)
    for name in targets:
        _check_target(arrays[name], f"{file}: {name}", problems)
    if not problems:
        _check_rows({**inputs, **{n: arrays[n] for n in (label, *targets)}}, label, file, problems)
    if problems:
        return None
    auxiliary = {n: arrays[n] for n in targets}
    _check_leaks(inputs, {label: arrays[label], **auxiliary}, file, problems)
    used = {*names, label, *targets, MODALITIES, LABEL_NAMES, *(t + _NAMES_OF for t in targets)}
    unused = tuple(name for name in arrays if name not in used)
    series = Series({name: np.ascontiguousarray(a) for name, a in inputs.items()})
    return Windows(file, series, arrays[label], classes, auxiliary, unused)


def _texts(arrays: Arrays, name: str, file: str, problems: Problems) -> tuple[str, ...]:
    """The distinct names that an array of text holds."""
    example = "label_names=['no', 'yes']" if name == LABEL_NAMES else "modalities=['acc', 'gyro']"
    if name not in arrays:
        problems.add(file, f"no array '{name}'. Add one with the names, such as {example}.")
        return ()
    array = arrays[name]
    if array.dtype.kind != "U" or array.ndim != 1 or not len(array):
        had = f"{array.dtype} of shape {array.shape}"
        problems.add(f"{file}: {name}", f"{had}, not a list of texts. Write such as {example}.")
        return ()
    found = tuple(str(value) for value in array)
    counts = Counter(found)
    twice = sorted(n for n in counts if counts[n] > 1 or not n.strip() or "\0" in n)
    if twice:
        named = ", ".join(repr(n[:60]) for n in twice[:20])
        text = f"{named} is empty or stands there twice. Correct it."
        problems.add(f"{file}: {name}", text)
        return ()
    long = next((n for n in found if len(n) > LONGEST_NAME), None)
    if long is not None:
        text = f"a name of {len(long):,} characters; at most {LONGEST_NAME:,} are read. Shorten it."
        problems.add(f"{file}: {name}", text)
        return ()
    return found


def check_modality(
    name: str, array: NDArray[Any], file: str, problems: Problems, *, may_lack: bool = False
) -> None:
    """Adds what is wrong with an input array.

    Args:
        name: of the modality.
        array: as it was read.
        file: that it was read from.
        problems: what is found wrong is added here.
        may_lack: whether a window of NaN alone is allowed: there the modality is missing.
    """
    where = f"{file}: {name}"
    if array.dtype != np.float32:
        text = f"{array.dtype}, not float32. Save it as array.astype('float32')."
        problems.add(where, text)
    elif array.ndim != 3 or 0 in array.shape[1:]:
        text = f"shape {array.shape}, not (windows, steps, channels). Reshape it."
        problems.add(where, text)
    else:
        lacking = np.isnan(array).all(axis=(1, 2)) if may_lack else np.zeros(len(array), bool)
        bad = np.argwhere(~np.isfinite(array) & ~lacking[:, None, None])
        if len(bad):
            row, step, channel = (int(i) for i in bad[0])
            value = array[row, step, channel]
            text = f"{len(bad):,} values are NaN or infinite, the first {value} at window {row}, "
            text += f"step {step}, channel {channel}. Fill them in, or leave those windows out."
            problems.add(where, text)


def _check_labels(
    labels: NDArray[Any], classes: tuple[str, ...], where: str, problems: Problems
) -> None:
    if labels.dtype != np.int64 or labels.ndim != 1:
        text = f"{labels.dtype} of shape {labels.shape}, not int64 of shape (windows,)."
        problems.add(where, f"{text} Save it as array.astype('int64').")
    elif classes:
        bad = np.flatnonzero((labels < 0) | (labels >= len(classes)))
        if len(bad):
            text = f"{len(bad):,} labels lie outside of 0 to {len(classes) - 1}, the first "
            text += f"{labels[bad[0]]} at window {bad[0]}. Correct them, or add to {LABEL_NAMES}."
            problems.add(where, text)


def _check_target(target: NDArray[Any], where: str, problems: Problems) -> None:
    if target.dtype not in (np.int64, np.float32) or target.ndim != 1:
        text = f"{target.dtype} of shape {target.shape}: an auxiliary target is int64 (a class) or"
        problems.add(where, f"{text} float32 (a number) of shape (windows,). Convert or rename it.")
    elif target.dtype == np.float32 and not np.isfinite(target).all():
        row = int(np.flatnonzero(~np.isfinite(target))[0])
        text = f"the value at window {row} is {target[row]}. Fill it in, or leave the window out."
        problems.add(where, text)
    elif target.dtype == np.int64 and len(target) and target.min() < 0:
        row = int(target.argmin())
        text = f"the class at window {row} is {target[row]}. Number the classes from 0."
        problems.add(where, text)


def _check_rows(
    arrays: Mapping[str, NDArray[Any]], label: str, file: str, problems: Problems
) -> None:
    rows = len(arrays[label])
    if not rows:
        problems.add(file, "no windows. Add some.")
    for name, array in arrays.items():
        if len(array) != rows:
            text = f"{len(array):,} windows, but '{label}' has {rows:,}. Save both from the same"
            problems.add(f"{file}: {name}", f"{text} rows.")


def _check_leaks(
    inputs: Mapping[str, NDArray[Any]],
    targets: Mapping[str, NDArray[Any]],
    file: str,
    problems: Problems,
) -> None:
    """Refuses a target that stands among the inputs: as one of their values in every window."""
    for target_name, target in targets.items():
        if len(target) < 2 or bool((target == target[0]).all()):
            continue
        for name, array in inputs.items():
            same = np.argwhere((array == target[:, None, None].astype(np.float32)).all(axis=0))
            for step, channel in _first(same):
                text = f"step {step}, channel {channel} equals the target '{target_name}' in "
                text += "every window. Remove it: what is to be predicted cannot be an input."
                problems.add(f"{file}: {name}", text)


def _first(places: NDArray[np.int64]) -> Iterable[tuple[int, int]]:
    return ((int(step), int(channel)) for step, channel in places[:1])
