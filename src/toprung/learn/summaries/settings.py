"""What a configuration that writes texts says beside the numbers of all trials."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from toprung.trial.config import TrialConfig

LEARNING_RATE = 5e-4


@dataclass(frozen=True)
class SummarySettings:
    """Numbers of writing; see ``Settings`` for those of training.

    Attributes:
        max_target_length: longest text that is learned and written, in tokens; longer ones are
            cut.
        beams: candidates that are pursued side by side; all that end are kept.
        length_penalty: a candidate's log-probability is divided by its length to this power.
        no_repeat: no sequence of so many tokens is written twice; 0 allows it.
        warmup_steps: steps in which the rate rises; goes before ``warmup``.
        decoder_layers: of a decoder started from the encoder's layers, every so many-th of
            which it takes; as many as these where absent.
    """

    max_target_length: int = 64
    beams: int = 4
    length_penalty: float = 1.0
    no_repeat: int = 3
    warmup_steps: int | None = None
    decoder_layers: int | None = None


def summary_settings_of(config: TrialConfig) -> SummarySettings:
    """The numbers of a configuration, defaults filled in.

    >>> summary_settings_of(TrialConfig("t0001", {"beams": 2}, 0)).beams
    2
    """
    known = {field.name for field in fields(SummarySettings)}
    given: dict[str, Any] = {name: v for name, v in config.values.items() if name in known}
    if "length_penalty" in given:
        given["length_penalty"] = float(given["length_penalty"])
    return SummarySettings(**given)
