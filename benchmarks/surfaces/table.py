"""The table of simulated searches as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from space import configurations

Found = Mapping[str, Any]


def render(found: Found) -> str:
    """TABLE.md from what simulate.py found."""
    parts = [_head(found)]
    for surface in found["surfaces"]:
        parts += _surface(found, surface)
    parts.append("## Who is best on both\n")
    parts += _standing(found)
    return "\n".join(parts).rstrip() + "\n"


def _head(found: Found) -> str:
    made = "MADE-UP surfaces, for trying the script only. " if found["synthetic"] else ""
    return f"""# Searches on recorded surfaces

{made}Made by `python benchmarks/surfaces/simulate.py` from real MiniLM trainings that `record.py`
recorded: the production scheduler, searcher and driver on the virtual clock, {found["seeds"]}
seeds. Points of report: {", ".join(map(str, found["points"]))} examples, which are the rungs.

- Time is measured in full trainings: the mean cost of training a configuration to the last point,
  in CPU-seconds of one worker. A search ends when its time is over, or its trials are.
- Only fully trained configurations count, for only they can be delivered. *Near* is the mean time,
  in full trainings, until one within 1 point of the best recorded score was there; a search that
  never got so far counts with its whole length, and the share that did stands behind it. *Regret*
  is by how many points the best one by then misses the best recorded score; all methods have had
  the same time, and so cost, by then.
- When a search has no more trials before its time is over, its best configurations are trained to
  the end, as they are for the ensemble.
- In brackets: 95 % bootstrap interval of the mean over seeds.
- A suggestion is answered by the nearest recorded configuration that was not tried yet, of the
  same kind of adapter while there are any; TPE is shown the values that were really trained. The
  grid takes 3 values of each number, its parameters in another order for each seed.
- 1 to 64 workers have up to 100 trials, all recorded ones. For 256 and 1,024 workers there are as
  many trials as workers; where there are fewer recordings, copies of them with differences drawn
  from those measured between seeds fill up, and what a copy is worth is the recorded score. All
  suggestions are then asked for before the first report, so TPE is random search there.
- Warm starts and portfolios come from the other data set alone.
"""


def _surface(found: Found, surface: Found) -> list[str]:
    correlations = ", ".join(f"{x:.2f}" for x in surface["rank_correlation"])
    shares = ", ".join(f"{x:.0%}" for x in surface["cost_share"])
    noise = (
        ", ".join(f"{100 * x:.1f}" for x in surface["seed_noise"]) or "(2 assumed, none measured)"
    )
    parts = [
        f"## {surface['name']}\n",
        f"{surface['configurations']} of {len(configurations())} configurations are recorded on "
        f"both data sets, {surface['near']} of them within 1 point of "
        f"the best ({surface['best']:.3f}). A full training costs {surface['full_cost']:.1f} "
        f"CPU-seconds in the mean, {surface['cheapest']:.1f} to {surface['dearest']:.1f}. At the "
        f"four points: rank correlation with the last one {correlations}; share of the cost "
        f"{shares}; spread between seeds {noise} points.\n",
    ]
    outcomes = [x for x in found["outcomes"] if x["surface"] == surface["name"]]
    main = [x for x in outcomes if x["method"] not in found["refinements"]]
    changed = [x for x in outcomes if x["method"] in found["refinements"]]
    parts += ["### Time until near the best\n", *_grid(main, _near)]
    for key, words in (
        ("regret_quarter", "a quarter of the time"),
        ("regret_half", "half the time"),
        ("regret_end", "the whole time"),
    ):
        parts += [
            f"### Regret in points after {words}\n",
            *_grid(main, lambda x, k=key: _cell(x[k])),
        ]
    if not changed:
        return parts
    parts += ["### The default, one option changed: time until near the best\n"]
    parts += _grid(changed, _near)
    parts += ["### The default, one option changed: time until the last finalist is trained\n"]
    parts += _grid(changed, lambda x: _cell(x["end"]))
    parts += ["### The default, one option changed: regret after half the time\n"]
    return [*parts, *_grid(changed, lambda x: _cell(x["regret_half"]))]


def _grid(outcomes: Sequence[Found], cell: Any) -> Iterator[str]:
    lengths = {x["workers"]: x["length"] for x in outcomes}
    heads = [f"{w:,} workers ({length} long)" for w, length in lengths.items()]
    yield f"| method | {' | '.join(heads)} |"
    yield "|---" * (len(heads) + 1) + "|"
    for method in dict.fromkeys(x["method"] for x in outcomes):
        row = {x["workers"]: cell(x) for x in outcomes if x["method"] == method}
        yield f"| {method} | {' | '.join(row.get(w, '') for w in lengths)} |"
    yield ""


def _near(outcome: Found) -> str:
    return f"{_cell(outcome['time_to_near'])} {outcome['reached']:.0%}"


def _cell(interval: Found) -> str:
    return f"{interval['mean']:.2f} [{interval['low']:.2f}, {interval['high']:.2f}]"


def _standing(found: Found) -> Iterator[str]:
    """A line per method: its time until near, against the shortest of each column, on average."""
    main = [x for x in found["outcomes"] if x["method"] not in found["refinements"]]
    shortest: dict[tuple[str, int], Found] = {}
    for x in main:
        key = (x["surface"], x["workers"])
        if key not in shortest or x["time_to_near"]["mean"] < shortest[key]["time_to_near"]["mean"]:
            shortest[key] = x
    yield "Over all surfaces and numbers of workers: the mean ratio of a method's time until near"
    yield "the best to the shortest such time in its column, and in how many columns its interval"
    yield "overlaps that of the shortest.\n"
    yield "| method | time, relative to the shortest | best or tied |"
    yield "|---|---|---|"
    rows = []
    for method in dict.fromkeys(x["method"] for x in main):
        own = [x for x in main if x["method"] == method]
        tops = [shortest[x["surface"], x["workers"]]["time_to_near"] for x in own]
        ratios = [
            x["time_to_near"]["mean"] / max(1e-9, top["mean"])
            for x, top in zip(own, tops, strict=True)
        ]
        tied = sum(
            x["time_to_near"]["low"] <= top["high"] for x, top in zip(own, tops, strict=True)
        )
        rows.append((sum(ratios) / len(ratios), method, f"{tied} of {len(own)}"))
    for ratio, method, tied in sorted(rows):
        yield f"| {method} | {ratio:.2f} | {tied} |"
