"""The report's section on the plan: its phases, the decision tree, and what it decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from toprung.judge.budget import RungCount, count_rungs
from toprung.judge.report.markdown import code, escape, table
from toprung.judge.sentences import duration
from toprung.trial.history import History, PhaseRecord
from toprung.trial.report import Metric, recalls_of

Ladders = Mapping[int, Mapping[int, Sequence[int]]]
"""From a phase as it was begun, counted from 1, to the rungs of each of its brackets."""

_ACTIONS = {
    "succeed": "the plan has succeeded",
    "next_phase": "the next phase follows",
    "shrink": "the phase is tried again with fewer rows",
    "debug": "the plan stops to be debugged",
    "end": "the plan ends without having reached its goal",
}


def tell_phases(
    history: History, metric: Metric, *, unit: str, ladders: Ladders, gates: Sequence[str]
) -> list[str]:
    """Lines of the section; none for a search without phases.

    Args:
        history: of the whole search, finalists left out.
        metric: of the search.
        unit: of the resource.
        ladders: of each phase as it was begun.
        gates: the decision tree as the spec says it, one rule a line.
    """
    if not history.phases:
        return []
    return [
        "## Phases",
        "",
        _tell_outcome(history),
        "",
        *_tell_table(history, metric),
        *_tell_tree(gates),
        *(line for begun in range(len(history.phases)) for line in _tell_gate(history, begun)),
        *_tell_rungs(history, metric, unit, ladders),
    ]


def _tell_outcome(history: History) -> str:
    gate = history.phases[-1].gate
    if gate is None:
        return f"Phase {history.phases[-1].number} is at work."
    return (
        f"**{escape(_ACTIONS[gate['action']]).capitalize()}** after phase {gate['phase']}, "
        f"because {escape(gate['reason'])}. Gates look at the stopping split alone: the ensemble's "
        "weights and temperature come from other rows, and the test split is opened after the plan."
    )


def _tell_table(history: History, metric: Metric) -> list[str]:
    header = ["phase", "rows of train", "trials", "last rung", "best trial", escape(metric.name)]
    header += ["worst class", "search time", "what follows"]
    body = []
    for record in history.phases:
        facts = {} if record.gate is None else record.gate["facts"]
        metrics = facts.get("metrics", {})
        recalls = recalls_of(metrics)
        worst = min(recalls, key=lambda name: (recalls[name], name), default=None)
        body.append(
            [
                _name(record),
                "all" if record.event["rows"] is None else f"{record.event['rows']:,}",
                str(facts.get("trials", "")),
                f"{record.event['max']:,} {escape(record.event['unit'])}",
                code(facts["trial"]) if facts.get("trial") else "none",
                f"{metrics[metric.name]:.4f}" if metric.name in metrics else "",
                "" if worst is None else f"{escape(worst)} {recalls[worst]:.4f}",
                _spent(record),
                "" if record.gate is None else escape(record.gate["action"].replace("_", " ")),
            ]
        )
    return table(header, body)


def _spent(record: PhaseRecord) -> str:
    if record.gate is None:
        return ""
    return duration(float(record.gate["at"]) - float(record.event["at"]))


def _tell_tree(gates: Sequence[str]) -> list[str]:
    if not gates:
        return ["The plan has no gates: each phase follows the one before.", ""]
    return [
        "After each phase these rules are asked in their order; the first that holds decides. "
        "Where none does, the next phase follows, if there is one.",
        "",
        *(f"{number}. {escape(rule)}" for number, rule in enumerate(gates, 1)),
        "",
    ]


def _tell_gate(history: History, begun: int) -> list[str]:
    record = history.phases[begun]
    gate = record.gate
    if gate is None:
        return []
    steps = [
        f"- rule {step['rule']} ({escape(step['action'].replace('_', ' '))}): "
        f"{'**holds**' if step['holds'] else 'does not hold'}: {escape(step['words'])}"
        for step in gate["steps"]
    ]
    return [
        f"### Gate after phase {_name(record)}",
        "",
        *steps,
        f"- so {escape(_ACTIONS[gate['action']])}{_rows(gate)}",
        f"- cost: {escape(gate['gain'])}",
        *(f"- diagnosis: {escape(sentence)}" for sentence in gate["diagnosis"]),
        "",
        *_tell_classes(gate["facts"]),
    ]


def _rows(gate: Mapping[str, Any]) -> str:
    return f": {gate['rows']:,}" if gate["rows"] else ""


def _tell_classes(facts: Mapping[str, Any]) -> list[str]:
    """The recall of each class against the floor, the worst first; none without a floor."""
    recalls = recalls_of(facts["metrics"])
    floor = facts["floor"]
    if floor is None or not recalls:
        return []
    body = [
        [escape(name), f"{recall:.4f}", "yes" if recall >= floor else f"{recall - floor:+.4f}"]
        for name, recall in sorted(recalls.items(), key=lambda item: (item[1], item[0]))
    ]
    few = sum(recall < floor for recall in recalls.values())
    return [
        f"{few} of {len(recalls)} classes miss the floor of recall {floor:g}, a constraint of the "
        "search: a configuration that misses it ranks behind every one that does not.",
        "",
        *table(["class", "recall on stopping", "reaches the floor"], body, numbers=2),
    ]


def _tell_rungs(history: History, metric: Metric, unit: str, ladders: Ladders) -> list[str]:
    lines: list[str] = []
    for begun, record in enumerate(history.phases, 1):
        counts = count_rungs(history, metric, ladders.get(begun, {}), phase=begun)
        reached = [count for count in counts if count.reached]
        if reached:
            lines += [
                f"Rungs of phase {_name(record)} in {escape(unit)}:",
                "",
                *_rung_table(reached),
            ]
    return lines


def _rung_table(counts: Sequence[RungCount]) -> list[str]:
    body = [
        [
            f"{count.resource:,}",
            str(count.reached),
            str(count.went_on),
            "" if count.cutoff is None else f"{count.cutoff:.4f}",
        ]
        for count in counts
    ]
    return table(["rung", "reached", "went on", "worst to go on"], body, numbers=4)


def _name(record: PhaseRecord) -> str:
    return str(record.number) + (f", attempt {record.attempt}" if record.attempt > 1 else "")
