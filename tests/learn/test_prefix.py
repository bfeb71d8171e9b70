from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from toprung.learn.backbone.card import find_card
from toprung.learn.backbone.load import load_backbone
from toprung.learn.model import build_model
from toprung.learn.prefix import Prefix, PrefixKey
from toprung.learn.prefixes import Prefixes
from toprung.learn.tokens import Tokens
from toprung.learn.trainer import Trainer
from toprung.trial.config import TrialConfig
from toprung.trial.report import Report

CPU = torch.device("cpu")
CONFIGS: list[dict[str, Any]] = [
    {"adapter": "frozen", "pooling": "attention"},
    {"adapter": "lora", "adapter__lora__layers": "top_third", "dropout": 0.2},
    {"adapter": "lora", "adapter__lora__layers": "top_half", "accumulation": 2},
]


def make_tokens(count: int = 300) -> Tokens:
    lengths = np.random.default_rng(0).integers(1, 90, count)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Tokens(np.arange(offsets[-1], dtype=np.int32), offsets, "key")


def lower(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Stands in for layers: a vector that tells which token it is of."""
    return torch.stack([ids.float(), -ids.float()], dim=-1) * mask[..., None]


def open_prefix(folder: Path, **changes: Any) -> Prefix:
    values = {"hidden": 2, "dtype": torch.float32, "padding": 0, **changes}
    return Prefix(folder, make_tokens(), **values)


def no_call(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    raise AssertionError("everything was computed already")


def facts(reports: Iterator[Report]) -> list[dict[str, float]]:
    kept = []
    for report in reports:
        metrics = dict(report.metrics)
        del metrics["rows_per_second"]
        kept.append(metrics)
    return kept


def test_rows_come_back_as_they_were_computed(tmp_path: Path) -> None:
    prefix, tokens = open_prefix(tmp_path), make_tokens()
    rows = np.array([7, 299, 0, 7])
    states = prefix.take(rows, lower, CPU)
    for row, found in zip(rows, states, strict=True):
        ids = tokens.ids[tokens.offsets[row] : tokens.offsets[row + 1]]
        assert found[: len(ids), 0].tolist() == ids.tolist()
        assert not found[len(ids) :].any()


def test_only_blocks_that_are_asked_for_are_computed(tmp_path: Path) -> None:
    prefix = open_prefix(tmp_path)
    prefix.take(np.array([3]), lower, CPU)
    assert 0 < prefix.share < 1
    assert prefix.computed.tokens <= 512


def test_another_process_reads_what_one_has_computed(tmp_path: Path) -> None:
    open_prefix(tmp_path).fill(lower, CPU)
    other = open_prefix(tmp_path)
    assert other.share == 1
    assert other.take(np.arange(300), no_call, CPU).shape[0] == 300


def test_bfloat16_is_kept_bit_for_bit(tmp_path: Path) -> None:
    prefix = open_prefix(tmp_path, dtype=torch.bfloat16)
    states = prefix.take(np.array([5]), lambda i, m: lower(i, m).bfloat16(), CPU)
    tokens = make_tokens()
    ids = torch.from_numpy(tokens.ids[tokens.offsets[5] : tokens.offsets[6]].copy())
    assert states.dtype == torch.bfloat16
    assert torch.equal(states[0, :, 0], ids.bfloat16())


BUILDER = """
import sys, time
import numpy as np, torch
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_prefix import CPU, lower, open_prefix
def slow(ids, mask):
    time.sleep(0.1)
    return lower(ids, mask)
prefix = open_prefix(Path(sys.argv[2]))
print("open", flush=True)
prefix.fill(slow, CPU)
"""


def build(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", BUILDER, str(Path(__file__).parent), str(folder)]
    built = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert built.stdout is not None
    assert built.stdout.readline() == "open\n"
    return built


def test_a_killed_builder_loses_no_whole_block_and_holds_no_lock(tmp_path: Path) -> None:
    reader = open_prefix(tmp_path)
    builder = build(tmp_path)
    while reader.share == 0:
        assert builder.poll() is None
    builder.send_signal(signal.SIGKILL)
    builder.wait()
    kept = reader.share
    assert 0 < kept < 1
    reader.fill(lower, CPU)
    assert torch.equal(
        reader.take(np.arange(300), no_call, CPU),
        open_prefix(tmp_path / "twin").take(np.arange(300), lower, CPU),
    )


def test_a_lock_of_a_whole_file_as_nfs_makes_of_flock_holds_nobody_up(tmp_path: Path) -> None:
    mine = open_prefix(tmp_path)
    lock = "import fcntl, sys; f = open(sys.argv[1], 'r+'); fcntl.lockf(f, fcntl.LOCK_SH)"
    command = [sys.executable, "-c", f"{lock}; print('held', flush=True); sys.stdin.read()"]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([*command, str(mine.folder / "lock")], **pipes) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        filling = threading.Thread(target=mine.fill, args=(lower, CPU), daemon=True)
        filling.start()
        filling.join(30)
        assert mine.share == 1
        other.kill()


def test_two_processes_share_the_building(tmp_path: Path) -> None:
    builder = build(tmp_path)
    calls = []

    def counted(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        calls.append(len(ids))
        return lower(ids, mask)

    mine = open_prefix(tmp_path)
    mine.fill(counted, CPU)
    assert builder.wait() == 0
    assert mine.share == 1
    assert torch.equal(
        mine.take(np.arange(300), no_call, CPU),
        open_prefix(tmp_path / "alone").take(np.arange(300), lower, CPU),
    )


def key(**changes: Any) -> PrefixKey:
    values = {"backbone": "a", "config": "c", "layers": 2, "tokens": "t", "threads": 1}
    return PrefixKey(**{**values, "dtype": torch.float32, **changes})


@pytest.mark.parametrize(
    "change",
    [
        {"backbone": "b"},
        {"config": "d"},
        {"layers": 3},
        {"tokens": "u"},
        {"dtype": torch.bfloat16},
        {"threads": 2},
    ],
)
def test_whatever_decides_the_vectors_is_in_the_key(change: dict[str, Any]) -> None:
    assert key().name() != key(**change).name()


def test_a_cache_that_the_disk_budget_has_no_room_for_is_not_made(tmp_path: Path) -> None:
    tokens = make_tokens()
    needed = int(tokens.offsets[-1]) * 2 * 4
    assert Prefixes(tmp_path, needed - 1).open(key(), tokens, hidden=2, padding=0) is None
    assert Prefixes(tmp_path, needed).open(key(), tokens, hidden=2, padding=0) is not None


def test_the_least_recently_used_cache_makes_room_and_open_ones_stay(tmp_path: Path) -> None:
    tokens = make_tokens(3000)
    needed = int(tokens.offsets[-1]) * 64 * 4
    caches = Prefixes(tmp_path, int(2.5 * needed))

    def fill(layers: int, age: int) -> Prefix:
        prefix = caches.open(key(layers=layers), tokens, hidden=64, padding=0)
        assert prefix is not None
        prefix.fill(lambda ids, mask: ids.float()[..., None].expand(-1, -1, 64), CPU)
        os.utime(prefix.folder, (age, age))
        return prefix

    held = fill(1, age=1)
    newer = fill(2, age=2).folder
    third = fill(3, age=3).folder
    assert held.folder.is_dir()
    assert not newer.exists()
    assert third.is_dir()


@pytest.mark.parametrize("values", CONFIGS)
def test_training_from_the_cache_gives_the_same_bits_in_float32(
    trainer: Callable[..., Trainer],
    assign: Callable[..., Any],
    values: dict[str, Any],
    tmp_path: Path,
) -> None:
    computed = facts(trainer(prefix_bytes=0, folder=tmp_path / "computed")(assign(**values)))
    cold = facts(trainer(folder=tmp_path / "cold")(assign(**values)))
    warm = facts(trainer(folder=tmp_path / "warm")(assign(**values)))
    assert computed == cold == warm
    assert list((tmp_path / "cache" / "prefix").glob("*/*/states"))


def test_bfloat16_states_move_losses_by_less_than_rounding(
    trainer: Callable[..., Trainer], assign: Callable[..., Any], tmp_path: Path
) -> None:
    half: dict[str, Any] = {"precision": "bfloat16"}
    computed = facts(trainer(prefix_bytes=0, folder=tmp_path / "a", **half)(assign(**CONFIGS[1])))
    cached = facts(trainer(folder=tmp_path / "b", **half)(assign(**CONFIGS[1])))
    for one, other in zip(computed, cached, strict=True):
        assert one["train_loss"] == pytest.approx(other["train_loss"], abs=2e-2)


def test_trainable_embeddings_have_no_cache(
    trainer: Callable[..., Trainer], assign: Callable[..., Any], tmp_path: Path
) -> None:
    list(trainer()(assign(adapter="full")))
    assert not (tmp_path / "cache" / "prefix").exists()


def test_a_full_disk_costs_time_and_not_the_trial(
    trainer: Callable[..., Trainer],
    assign: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    computed = facts(trainer(prefix_bytes=0, folder=tmp_path / "a")(assign(**CONFIGS[1])))
    real = os.pwrite

    def full(descriptor: int, data: Any, offset: int) -> int:
        if offset > 1000:
            raise OSError(28, "No space left on device")
        return real(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", full)
    assert facts(trainer(folder=tmp_path / "b")(assign(**CONFIGS[1]))) == computed


def test_reading_that_is_slower_than_computing_does_not_pay(tmp_path: Path) -> None:
    prefix = open_prefix(tmp_path)
    assert prefix.pays
    prefix.computed.tokens = prefix.read.tokens = 1_000_000
    prefix.computed.seconds, prefix.read.seconds = 1.0, 2.0
    assert not prefix.pays
    prefix.read.seconds = 0.5
    assert prefix.pays


@pytest.mark.parametrize("width", [7, 15, 16, 23])
def test_a_real_encoder_scores_short_texts_from_the_cache_with_the_same_bits(width: int) -> None:
    card = find_card("minilm")
    values = {"adapter": "lora", "adapter.lora.rank": 4, "adapter.lora.layers": "top_third"}
    model = build_model(
        TrialConfig("t0001", values, 1),
        load_backbone(card).encoder,
        card,
        depth=None,
        outputs=5,
        precision="float32",
    ).eval()
    ids = torch.randint(1000, 2000, (32, width), generator=torch.Generator().manual_seed(width))
    mask = torch.ones_like(ids)
    mask[::2, width // 2 :] = 0
    with torch.no_grad():
        computed = model.lower(ids, mask)
        kept = torch.zeros_like(computed, memory_format=torch.contiguous_format)
        kept[mask.bool()] = computed[mask.bool()]
        assert torch.equal(model.from_states(computed, mask), model.from_states(kept, mask))
