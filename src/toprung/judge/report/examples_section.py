"""The report's section of examples, where texts are answered: good, middling and bad ones."""

from __future__ import annotations

import numpy as np

from toprung.data.dataset import Dataset
from toprung.judge.report.markdown import escape
from toprung.judge.verdicts import Verdicts

_PLACES = (("among the best", 0.9), ("in the middle", 0.5), ("among the worst", 0.1))
_LONGEST = 1500


def tell_examples(verdicts: Verdicts, dataset: Dataset) -> list[str]:
    """Lines of the section; none where classes are answered, or the rows are not at hand."""
    split = dataset.splits.get("test")
    if verdicts.task.answers != "texts" or split is None:
        return []
    name, first = verdicts.metric.name, verdicts.first
    values = verdicts.task.row_values(name, first.logits, verdicts.labels)
    if values is None or len(values) != len(split):
        return []
    order = np.argsort(values, kind="stable")
    lines = [
        "### Examples",
        "",
        f"Rows at the 90th, 50th and 10th percentile of {escape(name)}; not hand-picked.",
        "",
    ]
    for words, share in _PLACES:
        row = int(order[round(share * (len(order) - 1))])
        lines += [f"#### Row {row + 1:,} of the test split, {words}: {values[row]:.4f}", ""]
        lines += _quote(split.texts[row])
        references = [f"- reference: {escape(text)}" for text in verdicts.labels[row]]
        lines += [*references, f"- **answer: {escape(first.logits[row][0])}**", ""]
    return lines


def _quote(text: str) -> list[str]:
    """A text as a block of quotation, its lines kept, escaped, and cut where it is long."""
    shown = text if len(text) <= _LONGEST else text[:_LONGEST] + " …"
    lines = [escape(line) for line in shown.splitlines() if line.strip()]
    return [f"> {line}  " for line in lines] + [""]
