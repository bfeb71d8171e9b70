"""A trial on texts: backbone, tokens, and what frozen layers make of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from toprung.learn import augmenters
from toprung.learn.augmenters._base import Augmenter
from toprung.learn.backbone.load import load_backbone
from toprung.learn.build import Build
from toprung.learn.inputs import Inputs, augment, open_inputs
from toprung.learn.model import Classifier, build_model
from toprung.learn.plan import Plan
from toprung.learn.settings import card_of, choose, settings_of
from toprung.trial.config import TrialConfig


class TextBuild(Build):
    """The parts of a trial on texts.

    Attributes:
        card: of the backbone that the configuration chooses.
        depth: layers that are kept; None keeps all.
        backbone: in memory.
        model: on its device; there after ``make_model``.
        max_length: longest text in tokens, of the configuration and of the backbone.
        augmenter: of the training texts.
        fed: what is trained on; there after ``training_inputs``.

    Raises:
        FixSpec, FixEnvironment: see ``Trainer``.
    """

    model: Classifier
    fed: Inputs

    def __init__(self, plan: Plan, config: TrialConfig, device: torch.device) -> None:
        self.plan, self.config, self.device = plan, config, device
        self.card, self.depth = card_of(config, plan.cards)
        self.backbone = load_backbone(self.card, str(device))
        self.settings = settings_of(config)
        self.max_length = min(self.settings.max_length, self.card.max_length)
        self.augmenter: Augmenter = choose(augmenters.registry, config, "augmenter", "none")

    def make_model(self) -> None:
        self.model = build_model(
            self.config,
            self.backbone.encoder,
            self.card,
            depth=self.depth,
            outputs=self.plan.dataset.classes,
            precision=self.plan.precision,
        ).to(self.device)

    def inputs(self, names: Sequence[str]) -> Inputs:
        return open_inputs(self.plan, names, self.model, self.backbone, self.max_length)

    def training_inputs(self) -> Inputs:
        names = self.plan.trained_splits()
        splits = self.plan.dataset.splits
        self.fed = augment(
            self.inputs(names),
            [text for name in names for text in splits[name].texts],
            self.augmenter,
            self.config.seed,
            backbone=self.backbone,
            max_length=self.max_length,
        )
        return self.fed

    def measure_inputs(self) -> dict[str, float]:
        return {"truncated_share": float((self.fed.lengths >= self.max_length).mean())}

    def identity(self) -> list[str]:
        return [self.backbone.sha256, self.backbone.tokenizer_sha256]

    def facts(self) -> dict[str, Any]:
        return {
            "card": {**self.card.to_json(), "revision": self.backbone.revision},
            "depth": self.depth,
            "max_length": self.max_length,
            "backbone_sha256": self.backbone.sha256,
            "tokenizer_sha256": self.backbone.tokenizer_sha256,
        }
