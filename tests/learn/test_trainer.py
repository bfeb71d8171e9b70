from __future__ import annotations

import errno
import gc
import math
import shutil
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from toprung.core.errors import FixSpec, Interrupted, RetryTrial, TrialDiverged
from toprung.learn.run import Run
from toprung.learn.trainer import Trainer
from toprung.storage.store import StorageError, Store, open_store
from toprung.trial.config import Assignment, Resource
from toprung.trial.report import Report

Make = Callable[..., Trainer]
Assign = Callable[..., Assignment]
TIMES = {"rows_per_second"}


def values(report: Report) -> dict[str, float]:
    return {name: value for name, value in report.metrics.items() if name not in TIMES}


def trained(trainer: Trainer, point: int, trial: str = "t0001") -> dict[str, torch.Tensor]:
    folder = trainer.folder / trial / "checkpoints" / str(point)
    return {
        **load_file(folder / "weights.safetensors"),
        **load_file(folder / "training.safetensors"),
    }


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


def test_a_trial_reports_at_every_point_with_scores_and_checkpoint(
    trainer: Make, assign: Assign
) -> None:
    plan = trainer()
    reports = list(plan(assign()))
    assert [report.resource for report in reports] == [60, 120, 180]
    for report in reports:
        told = {"accuracy", "macro_f1", "log_loss", "train_loss", "learning_rate"}
        assert told | TIMES <= set(report.metrics)
        kept = {path.name for path in (plan.folder / "t0001" / "predictions").iterdir()}
        assert f"{report.resource}.stopping.npy" in kept
        assert (f"{report.resource}.selection.npy" in kept) == (report.resource == 180)
    for name in ("stopping", "selection"):
        scores = np.load(plan.folder / "t0001" / "predictions" / f"180.{name}.npy")
        assert (scores.shape, scores.dtype) == ((20, 3), np.float32)
    assert [r.seconds for r in reports] == sorted(r.seconds for r in reports)
    assert reports[-1].checkpoint == "checkpoints/180"
    assert not list(plan.folder.rglob("*.tmp"))


def test_between_rungs_a_trial_reports_without_a_checkpoint_and_still_goes_on_bit_for_bit(
    trainer: Make, assign: Assign, tmp_path: Path
) -> None:
    plan = trainer(resource=Resource("examples", 60, 180, (60, 120, 180), (60, 180)))
    through = list(plan(assign(dropout=0.3)))
    assert [report.checkpoint for report in through] == ["checkpoints/60", None, "checkpoints/180"]
    cut_off = trainer(
        resource=Resource("examples", 60, 180, (60, 120, 180), (60, 180)), folder=tmp_path / "cut"
    )
    reports = cut_off(assign(dropout=0.3))
    assert [next(reports).resource, next(reports).resource] == [60, 120]
    reports.close()
    resumed = list(cut_off(assign(dropout=0.3, start=120)))
    assert [report.resource for report in resumed] == [180]
    assert same(trained(cut_off, 180), trained(plan, 180))


def test_a_trial_learns(trainer: Make, assign: Assign) -> None:
    plan = trainer(resource=Resource("epochs", 2, 12, (2, 12)))
    reports = list(plan(assign(adapter="full", learning_rate=1e-2, pooling="max")))
    assert reports[-1].metrics["train_loss"] < 0.5 * reports[0].metrics["train_loss"]
    assert reports[-1].metrics["accuracy"] > 0.8


CONFIGS: list[dict[str, Any]] = [
    {"adapter": "lora", "adapter__lora__layers": "top_half", "adapter__lora__dropout": 0.2},
    {"adapter": "full", "layer_decay": 0.8, "schedule": "plateau", "dropout": 0.3},
    {"adapter": "frozen", "head": "mlp", "head__mlp__residual": True, "sampling": "balanced"},
    {"adapter": "lora", "accumulation": 2, "loss": "focal", "pooling": "attention"},
]


@pytest.mark.parametrize("config", CONFIGS)
def test_a_trial_resumed_at_every_point_equals_one_that_ran_through(
    trainer: Make, assign: Assign, tmp_path: Path, config: dict[str, Any]
) -> None:
    through, resumed = trainer(), trainer(folder=tmp_path / "resumed")
    expected = list(through(assign(**config)))
    got = []
    for start in (0, 60, 120):
        calls = resumed(assign(start=start, **config))
        got.append(next(iter(calls)))
        calls.close()  # type: ignore[attr-defined]
    assert [values(report) for report in got] == [values(report) for report in expected]
    assert same(trained(through, 180), trained(resumed, 180))
    for path in sorted((through.folder / "t0001" / "predictions").iterdir()):
        assert (resumed.folder / "t0001" / "predictions" / path.name).read_bytes() == (
            path.read_bytes()
        )


@pytest.mark.parametrize("config", CONFIGS[:2])
def test_a_trial_paused_between_points_goes_on_bit_for_bit(
    trainer: Make, assign: Assign, tmp_path: Path, config: dict[str, Any]
) -> None:
    class PauseFile:
        """Exists when asked for the n-th time."""

        def __init__(self, at: int) -> None:
            self.left = at

        def exists(self) -> bool:
            self.left -= 1
            return self.left == 0

    through = trainer()
    expected = list(through(assign(**config)))
    for at in (1, 4, 11):
        folder = tmp_path / f"paused{at}"
        paused = trainer(folder=folder, pause_file=PauseFile(at))
        got: list[Report] = []
        with pytest.raises(Interrupted, match="t0001 was paused after"):
            got.extend(paused(assign(**config)))
        assert (folder / "t0001" / "checkpoints" / "partial").is_dir()
        reached = max(
            [0, *(60 * i for i in (1, 2) if (folder / f"t0001/checkpoints/{60 * i}").exists())]
        )
        rest = list(trainer(folder=folder)(assign(start=reached, **config)))
        assert [r.resource for r in rest] == [p for p in (60, 120, 180) if p > reached]
        assert values(rest[-1]) == values(expected[-1])
        assert same(trained(through, 180), trained(paused, 180))
        assert not (folder / "t0001" / "checkpoints" / "partial").exists()


def test_a_report_that_was_lost_is_given_again_and_not_trained_again(
    trainer: Make, assign: Assign
) -> None:
    plan = trainer()
    expected = list(plan(assign()))
    newest = plan.folder / "t0001" / "checkpoints" / "180" / "weights.safetensors"
    written = newest.stat().st_mtime_ns
    again = list(plan(assign(start=60)))
    assert again == expected[1:]
    assert newest.stat().st_mtime_ns == written


def test_a_broken_newest_checkpoint_is_trained_again_from_the_one_before(
    trainer: Make, assign: Assign
) -> None:
    plan = trainer()
    expected = list(plan(assign()))
    path = plan.folder / "t0001" / "checkpoints" / "180" / "weights.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    again = list(plan(assign(start=120)))
    assert [values(report) for report in again] == [values(expected[2])]
    assert path.read_bytes() == whole


def test_points_reported_before_are_not_reported_again_without_checkpoints(
    trainer: Make, assign: Assign
) -> None:
    plan = trainer()
    expected = list(plan(assign()))
    shutil.rmtree(plan.folder)
    again = list(plan(assign(start=120)))
    assert [values(report) for report in again] == [values(expected[2])]


def test_trials_that_take_turns_in_a_process_do_not_disturb_each_other(
    trainer: Make, assign: Assign, tmp_path: Path
) -> None:
    alone = {n: list(trainer()(assign(n, dropout=0.3))) for n in (1, 2)}
    plan = trainer(folder=tmp_path / "turns")
    turns = [plan(assign(n, dropout=0.3)) for n in (1, 2)]
    mixed: dict[int, list[Report]] = {1: [], 2: []}
    for _ in range(3):
        for n, calls in zip((1, 2), turns, strict=True):
            mixed[n].append(next(iter(calls)))
            torch.rand(7)
    for n in (1, 2):
        assert [values(r) for r in mixed[n]] == [values(r) for r in alone[n]]


def test_a_trial_that_is_over_is_freed_without_the_garbage_collector(
    trainer: Make, assign: Assign, monkeypatch: pytest.MonkeyPatch
) -> None:
    models: list[weakref.ref[torch.nn.Module]] = []
    make_loop = Run._make_loop

    def keep(own: Run) -> Any:
        models.append(weakref.ref(own.model))
        return make_loop(own)

    monkeypatch.setattr(Run, "_make_loop", keep)
    gc.collect()
    gc.disable()
    try:
        assert list(trainer()(assign()))
        assert models[0]() is None
    finally:
        gc.enable()


def test_training_leaves_the_process_s_random_stream_alone(trainer: Make, assign: Assign) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    for _ in trainer()(assign()):
        pass
    assert torch.equal(torch.rand(3), expected)


def test_smaller_micro_batches_give_the_same_gradients(
    trainer: Make, assign: Assign, tmp_path: Path
) -> None:
    config = {"adapter": "full", "dropout": 0.0, "loss": "cross_entropy"}
    config["loss.cross_entropy.class_weights"] = "balanced"
    whole = list(trainer()(assign(**config)))
    shrunk = replace(assign(**config), shrink=4, attempt=2)
    parts = list(trainer(folder=tmp_path / "shrunk")(shrunk))
    for one, other in zip(whole, parts, strict=True):
        assert math.isclose(one.metrics["train_loss"], other.metrics["train_loss"], rel_tol=1e-4)


def test_activations_that_are_computed_again_change_no_bit_and_are_not_kept(
    trainer: Make, assign: Assign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shrunk = replace(assign(adapter="full", dropout=0.2), shrink=4, attempt=3)
    kept, losses = [], []
    for limit in (4, 8):
        monkeypatch.setattr("toprung.trial.config.RECOMPUTES_FROM", limit)
        sizes: list[int] = []

        def pack(tensor: torch.Tensor, sizes: list[int] = sizes) -> torch.Tensor:
            sizes.append(tensor.nbytes)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            reports = list(trainer(folder=tmp_path / str(limit))(shrunk))
        kept.append(sum(sizes))
        losses.append([(r.metrics["train_loss"], r.metrics["log_loss"]) for r in reports])
    assert losses[0] == losses[1]
    assert kept[0] < kept[1] / 2


def test_accumulated_batches_give_the_same_steps_as_whole_ones(
    trainer: Make, assign: Assign, tmp_path: Path
) -> None:
    config = {"adapter": "full", "dropout": 0.0}
    whole = list(trainer()(assign(batch_size=16, **config)))
    parts = list(trainer(folder=tmp_path / "a")(assign(batch_size=4, accumulation=4, **config)))
    for one, other in zip(whole, parts, strict=True):
        assert math.isclose(one.metrics["train_loss"], other.metrics["train_loss"], rel_tol=1e-4)


def test_a_rate_that_is_far_too_high_diverges_and_says_where(trainer: Make, assign: Assign) -> None:
    config = {"adapter": "full", "learning_rate": 1e30, "max_grad_norm": 1e30, "warmup": 0.0}
    with pytest.raises(TrialDiverged, match=r"at (step \d+|60)"):
        list(trainer()(assign(**config)))


def test_the_rate_follows_the_largest_resource_and_not_the_rungs(
    trainer: Make, assign: Assign, tmp_path: Path
) -> None:
    few = list(trainer(resource=Resource("examples", 120, 180, (120, 180)))(assign()))
    many = trainer(folder=tmp_path / "many", resource=Resource("examples", 30, 180, (30, 120, 180)))
    other = [report for report in many(assign()) if report.resource != 30]
    rates = [[r.metrics["learning_rate"] for r in reports] for reports in (few, other)]
    assert rates[0] == rates[1]
    assert [r.metrics["log_loss"] for r in few] == [r.metrics["log_loss"] for r in other]


def test_final_members_may_be_trained_on_the_rows_that_sampling_left_out(
    trainer: Make, assign: Assign
) -> None:
    plan = trainer(rows="all", resource=Resource("epochs", 1, 1, (1,)))
    assert plan.trained_splits() == ["train", "extra"]
    report = next(iter(plan(assign())))
    assert report.resource == 1


def test_bfloat16_stays_near_float32_and_keeps_weights_in_float32(
    trainer: Make, assign: Assign, tmp_path: Path
) -> None:
    config = {"adapter": "lora", "dropout": 0.0}
    full = list(trainer()(assign(**config)))
    half_plan = trainer(folder=tmp_path / "half", precision="bfloat16")
    half = list(half_plan(assign(**config)))
    assert all(t.dtype != torch.bfloat16 for t in trained(half_plan, 180).values())
    for one, other in zip(full, half, strict=True):
        assert math.isclose(one.metrics["train_loss"], other.metrics["train_loss"], rel_tol=0.02)


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"pooling": "mena"}, "Did you mean 'mean'"),
        ({"adapter": "lora", "adapter__lora__ranks": 3}, "ranks"),
        ({"backbone": "big"}, "no card 'big'"),
    ],
)
def test_a_configuration_that_fits_nothing_is_told(
    trainer: Make, assign: Assign, config: dict[str, Any], text: str
) -> None:
    with pytest.raises(FixSpec, match=text):
        list(trainer()(assign(**config)))


def spoil(folder: Path, how: str) -> None:
    """Damages a checkpoint as disks and people do."""
    weights = folder / "weights.safetensors"
    content = weights.read_bytes()
    if how == "truncated":
        weights.write_bytes(content[: len(content) // 2])
    elif how == "flipped":
        weights.write_bytes(content[:-9] + bytes([content[-9] ^ 4]) + content[-8:])
    else:
        shutil.rmtree(folder)


@pytest.mark.parametrize("how", ["truncated", "flipped", "deleted"])
def test_where_the_newest_checkpoint_is_spoiled_the_one_before_is_used_and_the_report_says_so(
    how: str, trainer: Make, assign: Assign, tmp_path: Path
) -> None:
    through = list(trainer()(assign()))
    spoiled = trainer(folder=tmp_path / "spoiled")
    reports = spoiled(assign())
    assert [next(reports).resource, next(reports).resource] == [60, 120]
    reports.close()
    spoil(spoiled.folder / "t0001" / "checkpoints" / "120", how)
    (last,) = spoiled(assign(start=120))
    assert last.note == "no whole checkpoint at 120; went on from 60"
    assert values(last) == values(through[-1])
    assert same(trained(spoiled, 180), trained(trainer(), 180))
    again = Report.from_json(last.to_json())
    assert again.note == last.note
    assert "note" not in through[-1].to_json()


def test_a_worker_that_was_taken_for_dead_writes_no_checkpoint_any_more(
    trainer: Make, assign: Assign
) -> None:
    plan = trainer()
    late = plan(assign())
    assert next(late).resource == 60
    other = plan(replace(assign(start=60), attempt=2))
    assert next(other).resource == 120
    before = sorted((plan.folder / "t0001" / "checkpoints").iterdir())
    with pytest.raises(RetryTrial, match="given to another worker"):
        next(late)
    assert sorted((plan.folder / "t0001" / "checkpoints").iterdir()) == before
    assert [report.resource for report in other] == [180]


def test_what_a_storage_that_was_away_has_not_got_is_put_before_it_is_told_again(
    trainer: Make,
    assign: Assign,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("TOPRUNG_CACHE", str(tmp_path / "node"))
    store = open_store("memory://away")
    kept = trainer(store=store)
    really = Store.upload

    def upload(self: Store, file: Path, key: str) -> None:
        if "/120" in key:
            raise StorageError(errno.EIO, "it does not answer")
        really(self, file, key)

    monkeypatch.setattr(Store, "upload", upload)
    reports = kept(assign())
    assert next(reports).resource == 60
    with pytest.raises(StorageError):
        next(reports)
    monkeypatch.setattr(Store, "upload", really)
    again = kept(assign())
    told = [next(again).resource, next(again).resource]
    again.close()
    assert told == [60, 120]
    assert any("/120-" in key and key.endswith("manifest.json") for key in store.sizes("trials"))
    store.delete(store.sizes())
