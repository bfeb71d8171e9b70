"""The leaderboard: every trial and baseline of a search, ranked, with cost and reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from toprung.core.files import write_csv
from toprung.core.later import later
from toprung.trial.decision import State
from toprung.trial.finding import Finding
from toprung.trial.history import BaselineRecord, History, TrialRecord
from toprung.trial.report import Metric, recalls_of
from toprung.trial.space import Scalar, Values

COLUMNS = ("rank", "trial", "score", "resource", "seconds", "state", "reason", "diagnoses")
_UNSOUND: tuple[State, ...] = ("diverged", "failed")
pandas = later("pandas")

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Row:
    """One line of the leaderboard.

    Attributes:
        trial: id, or the name of a baseline.
        score: the metric's value in the user's direction, at the best report; None without one.
        resource: reached; None for a baseline.
        seconds: spent on it.
        reason: why it stands where it does: of the last decision, or of the failure.
        values: its configuration, flat; empty for a baseline.
        findings: symptoms that it showed; none for a baseline.
        missing: by how much its classes miss the floor, all together; 0 where each reaches it.
    """

    rank: int
    trial: str
    score: float | None
    resource: int | None
    seconds: float
    state: State
    reason: str
    values: Values = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    missing: float = 0.0

    @property
    def diagnoses(self) -> str:
        """The symptoms' titles in one cell."""
        return "; ".join(finding.title for finding in self.findings)

    @property
    def is_cut_by_diagnosis(self) -> bool:
        """Whether the trial was ended for a symptom."""
        return any(finding.stops and finding.reason == self.reason for finding in self.findings)


def rank_trials(history: History, metric: Metric, *, phase: int | None = None) -> list[Row]:
    """All trials and baselines, best first.

    Sound trials and baselines come first, by score; then failed and diverged trials that had
    reported before; last those without a score. Equal scores: the smaller resource, then the name.
    Where the metric has a floor, those of each kind that miss it stand behind those that do not,
    ordered by how much is missing, as of ``Metric.rate``.

    Args:
        history: of the search.
        metric: that trials are ranked by.
        phase: only trials of it, as ``TrialRecord.phase`` counts; None for all.
    """
    # A list, as others may ask while the search goes on.
    trials = list(history.trials.values())
    wanted = (r for r in trials if phase is None or r.phase == phase)
    rows = [_of_trial(record, metric) for record in wanted]
    rows += [_of_baseline(one, metric) for one in history.baselines.values()]

    def order(row: Row) -> tuple[int, float, float, int, str]:
        if row.score is None:
            return 2, 0.0, 0.0, row.resource or 0, row.trial
        score = -metric.score(row.score)
        return int(row.state in _UNSOUND), row.missing, score, row.resource or 0, row.trial

    rows.sort(key=order)
    return [replace(row, rank=place) for place, row in enumerate(rows, 1)]


def best_trial(rows: Sequence[Row]) -> Row | None:
    """The first sound trial with a score; None where there is none.

    >>> best_trial([Row(1, "majority", 0.5, None, 0.1, "baseline", "")]) is None
    True
    """
    sound = (r for r in rows if r.state not in (*_UNSOUND, "baseline") and r.score is not None)
    return next(sound, None)


def configuration_keys(rows: Sequence[Row]) -> list[str]:
    """Every configuration key of the rows; options stand behind the choice they belong to.

    >>> one = Row(1, "t0001", 0.5, 8, 1.0, "stopped", "", {"adapter": "full", "rate": 0.1})
    >>> two = Row(2, "t0002", 0.4, 8, 1.0, "stopped", "",
    ...           {"adapter": "lora", "adapter.lora.rank": 4, "rate": 0.1})
    >>> configuration_keys([one, two])
    ['adapter', 'adapter.lora.rank', 'rate']
    """
    keys = list(dict.fromkeys(key for row in rows for key in row.values))
    roots = list(dict.fromkeys(key.split(".")[0] for key in keys))
    return sorted(keys, key=lambda key: (roots.index(key.split(".")[0]), key))


def to_records(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The rows as JSON values: the columns, and ``config`` with the row's own keys."""
    return [
        {name: getattr(row, name) for name in COLUMNS} | {"config": dict(row.values)}
        for row in rows
    ]


def to_frame(rows: Sequence[Row]) -> Any:
    """The rows as a DataFrame: columns as in ``leaderboard.csv``, NaN for what is absent."""
    keys = configuration_keys(rows)
    cells = [
        [*(getattr(row, name) for name in COLUMNS), *(row.values.get(key) for key in keys)]
        for row in rows
    ]
    return pandas.DataFrame(cells, columns=[*COLUMNS, *keys])


def write_leaderboard(path: Path, rows: Sequence[Row]) -> None:
    """Writes ``leaderboard.csv``; what is absent is an empty cell.

    Text that a spreadsheet would run as a formula gets an apostrophe in front.
    """
    keys = configuration_keys(rows)
    cells = [
        [
            *(_cell(getattr(row, name)) for name in COLUMNS),
            *(_cell(row.values.get(key)) for key in keys),
        ]
        for row in rows
    ]
    write_csv(path, [*COLUMNS, *keys], cells)


def plain_text(text: str) -> str:
    r"""Text on one line, without control characters.

    >>> plain_text("a\n\x1b[31mb")
    'a [31mb'
    """
    kept = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(kept.split())


def _of_baseline(one: BaselineRecord, metric: Metric) -> Row:
    missing = metric.missing(one.metrics)
    reason = f"trial zero{_tell_missing(one.metrics, metric)}"
    score = one.metrics.get(metric.name)
    return Row(0, one.name, score, None, one.seconds, "baseline", reason, missing=missing)


def _of_trial(record: TrialRecord, metric: Metric) -> Row:
    best = record.best(metric)
    reason = record.reason
    if record.state in _UNSOUND and record.failures:
        last = record.failures[-1]
        reason = f"{last.kind}: {last.message}"
    return Row(
        rank=0,
        trial=record.config.trial,
        score=best.metrics[metric.name] if best else None,
        resource=record.resource,
        seconds=record.seconds,
        state=record.state,
        reason=reason + ("" if best is None else _tell_missing(best.metrics, metric)),
        values=record.config.values,
        findings=tuple(record.findings),
        missing=0.0 if best is None else metric.missing(best.metrics),
    )


def _tell_missing(metrics: Mapping[str, float], metric: Metric) -> str:
    """Which classes miss the floor, as the end of a reason; empty where none does.

    >>> _tell_missing({"accuracy": 0.8, "recall.dvd": 0.43}, Metric("accuracy", floor=0.85))
    "; 1 of 1 class misses the floor of recall 0.85, the worst 'dvd' with 0.4300"
    """
    if metric.floor is None or not metric.missing(metrics):
        return ""
    recalls = recalls_of(metrics)
    few = sum(recall < metric.floor for recall in recalls.values())
    worst = min(recalls, key=lambda name: (recalls[name], name))
    nouns = "class misses" if len(recalls) == 1 else "classes miss"
    return (
        f"; {few} of {len(recalls)} {nouns} the floor of recall {metric.floor:g}, "
        f"the worst '{worst}' with {recalls[worst]:.4f}"
    )


def _cell(value: Scalar) -> Scalar:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        text = plain_text(value)
        return f"'{text}" if text.startswith(_FORMULA) else text
    if isinstance(value, float):
        return float(f"{value:.9g}")
    return value
