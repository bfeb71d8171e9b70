"""Baselines as members of an ensemble: what they learned saved as plain arrays, and loaded."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toprung.core.errors import FixEnvironment
from toprung.core.files import new_folder, read_json, write_json
from toprung.data.npz_member import DAMAGES, NotAnArray, read_member
from toprung.data.series import Content, Series
from toprung.judge.baselines._base import as_series, as_texts
from toprung.judge.baselines._plain import Windows, Words

PLAIN, LEARNED = "baseline.json", "learned.npz"
_FORMAT = 1
_FOREIGN = (OSError, AttributeError, zipfile.BadZipFile, NotAnArray, *DAMAGES)


@dataclass(frozen=True)
class PlainMember:
    """A baseline that has learned.

    Attributes:
        trial: its name, where other members have the trial's.
        label_names: of the scores, in order.
    """

    trial: str
    label_names: tuple[str, ...]
    scorer: Words | Windows

    def logits(self, content: Content) -> NDArray[np.float32]:
        """Scores of rows, (N, C) float32.

        Raises:
            TypeError: texts instead of windows, or windows instead of texts.
            ValueError: a window of another shape than in training.
        """
        if isinstance(self.scorer, Words):
            return self.scorer.logits(as_texts(content)).astype(np.float32)
        series = as_series(content)
        self._check(self.scorer, series)
        return self.scorer.logits(series.arrays).astype(np.float32)

    def _check(self, scorer: Windows, series: Series) -> None:
        for name, shape in scorer.shapes.items():
            if series.shapes.get(name, shape) != shape:
                raise ValueError(f"'{name}' is {series.shapes[name]}, not {shape} as in training")


def save_baseline(
    to: Path, name: str, learned: Mapping[str, NDArray[Any]], label_names: tuple[str, ...]
) -> None:
    """Writes ``baseline.json`` and ``learned.npz``; the folder is replaced where it exists.

    Args:
        to: folder of the member.
        name: of the baseline.
        learned: see ``Baseline``.
        label_names: of its scores.
    """
    with new_folder(to) as aside:
        np.savez(aside / LEARNED, allow_pickle=False, **learned)
        said = {"format": _FORMAT, "baseline": name, "label_names": list(label_names)}
        write_json(aside / PLAIN, said)


def load_baseline(path: Path) -> PlainMember:
    """The baseline in a folder; nothing is unpickled.

    Raises:
        FixEnvironment: a file is missing, or not as toprung wrote it.
    """
    try:
        said = read_json(path / PLAIN)
        if said["format"] != _FORMAT:
            raise ValueError(f"format {said['format']!r} is not {_FORMAT}")
        with zipfile.ZipFile(path / LEARNED) as archive:
            learned = {
                one.filename.removesuffix(".npy"): read_member(archive, one)
                for one in archive.infolist()
            }
        scorer = Words(learned) if "terms" in learned else Windows(learned)
        names = tuple(map(str, said["label_names"]))
        if scorer.outputs != len(names):
            raise ValueError(f"{scorer.outputs} scores are not those of {len(names)} labels")
        return PlainMember(str(said["baseline"]), names, scorer)
    except _FOREIGN as error:
        raise FixEnvironment(
            f"{path} is no baseline that toprung wrote ({type(error).__name__}: {error}); copy the "
            "ensemble/ folder again."
        ) from error
