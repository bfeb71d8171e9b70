"""The live view of a running search: one table on a terminal, a line an event elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event as Flag
from threading import Thread

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from toprung.api import Search
from toprung.api.progress import Progress, Standing
from toprung.cli.console import ERRORS, duration, harmless
from toprung.trial.journal import Event

RECENT = 6
_DRAW_SECONDS = 0.25
_BEAT_SECONDS, _LINE_SECONDS = 2.0, 30.0


class View:
    """Follows events; redraws a table on a terminal, else prints a line for each that matters."""

    def __init__(self, progress: Progress, live: Live | None, lines: Console = ERRORS) -> None:
        self._progress = progress
        self._live = live
        self._lines = lines
        self._recent: list[str] = []
        self._steps: list[str] = []
        self._told: set[tuple[str, int]] = set()
        self._drawn_at = float("-inf")
        self._metric = progress.spec.metric.name

    def __call__(self, event: Event) -> None:
        """Shows an event."""
        self._progress(event)
        said = self._words(event)
        if said is None:
            return
        if self._live is None:
            self._lines.print(f"{duration(event['at']):>8}  {said}", markup=False)
            return
        self._recent = [*self._recent, said][-RECENT:]
        # Where thousands of trials stand takes longer to say than one of them to decide.
        if event["at"] >= self._drawn_at + _DRAW_SECONDS or event["kind"] == "closed":
            self._drawn_at = event["at"]
            self._live.update(self._table(self._progress.standing()))

    def beat(self) -> None:
        """Shows how far the trials at work are; called every few seconds, from any thread."""
        steps = self._progress.at_work()
        told = [step.words() for step in steps if (step.trial, step.step) not in self._told]
        self._told.update((step.trial, step.step) for step in steps)
        self._steps = [step.words() for step in steps]
        if self._live is None:
            for said in told:
                self._lines.print(f"          {said}", markup=False)
        elif told:
            self._live.update(self._table(self._progress.standing()))

    def close(self) -> None:
        """Leaves the terminal as it is."""
        if self._live is not None:
            self._live.stop()

    def _words(self, event: Event) -> str | None:
        kind, trial = event["kind"], event.get("trial", "")
        if kind == "precision":
            return _precision_words(event)
        if kind == "baseline":
            value = event["metrics"].get(self._metric)
            return f"baseline {event['name']}: {self._metric} {value:.4f}, {event['seconds']:.1f} s"
        if kind == "started":
            record = self._progress.history.trials[trial]
            if event["from"] and record.reason:
                return f"{trial} goes on at {event['from']}: {record.reason}"
            said = "goes on" if event["from"] else "starts"
            values = record.config.values.items()
            short = " ".join(f"{k.rpartition('.')[2]}={_short(v)}" for k, v in values)
            return f"{trial} {said} at {event['from']}: {short}"
        if kind == "decided":
            return self._decided(event)
        if kind == "phase":
            return _phase_words(event)
        if kind == "gate":
            action = event["action"].replace("_", " ")
            return f"gate after phase {event['phase']}: {action}, because {event['reason']}"
        if kind in ("probed", "cleaned"):
            return _place_words(event)
        if kind in ("failed", "finalist", "held", "left"):
            return f"{trial} {event['reason']}"
        if kind == "diagnosed":
            return f"{trial} {event['title']}: {event['evidence']}"
        return f"search phase over: {event['reason']}" if kind == "closed" else None

    def _decided(self, event: Event) -> str:
        record = self._progress.history.trials[event["trial"]]
        report = next((r for r in record.reports if r.resource == event["resource"]), None)
        value = "" if report is None else f" {self._metric} {report.metrics[self._metric]:.4f}"
        return f"{event['trial']} at {event['resource']}{value}: {event['reason']}"

    def _table(self, standing: Standing) -> Group:
        table = Table(title=f"toprung · {self._progress.spec.name}", title_justify="left")
        counts = standing.counts
        done = {
            "trials": f"{standing.suggested}/{standing.trials}",
            "running": str(counts.get("running", 0)),
            "paused": str(counts.get("paused", 0)),
            "stopped": str(counts.get("stopped", 0)),
            "completed": str(counts.get("completed", 0)),
            "failed": str(counts.get("failed", 0) + counts.get("diverged", 0)),
            f"best {self._metric}": _best(standing),
            "elapsed": duration(standing.elapsed),
            "ETA": _eta(standing.eta_seconds),
            "disk left": f"{standing.disk_left / 2**30:.0f} GiB",
        }
        for name in done:
            table.add_column(name, justify="right")
        table.add_row(*done.values())
        return Group(
            table,
            *(Text(harmless(line), overflow="ellipsis") for line in self._steps),
            *(Text(harmless(line), style="dim", overflow="ellipsis") for line in self._recent),
        )


def _place_words(event: Event) -> str:
    """What an event says of the place of the results: latencies, or what made room there."""
    if event["kind"] == "probed":
        told = [
            f"{one['node']} " + ", ".join(f"{k} {v:g} ms" for k, v in one["milliseconds"].items())
            for one in event["nodes"]
        ]
        return f"{event['place']}: {'; '.join(told)}"
    freed = sum(one["size"] for one in event["removed"])
    said = (
        f"made room: {len(event['removed'])} files and folders of losers, {freed / 2**20:.0f} MiB"
    )
    if event["left"] > event["limit"]:
        over = (event["left"] - event["limit"]) / 2**20
        said += f"; {over:.0f} MiB over budget.disk_gib are needed by trials that may still win"
    return said


def _precision_words(event: Event) -> str:
    """Where trials compute, in which precision, and what was measured of both.

    >>> measured = {"float32_ms": 7.204, "bfloat16_ms": 3.1}
    >>> _precision_words({"precision": "bfloat16", "device": "cpu", **measured})
    'trials train in bfloat16 on cpu: 7.2 ms a layer in float32, 3.1 in bfloat16'
    >>> _precision_words({"precision": "float32", "device": "mps"})
    'trials train in float32 on mps'
    """
    said = f"trials train in {event['precision']} on {event['device']}"
    full, half = event.get("float32_ms"), event.get("bfloat16_ms")
    return f"{said}: {full:.3g} ms a layer in float32, {half:.3g} in bfloat16" if half else said


def _phase_words(event: Event) -> str:
    rows = "all rows" if event["rows"] is None else f"{event['rows']:,} rows"
    again = f", attempt {event['attempt']}" if event["attempt"] > 1 else ""
    carried = f", {', '.join(event['carried'])} first" if event["carried"] else ""
    what = f"{event['trials']} trials of up to {event['max']:,} {event['unit']} on {rows}"
    return f"phase {event['phase']}{again}: {what}{carried}"


def _best(standing: Standing) -> str:
    if standing.best is None:
        return "–"
    return f"{standing.best[1]:.4f} ({escape(standing.best[0])})"


def _eta(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return f"{duration(seconds * 0.7)} – {duration(seconds * 1.4)}"


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


@contextmanager
def live_view(search: Search) -> Iterator[View]:
    """A view that suits where the errors stream goes."""
    with suppress(OSError):  # A storage that does not answer is told when the search is opened.
        search.folder.refresh()
    begun = search.history() if search.folder.journal.is_file() else None
    progress = Progress(search.spec, search.folder.root, begun)
    if not ERRORS.is_terminal:
        with _beating(View(progress, None), _LINE_SECONDS) as view:
            yield view
        return
    with (
        Live(console=ERRORS, transient=True, refresh_per_second=4) as live,
        _beating(View(progress, live), _BEAT_SECONDS) as view,
    ):
        yield view


@contextmanager
def _beating(view: View, seconds: float) -> Iterator[View]:
    """Lets a view look at the trials at work from time to time, in a thread of its own."""
    over = Flag()

    def beat() -> None:
        while not over.wait(seconds):
            view.beat()

    thread = Thread(target=beat, name="view", daemon=True)
    thread.start()
    try:
        yield view
    finally:
        over.set()
        thread.join()
