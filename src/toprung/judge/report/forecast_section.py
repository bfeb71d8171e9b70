"""The report's section on the forecast: what was expected, and what came."""

from __future__ import annotations

from collections.abc import Sequence

from toprung.judge.forecast import score_forecast
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
            duration(one.expected.middle),
            f"{duration(one.expected.low)} to {duration(one.expected.high)}",
            duration(one.happened),
            f"{one.error:+.1%}",
            "yes" if one.is_within else "no",
        ]
        for one in outcomes
    ]
    header = ["what", "forecast", "range", "happened", "error", "within"]
    return [
        "## Forecast",
        "",
        f"Before the search, {len(said['measured'])} shapes of trials were timed for a few steps "
        f"({duration(float(said['took_seconds']))}) and the search was simulated with those times.",
        "",
        *table(header, body, numbers=4),
    ]
