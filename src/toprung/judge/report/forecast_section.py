"""The report's section on the forecast: what was expected, and what came."""

from __future__ import annotations

from collections.abc import Sequence

from toprung.judge.forecast import Outcome, score_forecast
from toprung.judge.report.markdown import escape, table
from toprung.judge.sentences import duration
from toprung.trial.journal import Event


def tell_forecast(events: Sequence[Event]) -> list[str]:
    """Lines of the section; none where nothing was forecast, or what was is not what ran."""
    outcomes = score_forecast(events)
    if not outcomes:
        return []
    said = next(event for event in events if event["kind"] == "forecast")
    body = [
        [
            escape(one.what),
            _words(one, one.expected.middle),
            f"{_words(one, one.expected.low)} to {_words(one, one.expected.high)}",
            _words(one, one.happened),
            f"{one.error:+.1%}",
            "yes" if one.is_within else "no",
        ]
        for one in outcomes
    ]
    header = ["what", "forecast", "range", "happened", "error", "within"]
    count = len(said["measured"])
    shapes = f"{count} shape{'s' * (count != 1)} of trials {'was' if count == 1 else 'were'}"
    return [
        "## Forecast",
        "",
        f"Before the search, {shapes} timed for a few steps "
        f"({duration(float(said['took_seconds']))}) and the search was simulated with those times.",
        "",
        *table(header, body, numbers=4),
    ]


def _words(outcome: Outcome, value: float) -> str:
    return f"{value / 2**30:.1f} GiB" if outcome.unit == "bytes" else duration(value)
