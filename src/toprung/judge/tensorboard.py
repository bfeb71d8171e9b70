"""TensorBoard as a view of the journal: scalars by resource, HParams, reasons as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from tensorboard.compat.proto import summary_pb2
from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2, summary_v2
from tensorboard.plugins.hparams import metadata as hparams_metadata
from tensorboard.plugins.text import summary_v2 as text_summary

from toprung.judge.event_files import EventFile, empty_event_files
from toprung.judge.leaderboard import plain_text
from toprung.trial.decision import State
from toprung.trial.finding import Finding
from toprung.trial.history import History, TrialRecord
from toprung.trial.journal import Event
from toprung.trial.report import Metric, Report
from toprung.trial.space import Choice, Float, Int, Parameter, Scalar, Space

_ENDED: Mapping[State, str] = {
    "completed": "STATUS_SUCCESS",
    "stopped": "STATUS_SUCCESS",
    "diverged": "STATUS_FAILURE",
    "failed": "STATUS_FAILURE",
    "cancelled": "STATUS_FAILURE",
}
# A tag has one text a resource: TensorBoard shows the last alone.
_TEXT_TAGS = {
    "decided": "reason",
    "failed": "failure",
    "promoted": "promotion",
    "finalist": "promotion",
}
_OF_TRAINING = (
    "learning_rate",
    "gradient_norm",
    "rows_per_second",
    "truncated_share",
)
# A process may have 1,024 files open as a rule; a closed one is opened again when it is due.
_MOST_OPEN = 256


class Scalars:
    """Writes what events tell into ``trials/<id>/``, while they happen or afterwards.

    Opening it empties the event files that an earlier one wrote and tells ``earlier`` anew, so a
    resumed search has every point once. A TensorBoard that is open meanwhile drops the old
    points when it meets the new file. The same events give the same files.

    HParams stand from the start: the experiment in the root folder, each trial's values when it
    starts. A parameter that does not apply is absent; numbers stay numbers, except in a choice
    that mixes numbers with words, where all are words.
    """

    def __init__(
        self, folder: Path, space: Space, metric: Metric, *, earlier: Iterable[Event] = ()
    ) -> None:
        """Begins the log folder.

        Args:
            folder: root of the log, the search's ``trials``; each trial has a folder below it.
            space: of the search.
            metric: whose best and last value HParams shows.
            earlier: events that were journaled before.
        """
        self._folder, self._metric = folder, metric
        self._parameters = dict(space.walk())
        self._history = History()
        self._files: dict[str, EventFile] = {}
        self._told: dict[str, int] = {}
        self._ranked: dict[str, int] = {}
        self._begun: set[str] = set()
        self._ended: set[str] = set()
        self._root: EventFile | None = None
        self._generation = empty_event_files(folder) + 1
        for event in earlier:
            self._take(event)
        for file in self._open_files():
            file.flush()

    def __call__(self, event: Event) -> None:
        """Takes in the next event; what it tells is on disk when this returns."""
        self._take(event)
        for file in (self._root, self._files.get(event.get("trial", ""))):
            if file is not None:
                file.flush()

    def close(self) -> None:
        """Closes all files."""
        for file in self._open_files():
            file.close()
        self._files.clear()

    def _take(self, event: Event) -> None:
        self._history.apply(event)
        wall_time, kind = _wall_time(event), event["kind"]
        if self._root is None:
            self._root = EventFile(self._folder, self._generation, wall_time)
            self._root.write(self._experiment(wall_time), 0, wall_time)
        if kind == "baseline":
            metrics = self._history.baselines[event["name"]].metrics
            values = {f"baseline/{event['name']}/{name}": v for name, v in metrics.items()}
            self._root.write(_scalars(values), 0, wall_time)
        record = self._history.trials.get(event.get("trial", ""))
        if record is None:
            return
        if kind == "started":
            self._begin(record, wall_time)
        elif kind == "reported":
            self._tell_report(Report.from_json(event), wall_time)
        elif kind == "diagnosed":
            self._tell_finding(Finding.from_json(event), event["trial"], wall_time)
        elif kind in _TEXT_TAGS:
            self._tell_decision(record, event, wall_time)

    def _begin(self, record: TrialRecord, wall_time: float) -> None:
        trial = record.config.trial
        if trial in self._begun:
            return
        self._begun.add(trial)
        values = {
            name: self._plain(name, value)
            for name, value in record.config.values.items()
            if value is not None
        }
        start = summary_v2.hparams_pb(values, trial_id=trial, start_time_secs=wall_time)
        # The values are a protobuf map, whose order differs from process to process.
        plugin = start.value[0].metadata.plugin_data
        data = plugin_data_pb2.HParamsPluginData.FromString(plugin.content)
        plugin.content = data.SerializeToString(deterministic=True)
        self._write(trial, start, 0, wall_time)

    def _tell_report(self, report: Report, wall_time: float) -> None:
        if report.resource <= self._told.get(report.trial, 0):
            return
        self._told[report.trial] = report.resource
        numbers = {
            _tag(name): float(value)
            for name, value in report.metrics.items()
            if isinstance(value, int | float)
        }
        summary = _scalars(numbers | {"cost/seconds": report.seconds})
        self._write(report.trial, summary, report.resource, wall_time)

    def _tell_decision(self, record: TrialRecord, event: Event, wall_time: float) -> None:
        trial, step = record.config.trial, event.get("resource", record.resource)
        usable, best = record.usable(self._metric), record.best(self._metric)
        if best is not None and usable[-1].resource > self._ranked.get(trial, 0):
            self._ranked[trial] = usable[-1].resource
            name = self._metric.name
            values = {f"best/{name}": best.metrics[name], f"last/{name}": usable[-1].metrics[name]}
            self._write(trial, _scalars(values), usable[-1].resource, wall_time)
        words = event["reason"]
        if event["kind"] == "failed":
            words = f"{event['class']}: {event['message']} ({words})"
        text = text_summary.text_pb(_TEXT_TAGS[event["kind"]], _plain(words))
        self._write(trial, text, step, wall_time)
        if record.state in _ENDED:
            self._end(record, wall_time)
        if record.state != "running":
            self._files.pop(trial).close()

    def _tell_finding(self, finding: Finding, trial: str, wall_time: float) -> None:
        words = f"{finding.reason}. {finding.remedy}"
        text = text_summary.text_pb(f"diagnosis/{finding.symptom}", _plain(words))
        self._write(trial, text, finding.resource, wall_time)

    def _end(self, record: TrialRecord, wall_time: float) -> None:
        trial = record.config.trial
        if trial in self._ended:
            return
        self._ended.add(trial)
        status = api_pb2.Status.Value(_ENDED[record.state])
        end = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=wall_time)
        data = plugin_data_pb2.HParamsPluginData(session_end_info=end)
        summary = summary_pb2.Summary()
        summary.value.add(
            tag=hparams_metadata.SESSION_END_INFO_TAG,
            metadata=hparams_metadata.create_summary_metadata(data),
            tensor=hparams_metadata.NULL_TENSOR,
        )
        self._write(trial, summary, 0, wall_time)

    def _write(self, trial: str, summary: summary_pb2.Summary, step: int, wall_time: float) -> None:
        if trial not in self._files:
            if len(self._files) >= _MOST_OPEN:
                self._files.pop(next(iter(self._files))).close()
            self._files[trial] = EventFile(self._folder / trial, self._generation, wall_time)
        self._files[trial].write(summary, step, wall_time)

    def _open_files(self) -> list[EventFile]:
        return [*([self._root] if self._root else []), *self._files.values()]

    def _experiment(self, wall_time: float) -> summary_pb2.Summary:
        hparams = [summary_v2.HParam(n, _domain(p)) for n, p in self._parameters.items()]
        tags = [f"best/{self._metric.name}", f"last/{self._metric.name}", "cost/seconds"]
        metrics = [summary_v2.Metric(tag, display_name=tag) for tag in tags]
        return summary_v2.hparams_config_pb(hparams, metrics, time_created_secs=wall_time)

    def _plain(self, name: str, value: Scalar) -> Scalar:
        parameter = self._parameters.get(name)
        return str(value) if isinstance(parameter, Choice) and _is_mixed(parameter) else value


def rebuild(folder: Path, space: Space, metric: Metric, events: Iterable[Event]) -> None:
    """Empties the log's event files and writes them anew from the journal's events."""
    Scalars(folder, space, metric, earlier=events).close()


def _plain(words: str) -> str:
    """Words as TensorBoard's Markdown shows them as they are: it would fetch pictures for them."""
    return plain_text(words).replace("&", "&amp;").replace("<", "&lt;").replace("[", "&#91;")


def _tag(name: str) -> str:
    """``train/…`` for what training itself measured, else ``validation/…``; a path stays."""
    if "/" in name:
        return name
    if name.startswith("train_"):
        return f"train/{name.removeprefix('train_')}"
    return f"train/{name}" if name in _OF_TRAINING else f"validation/{name}"


def _scalars(values: Mapping[str, float]) -> summary_pb2.Summary:
    made = (summary_pb2.Summary.Value(tag=tag, simple_value=v) for tag, v in values.items())
    return summary_pb2.Summary(value=made)


def _domain(parameter: Parameter) -> summary_v2.Domain | None:
    if isinstance(parameter, Float):
        return summary_v2.RealInterval(float(parameter.low), float(parameter.high))
    if isinstance(parameter, Int):
        return summary_v2.IntInterval(parameter.low, parameter.high)
    values = [value for value in parameter.values if value is not None]
    if _is_mixed(parameter):
        return summary_v2.Discrete([str(value) for value in values], dtype=str)
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return summary_v2.Discrete([float(value) for value in values], dtype=float)
    return summary_v2.Discrete(values)


def _is_mixed(parameter: Choice) -> bool:
    """Whether a choice has values of several kinds: truth values, numbers, words."""
    kinds = {
        bool if isinstance(v, bool) else str if isinstance(v, str) else float
        for v in parameter.values
        if v is not None
    }
    return len(kinds) != 1


def _wall_time(event: Event) -> float:
    """Seconds since 1970 of the event's stamp; of a simulated clock, its seconds."""
    stamp = str(event.get("time", ""))
    try:
        return datetime.fromisoformat(stamp).timestamp()
    except (ValueError, OverflowError, OSError):  # or a stamp of a year that no clock has
        return float(event["at"])
