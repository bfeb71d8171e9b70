"""The values of a configuration that only windows of several modalities have."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from toprung.trial.config import TrialConfig

Derived = Literal["none", "norm", "norm_and_change"]
LEARNING_RATE = 1e-3
"""Where a configuration names none: weights that start from nothing bear more than tuned ones."""


@dataclass(frozen=True)
class SeriesSettings:
    """Plain numbers beside those of every model.

    Attributes:
        modality_dropout: chance of each modality of a training window to be left out; one stays.
        auxiliary_weight: of the losses of auxiliary targets beside the loss itself; 0 has none.
        jitter: standard deviation of the noise on training windows, in those of the channel.
        scaling: standard deviation of the factor around 1 on each modality of a training window.
        shift: furthest that a training window is moved in time, as a share of its length; all its
            modalities move alike.
        derived: channels that stand beside the given ones: the Euclidean ``norm`` of a modality's
            channels at each step, and the ``change`` of each from the step before.
        pretraining_epochs: passes over the training windows in which the model learns to fill in
            masked patches first; trials of one shape start from the same weights.
    """

    modality_dropout: float = 0.0
    auxiliary_weight: float = 0.0
    jitter: float = 0.0
    scaling: float = 0.0
    shift: float = 0.0
    derived: Derived = "none"
    pretraining_epochs: int = 0


def series_settings_of(config: TrialConfig) -> SeriesSettings:
    """The numbers of a configuration, defaults filled in.

    >>> series_settings_of(TrialConfig("t0001", {"jitter": 0.1}, 0)).jitter
    0.1
    """
    values = {field.name: config.values.get(field.name) for field in fields(SeriesSettings)}
    given: dict[str, Any] = {
        name: value if isinstance(value, str | int) else float(value)
        for name, value in values.items()
        if value is not None
    }
    return SeriesSettings(**given)
