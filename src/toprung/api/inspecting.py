"""What the data of a spec is like: counts, lengths, truncation, leaks."""

from __future__ import annotations

from toprung.data.check import DataReport, check_dataset
from toprung.learn.backbone.load import load_backbone
from toprung.spec.spec import SearchSpec
from toprung.trial.space import Choice, Int, Parameter


def inspect_data(spec: SearchSpec) -> DataReport:
    """Counts the rows of a spec's data, with tokens of the first backbone of its space.

    Raises:
        FixData: the data cannot be used; all problems are told.
        FixEnvironment: the backbone's tokenizer cannot be had.
    """
    card = next(iter(spec.cards.values()))
    tokenizer = load_backbone(card).tokenizer

    def count(texts: object) -> list[int]:
        encoded = tokenizer(list(texts), add_special_tokens=True)  # type: ignore[call-overload]
        return [len(ids) for ids in encoded["input_ids"]]

    longest = _largest(spec.space.parameters.get("max_length"), card.max_length)
    return check_dataset(spec.data, spec.seed, count, longest)


def _largest(parameter: Parameter | None, fallback: int) -> int:
    """The longest text, in tokens, that any trial of the space reads."""
    if isinstance(parameter, Int):
        return parameter.high
    if isinstance(parameter, Choice):
        return max(int(str(value)) for value in parameter.values)
    return fallback
