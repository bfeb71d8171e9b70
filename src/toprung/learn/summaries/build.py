"""A trial that writes: an encoder-decoder, cached sources, targets and their vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import torch

from toprung.learn.backbone.load import load_backbone
from toprung.learn.build import Build
from toprung.learn.inputs import open_inputs
from toprung.learn.model import Classifier
from toprung.learn.plan import Plan
from toprung.learn.settings import card_of, settings_of
from toprung.learn.summaries.beams import Decoding
from toprung.learn.summaries.decoder import begin_and_end
from toprung.learn.summaries.inputs import SummaryInputs
from toprung.learn.summaries.model import Writer, build_writer
from toprung.learn.summaries.settings import LEARNING_RATE, summary_settings_of
from toprung.learn.summaries.spelling import Spelling, learn_spelling
from toprung.learn.summaries.vocabulary import tokenize_targets, vocabulary_of
from toprung.learn.tokens import Tokens
from toprung.trial.config import TrialConfig

_MOST_OF_WARMUP = 0.9


class SummaryBuild(Build):
    """The parts of a trial that writes texts.

    Attributes:
        card: of the backbone that the configuration chooses.
        depth: layers that are kept; None keeps all.
        backbone: in memory.
        vocabulary: of the training targets.
        spelling: of their words.
        decoding: how texts are written.
        model: on its device; there after ``make_model``.

    Raises:
        FixSpec, FixEnvironment: see ``Trainer``.
    """

    model: Writer

    def __init__(self, plan: Plan, config: TrialConfig, device: torch.device) -> None:
        self.plan, self.config, self.device = plan, config, device
        self.card, self.depth = card_of(config, plan.cards)
        self.backbone = load_backbone(self.card, str(device))
        self.own = summary_settings_of(config)
        self.settings = settings_of(config, rate=LEARNING_RATE)
        self.max_length = min(self.settings.max_length, self.card.max_length)
        if self.own.warmup_steps is not None:
            share = self._share_of(self.own.warmup_steps)
            self.settings = replace(self.settings, warmup=min(_MOST_OF_WARMUP, share))
        config_of_backbone = getattr(self.backbone.encoder, "config", None)
        tokenizer = self.backbone.tokenizer
        self._ends = begin_and_end(self.card, tokenizer, config_of_backbone)
        self._trained = self._targets(plan.trained_splits())
        self.vocabulary = vocabulary_of(self._trained, *self._ends)
        self._unit = max(1.0, float(self._trained.lengths.mean()))
        self.spelling: Spelling = learn_spelling(tokenizer, self._texts(plan.trained_splits()))
        self.decoding = Decoding(
            self.own.beams,
            self.own.length_penalty,
            self.own.max_target_length - 1,
            self.own.no_repeat,
        )

    def make_model(self) -> None:
        self.model = build_writer(
            self.config,
            self.backbone.encoder,
            self.card,
            depth=self.depth,
            vocabulary=self.vocabulary,
            precision=self.plan.precision,
        ).to(self.device)

    def inputs(self, names: Sequence[str]) -> SummaryInputs:
        return self._inputs(names, self._targets(names))

    def training_inputs(self) -> SummaryInputs:
        return self._inputs(self.plan.trained_splits(), self._trained)

    def identity(self) -> list[str]:
        return [self.backbone.sha256, self.backbone.tokenizer_sha256]

    def facts(self) -> dict[str, Any]:
        return {
            "card": {**self.card.to_json(), "revision": self.backbone.revision},
            "depth": self.depth,
            "max_length": self.max_length,
            "backbone_sha256": self.backbone.sha256,
            "tokenizer_sha256": self.backbone.tokenizer_sha256,
            "vocabulary": list(self.vocabulary.kept),
            "begin": self.vocabulary.begin,
            "end": self.vocabulary.end,
            "spelling": self.spelling.to_json(),
        }

    def _inputs(self, names: Sequence[str], targets: Tokens) -> SummaryInputs:
        # The cache asks a model for its frozen layers only, which both kinds have.
        model = cast(Classifier, self.model)
        source = open_inputs(self.plan, names, model, self.backbone, self.max_length)
        return SummaryInputs(source, self.vocabulary, targets, self._unit)

    def _texts(self, names: Sequence[str]) -> list[str]:
        splits = self.plan.dataset.splits
        return [references[0] for name in names for references in splits[name].labels]

    def _targets(self, names: Sequence[str]) -> Tokens:
        most = self.own.max_target_length
        tokenizer = self.backbone.tokenizer
        return tokenize_targets(tokenizer, self._texts(names), most, *self._ends)

    def _share_of(self, steps: int) -> float:
        """Steps as a share of the largest resource."""
        resource, dataset = self.plan.resource, self.plan.dataset
        rows = sum(len(dataset.splits[name]) for name in self.plan.trained_splits())
        examples = resource.max * (rows if resource.unit == "epochs" else 1)
        return steps * self.settings.batch_size * self.settings.accumulation / examples
