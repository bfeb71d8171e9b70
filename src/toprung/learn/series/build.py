"""A trial on windows: a model from nothing, standardised inputs, auxiliary losses."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from toprung.data.series import Series, join
from toprung.learn import architectures
from toprung.learn.architectures._base import Architecture
from toprung.learn.build import Build
from toprung.learn.plan import Plan
from toprung.learn.series.auxiliary import Auxiliary, measure_targets
from toprung.learn.series.inputs import SeriesInputs
from toprung.learn.series.modality import measure_modalities, standardise
from toprung.learn.series.model import WindowClassifier, build_window_model
from toprung.learn.series.pretrain import DROPOUT, Pretraining, pretrained
from toprung.learn.series.settings import LEARNING_RATE, series_settings_of
from toprung.learn.settings import choose, settings_of
from toprung.trial.config import TrialConfig


class SeriesBuild(Build):
    """The parts of a trial on windows of several modalities.

    Attributes:
        modalities: as they are in the training windows.
        model: on its device; there after ``make_model``.
    """

    model: WindowClassifier

    def __init__(self, plan: Plan, config: TrialConfig, device: torch.device) -> None:
        self.plan, self.config, self.device = plan, config, device
        self.settings = settings_of(config, rate=LEARNING_RATE)
        names = plan.trained_splits()
        self._trained = self._series(names)
        own = series_settings_of(config)
        self.modalities = measure_modalities(self._trained, own.derived)
        self._pretraining_epochs = own.pretraining_epochs
        weight = own.auxiliary_weight
        splits = [plan.dataset.splits[name] for name in names]
        known = splits[0].auxiliary if weight else {}
        arrays = {name: np.concatenate([s.auxiliary[name] for s in splits]) for name in known}
        self.auxiliary = (
            Auxiliary(measure_targets(arrays), arrays, weight, device) if arrays else None
        )

    def make_model(self) -> None:
        self.model = build_window_model(
            self.config,
            [modality.read for modality in self.modalities],
            outputs=self.plan.dataset.classes,
            auxiliary=0 if self.auxiliary is None else self.auxiliary.outputs,
            precision=self.plan.precision,
        ).to(self.device)
        if self._pretraining_epochs:
            self._pretrain()

    def _pretrain(self) -> None:
        name, options = self.config.component("backbone")
        read = [modality.to_json() for modality in self.modalities]
        pretraining = Pretraining(
            data=f"{self.plan.dataset.sha256} {self.plan.rows}",
            model=[name, options, read],
            epochs=self._pretraining_epochs,
            patches=self.model.patches,
        )
        values = [value.to(self.device) for value in standardise(self._trained, self.modalities)[0]]
        architecture: Architecture = choose(
            architectures.registry, self.config, "backbone", "transformer"
        )
        shapes = [modality.read for modality in self.modalities]
        make = partial(architecture.make, shapes, DROPOUT)
        cache = self.plan.cache / "pretrained"
        self.model.fusion.load_state_dict(pretrained(make, pretraining, values, cache))

    def inputs(self, names: Sequence[str]) -> SeriesInputs:
        return self._inputs(self._series(names))

    def training_inputs(self) -> SeriesInputs:
        return self._inputs(self._trained)

    def identity(self) -> list[str]:
        return []

    def facts(self) -> dict[str, Any]:
        return {
            "modalities": [modality.to_json() for modality in self.modalities],
            "auxiliary": [target.to_json() for target in self._targets()],
        }

    def _targets(self) -> Sequence[Any]:
        return () if self.auxiliary is None else self.auxiliary.targets

    def _inputs(self, series: Series) -> SeriesInputs:
        tokens = self.model.patches * len(self.modalities)
        return SeriesInputs(series, self.modalities, tokens, self.device)

    def _series(self, names: Sequence[str]) -> Series:
        found = [self.plan.dataset.splits[name].series for name in names]
        return join([series for series in found if series is not None])
