"""The numbers that make sense for an option, by the option's name."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Limit:
    """An interval of numbers; an end is left out of it where it is ``above`` or ``below``.

    >>> Limit(0, 1, below=True).describe()
    'at least 0 and below 1'
    >>> Limit(0, 1, below=True).allows(1.0), Limit(1).allows(5)
    (False, True)
    """

    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    below: bool = False

    def allows(self, value: float) -> bool:
        """Whether the number lies in the interval."""
        over = value > self.low if self.above else value >= self.low
        under = value < self.high if self.below else value <= self.high
        return over and under

    def describe(self) -> str:
        """The interval in words; empty where every number is allowed."""
        low = f"{'above' if self.above else 'at least'} {self.low:.12g}"
        high = f"{'below' if self.below else 'at most'} {self.high:.12g}"
        parts = [low] if self.low > -math.inf else []
        parts += [high] if self.high < math.inf else []
        return " and ".join(parts)


ANY = Limit()
_SHARE = Limit(0, 1, below=True)
_INSIDE = Limit(0, 1, above=True, below=True)
_ABOVE_0 = Limit(0, above=True)
LIMITS = {
    "accumulation": Limit(1, 1024),
    "alpha": _ABOVE_0,
    "auxiliary_weight": Limit(0, 100),
    "best": Limit(0, 1000),
    "batch_size": Limit(1, 65_536),
    "beams": Limit(1, 32),
    "brackets": Limit(1, 16),
    "c": _ABOVE_0,
    "candidates": Limit(1),
    "cpus": Limit(1),
    "cpus_alone": Limit(1),
    "cycles": Limit(1),
    "disk_gib": _ABOVE_0,
    "decoder_layers": Limit(1, 256),
    "dropout": _SHARE,
    "expansion": Limit(1, 16),
    "epochs": Limit(0, 10_000, above=True),
    "factor": _INSIDE,
    "gamma": Limit(0),
    "gamma_positive": Limit(0),
    "margin": _SHARE,
    "gpus": Limit(0),
    "cache_gib": Limit(0),
    "memory_gib": _ABOVE_0,
    "heads": Limit(1, 256),
    "hidden": Limit(1, 65_536),
    "jitter": Limit(0, 10),
    "iterations": Limit(1, 10_000),
    "layer_decay": Limit(0, 1, above=True),
    "layers": Limit(1, 256),
    "length_penalty": Limit(0, 10),
    "learning_rate": Limit(0, 10, above=True),
    "max": Limit(1, 10**12),
    "max_grad_norm": _ABOVE_0,
    "max_length": Limit(8, 1 << 20),
    "max_target_length": Limit(4, 1024),
    "members": Limit(1, 1000),
    "min": Limit(1, 10**12),
    "minutes": _ABOVE_0,
    "modality_dropout": _SHARE,
    "no_repeat": Limit(0, 16),
    "patch": Limit(1, 65_536),
    "patience": Limit(1),
    "pretraining_epochs": Limit(0, 10_000),
    "rank": Limit(1, 4096),
    "recall": Limit(0, 1),
    "reduction_factor": Limit(2, 64),
    "rows": Limit(1),
    "scaling": _SHARE,
    "share": Limit(0, 1, above=True),
    "shift": _SHARE,
    "seed": Limit(0, (1 << 32) - 1),
    "seeds": Limit(1, 100),
    "smoothing": _SHARE,
    "tuning_rows": Limit(1),
    "trials": Limit(1, 100_000),
    "turns": Limit(1, 1000),
    "warmup": _SHARE,
    "warmup_steps": Limit(0),
    "weight_decay": Limit(0, 10),
    "width": Limit(1, 65_536),
}


def limit(name: str) -> Limit:
    """The limit of the option of that name; one without a limit takes every number."""
    return LIMITS.get(name, ANY)
