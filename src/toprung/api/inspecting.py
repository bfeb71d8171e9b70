"""What the data of a spec is like: counts, lengths, truncation, leaks."""

from __future__ import annotations

from toprung.core.later import later
from toprung.data import tasks
from toprung.data.check import DataReport, check_dataset
from toprung.data.check_series import check_series
from toprung.learn.settings import Settings
from toprung.spec.spec import SearchSpec
from toprung.trial.space import Choice, Int, Parameter

load, tokens = later("toprung.learn.backbone.load"), later("toprung.learn.tokens")


def inspect_data(spec: SearchSpec) -> DataReport:
    """Counts the rows of a spec's data; of texts, with tokens of the space's first backbone.

    Raises:
        FixData: the data cannot be used; all problems are told.
        FixEnvironment: the backbone's tokenizer cannot be had.
    """
    if tasks.registry.get(spec.task).reads == "series":
        return check_series(spec.data, spec.seed)
    card = next(iter(spec.cards.values()))
    count = tokens.count_tokens(load.load_backbone(card).tokenizer)
    # What a trial reads where the space says nothing; never more than the backbone can.
    asked = _largest(spec.space.parameters.get("max_length"), Settings().max_length)
    return check_dataset(spec.data, spec.seed, count, min(asked, card.max_length))


def _largest(parameter: Parameter | None, fallback: int) -> int:
    """The longest text, in tokens, that any trial of the space reads."""
    if isinstance(parameter, Int):
        return parameter.high
    if isinstance(parameter, Choice):
        return max(int(str(value)) for value in parameter.values)
    return fallback
