"""Members that read windows: saved on their own, and loaded to score them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from toprung.core.errors import FixEnvironment
from toprung.data.series import Series, Shape
from toprung.learn.evaluate import predict
from toprung.learn.model import rebuild
from toprung.learn.series.auxiliary import Target
from toprung.learn.series.inputs import SeriesInputs
from toprung.learn.series.modality import Modality
from toprung.learn.series.model import WindowClassifier, build_window_model
from toprung.trial.config import TrialConfig


@dataclass(frozen=True)
class SeriesMember:
    """A trained model and all that turns windows into its scores.

    Attributes:
        trial: id.
        label_names: of the scores, in order.
        sha256: of its weights' file.
        modalities: it reads, and their scale in training.
        model: in ``eval`` mode.
    """

    trial: str
    label_names: tuple[str, ...]
    sha256: str
    modalities: tuple[Modality, ...]
    model: WindowClassifier

    @property
    def shapes(self) -> dict[str, Shape]:
        """Steps and channels of each modality."""
        return {modality.name: modality.shape for modality in self.modalities}

    def logits(self, content: Series | Sequence[str]) -> NDArray[np.float32]:
        """Scores of windows, (N, C) float32; the same windows give the same bits.

        A modality may be missing, in all windows or in some; none must lack all of them.

        Raises:
            TypeError: texts instead of windows.
            ValueError: a window without any modality, or of another shape than in training.
        """
        if not isinstance(content, Series):
            raise TypeError("this model reads windows of several modalities, not texts")
        self._check(content)
        if not len(content):
            return np.zeros((0, len(self.label_names)), dtype=np.float32)
        device = next(self.model.parameters()).device
        tokens = self.model.patches * len(self.modalities)
        return predict(self.model, SeriesInputs(content, self.modalities, tokens, device))

    def _check(self, series: Series) -> None:
        for name, shape in self.shapes.items():
            if series.shapes.get(name, shape) != shape:
                raise ValueError(f"'{name}' is {series.shapes[name]}, not {shape} as in training")
        present = np.stack([series.present(name) for name in self.shapes], axis=1)
        if not present.any(axis=1).all():
            row = int(np.flatnonzero(~present.any(axis=1))[0])
            raise ValueError(f"window {row} has none of {', '.join(self.shapes)}")


def rebuild_member(facts: Mapping[str, Any], weights: Path, device: str) -> SeriesMember:
    """The member that a trial's facts and weights describe.

    Raises:
        FixEnvironment: the weights are of another model.
    """
    modalities = tuple(Modality.from_json(value) for value in facts["modalities"])
    targets = [Target(**value) for value in facts["auxiliary"]]
    config = TrialConfig(facts["trial"], facts["values"], int(facts["seed"]))

    def make() -> WindowClassifier:
        return build_window_model(
            config,
            [modality.read for modality in modalities],
            outputs=len(facts["label_names"]),
            auxiliary=sum(target.outputs for target in targets),
            precision=facts["precision"],
        )

    try:
        model = rebuild(make, weights)
    except (OSError, SafetensorError, ValueError) as error:
        raise FixEnvironment(f"{weights}: {error}") from error
    model.requires_grad_(False)
    return SeriesMember(
        trial=str(facts["trial"]),
        label_names=tuple(facts["label_names"]),
        sha256=facts["weights_sha256"],
        modalities=modalities,
        model=model.to(device).eval(),
    )
