"""The janitor frees what losers left, and nothing that anybody will need again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from toprung.core.seeds import derive_seed
from toprung.data.tasks.single_label import SingleLabel
from toprung.judge.finalists import choose_finalists, member_report
from toprung.judge.janitor import Removal, choose_removals
from toprung.judge.leaderboard import rank_trials
from toprung.search.driver import Driver
from toprung.search.plan import Plan
from toprung.search.runners.virtual import Virtual, simulate, synthetic_curve
from toprung.search.schedulers.asha import Asha
from toprung.search.searchers.random import Random
from toprung.trial.config import Assignment, Resource, TrialConfig
from toprung.trial.history import History, TrialRecord
from toprung.trial.journal import Event, Journal
from toprung.trial.report import Metric, Report
from toprung.trial.space import Float, Space

METRIC = Metric("macro_f1")
RESOURCE = Resource("examples", 1, 27, (1, 3, 9, 27))
SPACE = Space({"x": Float(0.0, 1.0)})
EVERYTHING = 10**12


@dataclass
class Disk:
    """What a search would have on disk: a checkpoint of ten bytes and predictions a report."""

    finalists: int
    sizes: dict[str, int] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    history: History = field(default_factory=History)
    needed_too_late: list[str] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        self.history.apply(event)
        trial = event.get("trial")
        if event["kind"] == "reported":
            self.gone = {item for item in self.gone if not item.startswith(f"{trial}/")}
            item = f"{trial}/checkpoints/{event['resource']}"
            self.sizes |= {item: 4, f"{item}/training": 6, f"{trial}/predictions": 1}
        if event["kind"] in ("promoted", "finalist", "started"):
            record = self.history.trials[event["trial"]]
            if f"{trial}/checkpoints/{record.resource}" in self.gone:
                self.needed_too_late.append(f"{event['kind']} {trial}")
        if event["kind"] in ("decided", "failed", "closed"):
            self.clean()

    def clean(self) -> list[Removal]:
        found = choose_removals(
            self.history, METRIC, self.sizes, excess=EVERYTHING, finalists=self.finalists
        )
        self.gone.update(one.item for one in found)
        for one in found:
            del self.sizes[one.item]
        return found


def play(folder: Path, seed: int, *, rule: str, failing: int, finalists: int) -> tuple[Disk, bool]:
    """A whole search with its ensemble, cleaned after every decision as if the disk were full."""
    runner, scheduler, searcher = Virtual(workers=3), Asha(rule=rule), Random()  # type: ignore[arg-type]
    scheduler.prepare(RESOURCE, METRIC)
    searcher.prepare(SPACE, seed)
    learn = simulate(synthetic_curve(METRIC, RESOURCE), RESOURCE, METRIC)

    def train(assignment: Assignment) -> Iterator[Report]:
        for report in learn(assignment):
            if failing and derive_seed(seed, report.trial, report.resource) % failing == 0:
                raise ValueError("a bug of the trial's own")
            yield Report(
                report.trial,
                report.resource,
                {**report.metrics, "evaluated_rows": 8},
                report.seconds,
                f"checkpoints/{report.resource}",
            )

    disk = Disk(finalists)
    with Journal(folder, runner.clock, durable=False) as journal:
        plan = Plan(METRIC, RESOURCE, 24, seed=seed)
        driver = Driver(plan, scheduler, searcher, journal, watchers=[disk])
        runner.run(driver, train)
        driver.finish()
        chosen = choose_finalists(
            rank_trials(driver.history, METRIC), {}, finalists, task=SingleLabel()
        )
        driver.train_fully([one.trial for one in chosen])
        runner.run(driver, train)
        completed = driver.history.in_state("completed")
    return disk, all(has_its_weights(disk, record) for record in completed)


def has_its_weights(disk: Disk, record: TrialRecord) -> bool:
    best, trial = member_report(record, METRIC), record.config.trial
    assert best is not None
    return f"{trial}/checkpoints/{best.resource}" in disk.sizes and (
        f"{trial}/predictions" in disk.sizes
    )


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10_000),
    st.sampled_from(["promote", "stop"]),
    st.sampled_from([0, 5, 11]),
    st.integers(1, 4),
)
def test_nothing_is_removed_that_a_search_goes_on_with(
    seed: int, rule: str, failing: int, finalists: int
) -> None:
    with TemporaryDirectory() as folder:
        disk, whole = play(Path(folder), seed, rule=rule, failing=failing, finalists=finalists)
    assert disk.needed_too_late == []
    assert whole
    assert disk.gone


def record(trial: str, state: str, *scores: float) -> TrialRecord:
    reports = [
        Report(trial, 3**i, {"macro_f1": score, "evaluated_rows": 8}, 1.0, f"checkpoints/{3**i}")
        for i, score in enumerate(scores)
    ]
    config = TrialConfig(trial, {"x": 0.5}, 1)
    reached = 3 ** (len(scores) - 1)
    return TrialRecord(config, "random", state=state, reports=reports, resource=reached)  # type: ignore[arg-type]


def history_of(*records: TrialRecord) -> History:
    trials = {one.config.trial: one for one in records}
    return History(trials=trials, suggested=list(records))


LOSERS: Sequence[TrialRecord] = [record(f"t{n:04d}", "stopped", 0.9 - n / 100) for n in range(1, 7)]


def items(removals: Sequence[Removal]) -> list[str]:
    return [one.item for one in removals]


def test_the_worst_go_first_and_no_more_than_must() -> None:
    sizes = {f"{one.config.trial}/checkpoints/1": 10 for one in LOSERS}
    history = history_of(*LOSERS)
    found = choose_removals(history, METRIC, sizes, excess=15, finalists=1)
    assert items(found) == ["t0006/checkpoints/1", "t0005/checkpoints/1"]
    assert choose_removals(history, METRIC, sizes, excess=0, finalists=1) == []
    # The best three of those that are over are what one finalist is chosen among.
    most = choose_removals(history, METRIC, sizes, excess=EVERYTHING, finalists=1)
    assert items(most) == [f"t000{n}/checkpoints/1" for n in (6, 5, 4)]
    assert all("finalist" in one.reason for one in most)


def test_failed_trials_go_before_stopped_ones_and_their_predictions_last() -> None:
    failed = record("t0007", "failed", 0.99)
    sizes = {
        "t0007/checkpoints/1": 10,
        "t0007/predictions": 1,
        "t0006/checkpoints/1": 10,
        "t0006/predictions": 1,
    }
    found = choose_removals(
        history_of(*LOSERS, failed), METRIC, sizes, excess=EVERYTHING, finalists=1
    )
    assert items(found) == [
        "t0007/checkpoints/1",
        "t0006/checkpoints/1",
        "t0007/predictions",
        "t0006/predictions",
    ]


def test_of_a_completed_trial_the_weights_it_gives_to_an_ensemble_stay() -> None:
    done = record("t0001", "completed", 0.5, 0.8, 0.7)
    sizes = {f"t0001/checkpoints/{n}": 4 for n in (1, 3, 9)}
    sizes |= {f"t0001/checkpoints/{n}/training": 6 for n in (3, 9)}
    sizes["t0001/predictions"] = 1
    found = choose_removals(history_of(done), METRIC, sizes, excess=EVERYTHING, finalists=1)
    assert sorted(items(found)) == [
        "t0001/checkpoints/1",
        "t0001/checkpoints/3/training",
        "t0001/checkpoints/9",
        "t0001/checkpoints/9/training",
    ]


def test_what_a_dead_writer_left_goes_first_but_not_what_a_live_one_writes() -> None:
    sizes = {
        "t0001/checkpoints/.9.77.tmp": 9,
        "t0002/checkpoints/.9.78.tmp": 9,
        "t0002/checkpoints/3": 9,
    }
    history = history_of(record("t0001", "paused", 0.5), record("t0002", "running", 0.5))
    found = choose_removals(history, METRIC, sizes, excess=EVERYTHING, finalists=1)
    assert items(found) == ["t0001/checkpoints/.9.77.tmp"]


def test_the_same_disk_and_journal_give_the_same_removals_and_then_none() -> None:
    history = history_of(*LOSERS)
    sizes = {f"{one.config.trial}/checkpoints/1": 10 for one in LOSERS}
    first = choose_removals(history, METRIC, sizes, excess=25, finalists=1)
    assert first == choose_removals(history, METRIC, sizes, excess=25, finalists=1)
    left = {item: size for item, size in sizes.items() if item not in items(first)}
    freed = sum(one.size for one in first)
    assert choose_removals(history, METRIC, left, excess=25 - freed, finalists=1) == []
