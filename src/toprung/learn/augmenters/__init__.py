"""Augmenters: training texts changed a little, anew in every epoch; one a file."""

from __future__ import annotations

from toprung.core.registry import Registry
from toprung.learn.augmenters._base import Augmenter

registry: Registry[Augmenter] = Registry(__name__, Augmenter)  # type: ignore[type-abstract]
