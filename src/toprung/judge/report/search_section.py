"""The report's sections on the leaderboard and on the course of the search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from toprung.judge.budget import RungCount, Savings, count_rungs, savings, search_phase
from toprung.judge.importance import importance
from toprung.judge.leaderboard import Row
from toprung.judge.report.charts.search import (
    draw_history,
    draw_importance,
    draw_parallel,
    draw_rungs,
    draw_timeline,
)
from toprung.judge.report.markdown import code, escape, table
from toprung.judge.report.material import Material
from toprung.judge.report.parts import Part
from toprung.judge.sentences import duration
from toprung.judge.timeline import timeline
from toprung.trial.history import History, TrialRecord
from toprung.trial.space import Values

_TOP = 15
_MOST_CUTS = 60
_FLOOR = " Trials that miss the floor of recall stand behind the others, by how much they miss."


def tell_leaderboard(rows: Sequence[Row], metric: str, unit: str) -> list[Part]:
    """The best trials, and every baseline whatever its rank."""
    shown = [row for row in rows if row.rank <= _TOP or row.state == "baseline"]
    same = _shared([row.values for row in rows if row.values])
    body = [
        [
            str(row.rank),
            code(row.trial),
            "" if row.score is None else f"{row.score:.4f}",
            "" if row.resource is None else f"{row.resource:,}",
            duration(row.seconds),
            row.state,
            _configuration({k: v for k, v in row.values.items() if k not in same}),
        ]
        for row in shown
    ]
    header = ["rank", "trial", escape(metric), escape(unit), "time", "state", "configuration"]
    left_out = len(rows) - len(shown)
    note = [f"{left_out} more stand in `leaderboard.csv`.", ""] if left_out else []
    return [
        "## Leaderboard",
        "",
        "Measured on the stopping split; of a trial's reports on most of its rows the best counts."
        f"{_FLOOR if any(row.missing for row in rows) else ''}",
        "",
        *table(header, body, right=(0, 2, 3, 4)),
        *([f"Every trial: {_configuration(same)}.", ""] if same else []),
        *note,
    ]


def tell_search(material: Material, history: History, rows: Sequence[Row]) -> list[Part]:
    """What was spent and saved, the rungs, the cuts, the parameters and the failures."""
    phase = search_phase(material.events)
    saved = savings(phase, material.resource)
    counts = count_rungs(phase, material.metric, material.ladders)
    return [
        "## Search",
        "",
        *_tell_course(material, phase, history),
        *_tell_savings(saved, material, phased=bool(phase.phases)),
        *_tell_cost(phase, history),
        *_draw_history(material, rows),
        *_tell_rungs([count for count in counts if count.reached], material),
        *_draw_rungs(material, phase),
        *_tell_cuts(phase, material.resource.unit),
        *_tell_failures(history),
        *_draw_timeline(material, history),
        *_tell_parameters(material, phase, rows),
    ]


def _tell_cost(phase: History, history: History) -> list[str]:
    """Where the seconds of training went."""
    records = list(history.trials.values())
    total = sum(record.seconds for record in records)
    if not total:
        return []
    final = total - sum(record.seconds for record in phase.trials.values())
    share = f"; {duration(final)} of it after the search, for the ensemble" if final > 0 else ""
    plain = sum(one.seconds for one in history.baselines.values())
    baselines = f" The baselines took {duration(plain)}." if history.baselines else ""
    return [
        f"Cost: all trials trained and scored for {duration(total)} together{share}.{baselines}",
        "",
    ]


def _draw_history(material: Material, rows: Sequence[Row]) -> list[Part]:
    tried = [row for row in rows if row.state != "baseline" and row.score is not None]
    if len(tried) < 2:
        return []
    metric = material.metric
    scored = [row for row in rows if row.state == "baseline" and row.score is not None]
    best = max(scored, key=lambda row: metric.score(row.score or 0.0), default=None)
    baseline = None if best is None or best.score is None else (best.trial, best.score)
    return [draw_history(rows, metric, baseline)]


def _draw_rungs(material: Material, phase: History) -> list[Part]:
    figures: list[Part] = []
    for bracket, ladder in sorted(material.ladders.items()):
        records = [r for r in phase.trials.values() if r.bracket == bracket and r.resource]
        if len(ladder) > 1 and records:
            unit = material.resource.unit
            figures.append(draw_rungs(records, material.metric, ladder, unit))
    return figures


def _tell_parameters(material: Material, phase: History, rows: Sequence[Row]) -> list[Part]:
    """Parallel coordinates, and which parameters mattered where that can be said."""
    parallel = draw_parallel(rows, material.metric)
    records, ladders = _largest_phase(material, list(phase.trials.values()))
    lowest = min((ladder[0] for ladder in ladders), default=material.resource.max)
    found = importance(records, material.metric, lowest, material.seed)
    if parallel is None and found is None:
        return []
    if found is None:
        return [] if parallel is None else [parallel]
    lines: list[Part] = ["### Parameters", "", *([parallel] if parallel is not None else [])]
    body = [
        [code(name), f"{share:.1%}", f"{spread:.1%}"] for name, share, spread in found.parameters
    ]
    unit = escape(material.resource.unit)
    return [
        *lines,
        f"Importance for {code(material.metric.name)} at {found.resource:,} {unit}, which all "
        f"{found.trials} trials have in common: the permutation importance of a random forest "
        f"that explains {found.explained:.0%} of the variance of trials that it did not see.",
        "",
        draw_importance(found, material.metric, material.resource.unit),
        *table(["parameter", "importance", "standard deviation"], body, numbers=2),
    ]


def _largest_phase(
    material: Material, records: list[TrialRecord]
) -> tuple[list[TrialRecord], Iterable[Sequence[int]]]:
    """Of a plan the trials and ladders of the phase with the most trials, which learned alike."""
    if not material.phase_ladders:
        return records, material.ladders.values()
    number = Counter(record.phase for record in records).most_common(1)[0][0] if records else 1
    brackets = material.phase_ladders.get(number, {})
    return [record for record in records if record.phase == number], brackets.values()


def _draw_timeline(material: Material, history: History) -> list[Part]:
    stretches = timeline(material.events)
    if not stretches or max(stretch.end for stretch in stretches) <= 0:
        return []
    top = material.resource.max
    best = {n for n, r in history.trials.items() if r.finalist or r.resource >= (r.most or top)}
    return [draw_timeline(stretches, best)]


def _tell_course(material: Material, phase: History, history: History) -> list[str]:
    states = Counter(record.state for record in phase.trials.values())
    told = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    lines = [f"{_count(len(phase.trials), 'trial')}{f': {told}' if told else ''}."]
    ends = [event for event in material.events if event["kind"] == "closed"]
    if ends:
        lines.append(f"The search ran for {duration(float(ends[-1]['at']))}.")
    if history.closed:
        it = "Its last phase" if history.phases else "It"
        lines.append(f"{it} ended because {escape(history.closed)}.")
    return [" ".join(lines), ""]


def _tell_savings(saved: Savings, material: Material, *, phased: bool) -> list[str]:
    if not saved.trials or saved.spent >= saved.full:
        return []
    unit = escape(material.resource.unit)
    last = "the last rung of its phase" if phased else f"{material.resource.max:,}"
    return [
        f"Early stopping spent {saved.spent:,} {unit} where training "
        f"{_count(saved.trials, 'trial')} to "
        f"{last} each would take {saved.full:,}: "
        f"**{saved.saved_share:.1%} saved**. In time that is {duration(saved.seconds)} against "
        f"an estimated {duration(saved.full_seconds)} (each trial's own seconds per unit of "
        f"{unit}, times {last}). Trials for the ensemble are not among it.",
        "",
    ]


def _tell_rungs(counts: Sequence[RungCount], material: Material) -> list[str]:
    if not counts:
        return []
    several = len({count.bracket for count in counts}) > 1
    header = [*(["bracket"] if several else []), "rung", "reached", "went on", "worst to go on"]
    body = [
        [
            *([str(count.bracket)] if several else []),
            f"{count.resource:,}",
            str(count.reached),
            str(count.went_on),
            "" if count.cutoff is None else f"{count.cutoff:.4f}",
        ]
        for count in counts
    ]
    words = f"Rungs in {escape(material.resource.unit)}, by {code(material.metric.name)}:"
    return [words, "", *table(header, body, numbers=len(header))]


def _tell_cuts(phase: History, unit: str) -> list[str]:
    cut = [r for r in phase.trials.values() if r.state in ("stopped", "paused") and r.resource]
    if not cut:
        return []
    cut.sort(key=lambda record: (-record.resource, record.config.trial))
    body = [
        [code(record.config.trial), f"{record.resource:,}", escape(record.reason)]
        for record in cut[:_MOST_CUTS]
    ]
    more = len(cut) - len(body)
    return [
        "Trials that were cut, and why:",
        "",
        *table(["trial", escape(unit), "reason"], body),
        *([f"{more} more stand in `leaderboard.csv`.", ""] if more else []),
    ]


def _tell_failures(history: History) -> list[str]:
    failed = [r for r in history.trials.values() if r.failures]
    if not failed:
        return ["No trial failed.", ""]
    body = [
        [
            code(record.config.trial),
            record.failures[-1].kind.replace("_", " "),
            str(len(record.failures)),
            record.state,
            escape(record.failures[-1].message),
        ]
        for record in failed
    ]
    header = ["trial", "class", "failures", "state now", "message"]
    return [f"Failures, in {_count(len(failed), 'trial')}:", "", *table(header, body)]


def _shared(tried: Sequence[Values]) -> Values:
    """What every one of several configurations has in common."""
    if len(tried) < 2:
        return {}
    rest = tried[1:]
    return {k: v for k, v in tried[0].items() if all(k in o and o[k] == v for o in rest)}


def _configuration(values: Values) -> str:
    """The configuration on one line."""
    parts = [f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in values.items()]
    return code(", ".join(parts)) if parts else ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
