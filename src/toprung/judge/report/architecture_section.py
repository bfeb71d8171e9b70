"""The report's section on what the members are built of."""

from __future__ import annotations

from collections.abc import Sequence

from toprung.judge.report.markdown import code, escape, table
from toprung.judge.report.material import Architecture
from toprung.judge.report.parts import Part


def tell_architecture(members: Sequence[Architecture]) -> list[Part]:
    """Parts of the section; none without members."""
    if not members:
        return []
    counted = all(member.parameters is not None for member in members)
    header = ["member", "backbone", "layers", "adapter", "pooling", "longest text, tokens"]
    body = []
    for member in members:
        cells = [
            code(member.trial),
            f"{escape(member.backbone)} ({code(member.source)})",
            "all" if member.depth is None else str(member.depth),
            escape(member.values.get("adapter", "full")),
            escape(member.values.get("pooling", "mean")),
            f"{member.max_length:,}",
        ]
        if member.parameters is not None and counted:
            every, trained = member.parameters
            cells += [f"{every:,}", f"{trained:,}", f"{trained / every:.1%}"]
        body.append(cells)
    if counted:
        header += ["parameters", "trained", "share"]
    return ["## Architecture", "", *table(header, body, numbers=len(header) - 5)]


def say_size(members: Sequence[Architecture], best: Architecture | None) -> str:
    """What the ensemble costs at prediction time, against one trial; empty where unknown."""
    sizes = [member.parameters[0] for member in members if member.parameters is not None]
    if len(sizes) < len(members) or not sizes:
        return ""
    told = f"At prediction time a row goes through all members, {sum(sizes):,} parameters together"
    if best is None or best.parameters is None or len(members) == 1:
        return f"{told}."
    times = sum(sizes) / best.parameters[0]
    return f"{told}, {times:.1f} times those of the best single trial ({best.parameters[0]:,})."
