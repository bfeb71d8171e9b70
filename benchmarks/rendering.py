"""RESULTS.md from the entries of results.json, and from nothing else."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Entry = dict[str, Any]

_HEAD = """# Results

Rendered from `results.json` by `python benchmarks/harness.py`; do not edit.

A ratio says how many times better toprung is than the peer beside it, unless the table says
otherwise: the median of the repeats, with the smallest and the largest of them. Contestants run
in turns, each in a process of its own. The CPU ratio compares CPU-seconds of whole processes or,
for training, of the measured steps. Bars are those that the project set itself in advance.
"""

_ABOUT = {
    "lora_all_layers": "LoRA r=8 on all six layers of MiniLM, batch 32, at most 128 tokens: rows "
    "per second in steady state.",
    "lora_prefix_cached": "LoRA r=8 in the top two of six layers, the lower four read from the "
    "prefix cache: rows per second in steady state. Peers train all six layers, "
    "`…_top_third` the same two.",
    "lora_prefix_cached_with_build": "The same, with the time that the cache took to build spread "
    "over the rows that an ASHA search of 32 trials trains (formula in `training/lora.py`).",
    "lora_exactness": "The same steps with and without the cache. `ratio`: largest difference of a "
    "step's loss, as a share of the difference that another seed makes (0 is bit-identical).",
    "lora_equal_scores": "Accuracy on held-out rows, ours and the strong peer's, same steps and "
    "hyperparameters (`ratio` is ours / theirs by seed). Equal: both one-sided tests (TOST) "
    "reject a difference of 0.5 points or more at p < 0.05.",
    "restriction_cost": "What LoRA in the top two layers costs in accuracy on held-out rows, "
    "against all six (`ratio` is top third / all layers by seed).",
    "stacked_lora": "Several LoRA trials in shared passes, against the same trials one after the "
    "other: rows per second of all. A CPU has nothing to gain by it; a graphics card may.",
    "physical_limit": "Share of the physical limit: real tokens per second × FLOP per token, "
    "against the best matrix product measured beside it.",
    "whole_search": "Seconds of a whole search to a target score on validation rows. Beside "
    "AutoGluon ours had ASHA's rule `promote`; else `eager`, the default now.",
    "control_plane_trials": "Trials per second with nothing to train.",
    "control_plane_results": "Results per second with nothing to train.",
    "control_plane_floor": "Trials that sleep: per cent over trials × seconds / slots.",
    "control_plane_load": "A load generator at the desk that serves Ray's workers, with the "
    "journal fsynced. `theirs` is the bar, and the ratio says how many times better than it.",
    "control_plane_decisions": "A trial enters, reports at the lowest rung and is decided upon, "
    "promotions included; Ray Tune's bracket takes the same report.",
    "control_plane_tpe": "One suggestion of TPE, which is told at most 1,000 observations.",
    "ensemble_of_5": "Prediction. The ratio is time(5 members) / time(1 member): lower is better.",
    "memory_of_a_worker": "Memory of one resident worker, trial after trial (see the notes).",
    "memory_of_a_node": "Memory of a whole node with several workers (see the notes).",
}


@dataclass(frozen=True)
class Bar:
    """What an entry should reach.

    Attributes:
        value: the bar.
        key: of the entry that is compared.
        at_most: whether lower is better.
    """

    value: float
    key: str = "ratio"
    at_most: bool = False

    def met(self, entry: Entry) -> bool:
        """Whether the entry reaches it."""
        found = float(entry[self.key])
        return found <= self.value if self.at_most else found >= self.value

    def __str__(self) -> str:
        sign = "≤" if self.at_most else "≥"
        unit = "" if self.key == "ratio" else " (ours)"
        return f"{sign} {number(self.value)}{unit}"


def _bars() -> dict[tuple[str, str, str], Bar]:
    speed = {
        "lora_all_layers": {
            "banking77": {"documented": 11, "dynamic": 3, "strong": 1.15},
            "imdb": {"documented": 1.9, "dynamic": 1.7, "strong": 1.15},
        },
        "lora_prefix_cached": {
            "banking77": {"documented": 40, "strong": 4},
            "imdb": {"documented": 5, "strong": 3},
        },
    }
    bars = {
        (name, dataset, peer): Bar(value)
        for name, sets in speed.items()
        for dataset, peers in sets.items()
        for peer, value in peers.items()
    }
    for (name, dataset, peer), bar in list(bars.items()):
        if name == "lora_prefix_cached":
            bars[f"{name}_with_build", dataset, peer] = Bar(round(0.7 * bar.value, 3))
    for dataset in ("banking77", "imdb"):
        for peer, value in (("documented", 10), ("ray_tune", 10), ("strong", 3)):
            bars["whole_search", dataset, peer] = Bar(value)
    return bars


BARS = _bars()
# By name alone, whatever the data set and the peer.
BARS_OF_ALL = {
    "control_plane_trials": Bar(100, key="ours"),
    "control_plane_results": Bar(1000, key="ours"),
    "ensemble_of_5": Bar(2.5, at_most=True),
}


def bar_of(entry: Entry) -> tuple[str, str]:
    """The entry's bar and whether it is met, as text; two empty ones where there is none."""
    if "bar" in entry:
        met = entry.get("met")
        return str(entry["bar"]), "" if met is None else _verdict(bool(met))
    bar = BARS.get((entry["name"], entry["dataset"], entry["peer"]))
    bar = bar or BARS_OF_ALL.get(entry["name"])
    return (str(bar), _verdict(bar.met(entry))) if bar else ("", "")


def render(entries: Sequence[Entry]) -> str:
    """The whole page: a table for each name, in the order of the names known, others after."""
    names = sorted({entry["name"] for entry in entries})
    names.sort(key=lambda name: list(_ABOUT).index(name) if name in _ABOUT else len(_ABOUT))
    machines = _machines(entries)
    parts = [_HEAD, *_summary(entries)]
    for name in names:
        found = [entry for entry in entries if entry["name"] == name]
        found.sort(key=lambda entry: (entry["dataset"], _theirs_first(entry), entry["peer"]))
        parts.append("\n".join([f"## {name}", "", *_table(name, found, machines), ""]))
    parts.append("\n".join(["## Machines", "", *_legend(machines), ""]))
    return "\n".join(parts)


def number(value: float) -> str:
    """A number with three digits that count, and never in powers of ten.

    >>> number(1234.56), number(12.34), number(1.2), number(0.00123), number(0.0)
    ('1,235', '12.3', '1.20', '0.00123', '0')
    """
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    places = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(places, 9)}f}"


def _summary(entries: Sequence[Entry]) -> list[str]:
    """How many bars are met, and which are not."""
    verdicts = [(entry, bar_of(entry)[1]) for entry in entries]
    judged = [(entry, verdict) for entry, verdict in verdicts if verdict]
    if not judged:
        return []
    below = [
        f"- {entry['name']}, {entry['dataset']}, {entry['peer']}: {number(entry['ratio'])}"
        for entry, verdict in judged
        if verdict != _verdict(True)
    ]
    lines = [f"Bars met: {len(judged) - len(below)} of {len(judged)}."]
    return ["\n".join([*lines, *(["Not met:", "", *below] if below else []), ""])]


def _table(name: str, entries: Sequence[Entry], machines: dict[str, str]) -> list[str]:
    about = [_ABOUT[name], ""] if name in _ABOUT else []
    columns = ["data", "peer", "ours", "theirs", "unit", "ratio", "low–high", "CPU ratio", "bar",
               "", "repeats", "machine"]  # fmt: skip
    rows = [_row(entry, machines) for entry in entries]
    kept = [i for i, column in enumerate(columns) if column == "" or any(row[i] for row in rows)]
    kept = [i for i in kept if any(row[i] for row in rows)]
    lines = ["| " + " | ".join(columns[i] for i in kept) + " |", "|---" * len(kept) + "|"]
    lines += ["| " + " | ".join(row[i] for i in kept) + " |" for row in rows]
    commands = sorted({entry["command"] for entry in entries})
    notes = _notes(entries)
    return [*about, *lines, "", *notes, *[f"`{command}`" for command in commands]]


def _row(entry: Entry, machines: dict[str, str]) -> list[str]:
    bar, verdict = bar_of(entry)
    spread = f"{number(entry['low'])}–{number(entry['high'])}"
    return [
        entry["dataset"],
        entry["peer"],
        _optional(entry.get("ours")),
        _optional(entry.get("theirs")),
        str(entry.get("unit") or ""),
        f"**{number(entry['ratio'])}**",
        spread,
        _optional(entry.get("cpu_ratio")),
        bar,
        verdict,
        str(entry["repeats"]),
        machines.get(_machine(entry), ""),
    ]


def _notes(entries: Sequence[Entry]) -> list[str]:
    found: dict[str, list[str]] = {}
    for entry in entries:
        if entry.get("note"):
            found.setdefault(entry["note"], []).append(f"{entry['dataset']} · {entry['peer']}")
    lines = []
    for text, where in found.items():
        about = "" if len(where) == len(entries) else f"{', '.join(where)}: "
        lines.append(f"- {about}{text}")
    return [*lines, ""] if lines else []


def _machines(entries: Sequence[Entry]) -> dict[str, str]:
    """A letter for each machine, that of the most entries first."""
    counts = Counter(sorted(filter(None, map(_machine, entries))))
    return {text: chr(ord("A") + i) for i, (text, _) in enumerate(counts.most_common())}


def _legend(machines: dict[str, str]) -> list[str]:
    return [f"- **{letter}**: {text}" for text, letter in machines.items()] or ["none recorded"]


def _machine(entry: Entry) -> str:
    facts = entry.get("machine") or {}
    return "; ".join(facts[key] for key in sorted(facts))


def _theirs_first(entry: Entry) -> int:
    known = ("documented", "dynamic", "strong")
    return known.index(entry["peer"]) if entry["peer"] in known else len(known)


def _optional(value: Any) -> str:
    if value is None:
        return ""
    return number(float(value)) if isinstance(value, int | float) else str(value)


def _verdict(met: bool) -> str:
    return "met" if met else "**not met**"
