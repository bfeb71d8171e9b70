from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins import base_plugin
from tensorboard.plugins.hparams import (
    api_pb2,
    backend_context,
    get_experiment,
    list_session_groups,
)

from toprung.judge.tensorboard import Scalars, rebuild
from toprung.trial.report import Metric, number_to_json
from toprung.trial.space import Choice, Float, Int, Option, Space

MACRO_F1 = Metric("macro_f1")
SPACE = Space(
    {
        "adapter": Choice((Option("full"), Option("lora", Space({"rank": Int(4, 64)})))),
        "learning_rate": Float(1e-5, 1e-2, log=True),
        "depth": Choice((Option(2), Option(4))),
        "sampling": Choice((Option(True), Option(False))),
        "limit": Choice((Option("none"), Option(32))),
        "layers": Choice((Option(None), Option("top_half"))),
    }
)
LORA = {
    "adapter": "lora", "adapter.lora.rank": 8, "learning_rate": 1e-3, "depth": 2,
    "sampling": True, "limit": 32, "layers": None,
}  # fmt: skip
FULL = {
    "adapter": "full", "learning_rate": 1e-4, "depth": 4, "sampling": False, "limit": "none",
    "layers": "top_half",
}  # fmt: skip


def event(kind: str, number: int, **fields: Any) -> dict[str, Any]:
    time = f"2026-01-01T00:00:{number:02d}.000+00:00"
    return {"seq": number, "epoch": 1, "at": float(number), "time": time, "kind": kind, **fields}


def reported(number: int, trial: str, resource: int, **metrics: float) -> dict[str, Any]:
    told = {name: number_to_json(value) for name, value in metrics.items()}
    return event(
        "reported", number, trial=trial, resource=resource, metrics=told, seconds=resource / 4,
        checkpoint=None,
    )  # fmt: skip


def decided(number: int, trial: str, resource: int, state: str, reason: str) -> dict[str, Any]:
    return event(
        "decided", number, trial=trial, resource=resource, decision="x", state=state,
        reason=reason, by="rule",
    )  # fmt: skip


def suggested(number: int, trial: str, values: dict[str, Any]) -> dict[str, Any]:
    return event(
        "suggested", number, trial=trial, values=values, seed=1, source="random", bracket=0
    )


def started(number: int, trial: str) -> dict[str, Any]:
    return event("started", number, trial=trial, attempt=1)


def a_search() -> list[dict[str, Any]]:
    return [
        event("opened", 1),
        event("baseline", 2, name="majority", metrics={"macro_f1": 0.1}, seconds=0.1),
        suggested(3, "t0001", LORA),
        started(4, "t0001"),
        reported(5, "t0001", 8, macro_f1=0.6, train_loss=1.5, learning_rate=1e-3),
        decided(6, "t0001", 8, "paused", "rung 8: 1st of 1"),
        suggested(7, "t0002", FULL),
        started(8, "t0002"),
        reported(9, "t0002", 8, macro_f1=math.nan, train_loss=math.nan),
        event(
            "failed", 10, trial="t0002", message="macro_f1 is nan at 8", state="diverged",
            reason="not tried again", attempt=1, shrink=1, **{"class": "diverged"},
        ),
        event("promoted", 11, trial="t0001", reason="the best of 1", by="rule"),
        started(12, "t0001"),
        reported(13, "t0001", 16, macro_f1=0.5, train_loss=1.0, learning_rate=5e-4),
        decided(14, "t0001", 16, "completed", "completed 16"),
        event("closed", 15, reason="2 trials were tried"),
    ]  # fmt: skip


def read(folder: Path) -> EventAccumulator:
    accumulator = EventAccumulator(str(folder))
    accumulator.Reload()
    return accumulator


def points(folder: Path, tag: str) -> list[tuple[int, float]]:
    return [(e.step, round(e.value, 6)) for e in read(folder).Scalars(tag)]


def hparams(folder: Path) -> tuple[Any, dict[str, Any]]:
    """What TensorBoard's HParams page is given: the experiment, and the sessions by run."""
    multiplexer = EventMultiplexer()
    multiplexer.AddRunsFromDirectory(str(folder))
    multiplexer.Reload()
    provider = MultiplexerDataProvider(multiplexer, str(folder))
    context = backend_context.Context(base_plugin.TBContext(data_provider=provider))
    asked = RequestContext()
    experiment = get_experiment.Handler(
        asked, context, "", api_pb2.GetExperimentRequest(experiment_name="")
    ).run()
    statuses = [api_pb2.STATUS_UNKNOWN, api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE]
    statuses.append(api_pb2.STATUS_RUNNING)
    groups = list_session_groups.Handler(
        asked,
        context,
        "",
        api_pb2.ListSessionGroupsRequest(allowed_statuses=statuses, slice_size=100),
    ).run()
    return experiment, {group.name: group for group in groups.session_groups}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    rebuild(tmp_path / "trials", SPACE, MACRO_F1, a_search())
    return tmp_path / "trials"


def test_each_trial_is_a_run_with_its_metrics_by_resource(log: Path) -> None:
    assert points(log / "t0001", "validation/macro_f1") == [(8, 0.6), (16, 0.5)]
    assert points(log / "t0001", "train/loss") == [(8, 1.5), (16, 1.0)]
    assert points(log / "t0001", "train/learning_rate") == [(8, 0.001), (16, 0.0005)]
    assert points(log / "t0001", "cost/seconds") == [(8, 2.0), (16, 4.0)]


def test_best_and_last_metric_are_kept_apart(log: Path) -> None:
    assert points(log / "t0001", "best/macro_f1") == [(8, 0.6), (16, 0.6)]
    assert points(log / "t0001", "last/macro_f1") == [(8, 0.6), (16, 0.5)]


def test_a_diverged_trial_shows_its_nan_but_has_no_best(log: Path) -> None:
    tags = read(log / "t0002").Tags()["scalars"]
    assert math.isnan(points(log / "t0002", "validation/macro_f1")[0][1])
    assert "best/macro_f1" not in tags


def test_every_decision_promotion_and_failure_stands_in_the_run_as_text(log: Path) -> None:
    def words(trial: str, tag: str) -> list[str]:
        found = read(log / trial).Tensors(tag)
        return [event.tensor_proto.string_val[0].decode() for event in found]

    assert words("t0001", "reason") == ["rung 8: 1st of 1", "completed 16"]
    assert words("t0001", "promotion") == ["the best of 1"]
    assert words("t0002", "failure") == ["diverged: macro_f1 is nan at 8 (not tried again)"]


def test_hparams_knows_the_space_and_each_trials_values_with_their_types(log: Path) -> None:
    experiment, sessions = hparams(log)
    kinds = {info.name: api_pb2.DataType.Name(info.type) for info in experiment.hparam_infos}
    assert kinds == {
        "adapter": "DATA_TYPE_STRING",
        "adapter.lora.rank": "DATA_TYPE_FLOAT64",
        "learning_rate": "DATA_TYPE_FLOAT64",
        "depth": "DATA_TYPE_FLOAT64",
        "sampling": "DATA_TYPE_BOOL",
        "limit": "DATA_TYPE_STRING",
        "layers": "DATA_TYPE_STRING",
    }
    first, second = sessions["t0001"].hparams, sessions["t0002"].hparams
    assert first["adapter.lora.rank"].number_value == 8
    assert first["learning_rate"].number_value == 1e-3
    assert first["sampling"].bool_value is True
    assert first["limit"].string_value == "32"
    assert second["adapter"].string_value == "full"
    assert "adapter.lora.rank" not in second
    assert "layers" not in first


def test_hparams_shows_best_and_last_metric_and_how_each_trial_ended(log: Path) -> None:
    _, sessions = hparams(log)
    (session,) = sessions["t0001"].sessions
    assert session.name == "t0001"
    values = {value.name.tag: round(value.value, 6) for value in session.metric_values}
    assert values == {"best/macro_f1": 0.6, "last/macro_f1": 0.5, "cost/seconds": 4.0}
    assert session.status == api_pb2.STATUS_SUCCESS
    assert sessions["t0002"].sessions[0].status == api_pb2.STATUS_FAILURE


def test_hparams_stand_from_the_start_while_trials_still_run(tmp_path: Path) -> None:
    view = Scalars(tmp_path, SPACE, MACRO_F1)
    view(a_search()[0])
    assert {info.name for info in hparams(tmp_path)[0].hparam_infos} >= {"adapter", "depth"}
    for one in a_search()[1:4]:
        view(one)
    _, sessions = hparams(tmp_path)
    assert sessions["t0001"].hparams["adapter"].string_value == "lora"
    assert sessions["t0001"].sessions[0].status == api_pb2.STATUS_UNKNOWN
    view.close()


def test_the_log_grows_with_each_event_and_ends_as_if_rebuilt(tmp_path: Path, log: Path) -> None:
    live = tmp_path / "live"
    view = Scalars(live, SPACE, MACRO_F1)
    for one in a_search()[:5]:
        view(one)
    assert points(live / "t0001", "validation/macro_f1") == [(8, 0.6)]
    for one in a_search()[5:]:
        view(one)
    view.close()
    for tag in read(log / "t0001").Tags()["scalars"]:
        assert points(live / "t0001", tag) == points(log / "t0001", tag)


@pytest.mark.parametrize("cut", range(1, 15))
def test_a_search_that_is_resumed_has_every_point_once(tmp_path: Path, cut: int, log: Path) -> None:
    resumed = tmp_path / "resumed"
    view = Scalars(resumed, SPACE, MACRO_F1)
    for one in a_search()[:cut]:
        view(one)
    again = Scalars(resumed, SPACE, MACRO_F1, earlier=a_search()[:cut])
    for one in a_search()[cut:]:
        again(one)
    again.close()
    view.close()
    for tag in read(log / "t0001").Tags()["scalars"]:
        assert points(resumed / "t0001", tag) == points(log / "t0001", tag)
    assert len(hparams(resumed)[1]) == 2


def test_a_tensorboard_that_is_open_during_a_resume_drops_the_old_points(tmp_path: Path) -> None:
    view = Scalars(tmp_path, SPACE, MACRO_F1)
    for one in a_search()[:5]:
        view(one)
    reader = EventAccumulator(str(tmp_path / "t0001"))
    reader.Reload()
    Scalars(tmp_path, SPACE, MACRO_F1, earlier=a_search()).close()
    reader.Reload()
    assert [e.step for e in reader.Scalars("validation/macro_f1")] == [8, 16]


def test_the_same_events_give_the_same_files(tmp_path: Path, log: Path) -> None:
    rebuild(tmp_path / "twin", SPACE, MACRO_F1, a_search())
    files = [path.relative_to(log) for path in log.rglob("*tfevents*")]
    assert len(files) == 3
    for file in files:
        assert (log / file).read_bytes() == (tmp_path / "twin" / file).read_bytes()


def test_a_paused_trial_that_is_stopped_at_the_end_has_its_last_point_once(tmp_path: Path) -> None:
    end = decided(7, "t0001", 8, "stopped", "nobody promoted it")
    rebuild(tmp_path, SPACE, MACRO_F1, [*a_search()[:6], end])
    assert points(tmp_path / "t0001", "best/macro_f1") == [(8, 0.6)]
    assert hparams(tmp_path)[1]["t0001"].sessions[0].status == api_pb2.STATUS_SUCCESS


def test_files_of_other_writers_stay(tmp_path: Path) -> None:
    foreign = tmp_path / "t0001" / "events.out.tfevents.1700000000.host.1.0"
    foreign.parent.mkdir()
    foreign.write_bytes(b"")
    rebuild(tmp_path, SPACE, MACRO_F1, a_search())
    assert foreign.exists()


def test_baselines_stand_in_the_root_run(log: Path) -> None:
    assert points(log, "baseline/majority/macro_f1") == [(0, 0.1)]


def test_paused_trials_hold_no_file_open(tmp_path: Path) -> None:
    view = Scalars(tmp_path, SPACE, MACRO_F1)
    for number in range(1, 60):
        trial = f"t{number:04d}"
        view(suggested(1, trial, FULL))
        view(started(2, trial))
        view(reported(3, trial, 8, macro_f1=0.5))
        view(decided(4, trial, 8, "paused", "why"))
    held = [p for p in Path("/proc/self/fd").iterdir() if "tfevents" in str(p.resolve())]
    assert len([p for p in held if str(tmp_path) in str(p.resolve())]) == 1
    view.close()
