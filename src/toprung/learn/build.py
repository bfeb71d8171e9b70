"""What a trial is made of, whatever its rows are: model, inputs, their names."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from toprung.learn.inputs import RowInputs
from toprung.learn.model import Model
from toprung.learn.series.auxiliary import Auxiliary
from toprung.learn.settings import Settings


class Build(ABC):
    """The parts of one trial that depend on whether its rows are texts or windows.

    Attributes:
        model: on its device; there after ``make_model``.
        auxiliary: losses of further targets; None where there are none.
        settings: the configuration's plain numbers, defaults filled in.
    """

    model: Model
    settings: Settings
    auxiliary: Auxiliary | None = None

    @abstractmethod
    def make_model(self) -> None:
        """Makes the model; new weights come from torch's global generator.

        Raises:
            FixSpec: the configuration does not fit.
        """

    @abstractmethod
    def inputs(self, names: Sequence[str]) -> RowInputs:
        """Rows of splits, one after another, as they are."""

    @abstractmethod
    def training_inputs(self) -> RowInputs:
        """The rows that are trained on."""

    @abstractmethod
    def identity(self) -> list[str]:
        """Hashes of what decides the weights beside configuration and data."""

    def measure_inputs(self) -> dict[str, float]:
        """What is worth telling of the training rows, by name, in every report."""
        return {}

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps beside weights and progress; JSON values."""
        return {} if self.auxiliary is None else self.auxiliary.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from what a checkpoint kept."""
        if self.auxiliary is not None:
            self.auxiliary.restore(state)

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What a saved member needs so that it can be built again; JSON values."""
