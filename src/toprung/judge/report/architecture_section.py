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
    header = ["member", "backbone", "shape", "adapter", "pooling", "longest text, tokens"]
    on_texts = all(member.max_length is not None for member in members)
    header = header if on_texts else [*header[:3], "pooling"]
    left = len(header) - on_texts
    body = []
    for member in members:
        source = "" if member.source is None else f" ({code(member.source)})"
        cells = [code(member.trial), f"{escape(member.backbone)}{source}", escape(_shape(member))]
        if on_texts:
            cells.append(escape(member.values.get("adapter", "full")))
        cells.append(escape(member.values.get("pooling", "mean")))
        if member.max_length is not None and on_texts:
            cells.append(f"{member.max_length:,}")
        if member.parameters is not None and counted:
            every, trained = member.parameters
            cells += [f"{every:,}", f"{trained:,}", f"{trained / every:.1%}"]
        body.append(cells)
    if counted:
        header += ["parameters", "trained", "share"]
    lines = table(header, body, numbers=len(header) - left)
    return ["## Architecture", "", *lines, *_tell_licences(members)]


def _tell_licences(members: Sequence[Architecture]) -> list[str]:
    """Under which licence whose weights are in the ensemble."""
    found = sorted({(m.backbone, m.licence) for m in members if m.licence is not None})
    if not found:
        return []
    named = ", ".join(f"{escape(backbone)}: {escape(licence)}" for backbone, licence in found)
    told = f"Licences of the weights, as their cards have them: {named}. The data's hold too."
    return [told, ""]


def _shape(member: Architecture) -> str:
    """What of the backbone the configuration chose."""
    chosen = {
        name.rpartition(".")[2]: value
        for name, value in member.values.items()
        if name.startswith("backbone.")
    }
    if set(chosen) <= {"depth"}:
        return "all layers" if member.depth is None else f"{member.depth} layers"
    return ", ".join(f"{name} {value}" for name, value in chosen.items())


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
