from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from toprung.learn.device import (
    Measured,
    count_cards,
    device_name,
    free_bytes,
    give_back,
    measure_precision,
    resolve_device,
    supports_bfloat16,
    take_share,
)

CPU, CUDA, MPS = torch.device("cpu"), torch.device("cuda", 0), torch.device("mps")


def machine(monkeypatch: pytest.MonkeyPatch, *, cuda: bool = False, mps: bool = False) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_the_fastest_device_there_is_is_chosen(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, expected: str
) -> None:
    machine(monkeypatch, cuda=cuda, mps=mps)
    assert resolve_device("auto") == expected


def test_cards_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    counts = []
    for cuda, mps in [(True, False), (False, True), (False, False)]:
        machine(monkeypatch, cuda=cuda, mps=mps)
        counts.append(count_cards())
    assert counts == [4, 1, 0]


def test_a_device_that_was_named_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, cuda=True)
    assert resolve_device("cpu") == "cpu"
    assert resolve_device("cuda:1") == "cuda:1"


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), False), ((8, 0), True)])
def test_bfloat16_is_for_cards_that_multiply_in_it(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], expected: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert supports_bfloat16(CUDA) is expected
    assert supports_bfloat16(CPU)
    assert not supports_bfloat16(MPS)


@pytest.mark.parametrize(
    ("full", "half", "expected"),
    [(1.3, 1.0, "bfloat16"), (1.2, 1.0, "bfloat16"), (1.1, 1.0, "float32"), (1.0, 3.0, "float32")],
)
def test_bfloat16_is_taken_where_it_is_clearly_faster(
    full: float, half: float, expected: str
) -> None:
    seconds = {"float32": full / 1e3, "bfloat16": half / 1e3}
    found = measure_precision("cpu", 1, lambda device, precision: seconds[precision])
    assert found == Measured(expected, "cpu", 1, full, half)  # type: ignore[arg-type]
    assert found.gain == pytest.approx(full / half)


@pytest.mark.parametrize("slow", [1, 3, 5, 9, 13])
def test_one_slow_moment_does_not_decide_the_precision(slow: int) -> None:
    told: list[str] = []

    def timer(device: torch.device, precision: str) -> float:
        told.append(precision)
        if len(told) == slow + 1:
            return 0.009
        return 2e-5 if precision == "float32" else 1e-5

    assert measure_precision("cpu", 1, timer).precision == "bfloat16"
    assert told[:4] == ["float32", "bfloat16", "float32", "bfloat16"]


@pytest.mark.parametrize(("half", "calls"), [(10.0, 8), (41.0, 4)])
def test_a_slow_machine_is_not_kept_measuring(half: float, calls: int) -> None:
    told: list[str] = []

    def timer(device: torch.device, precision: str) -> float:
        told.append(precision)
        return 10.0 if precision == "float32" else half

    assert measure_precision("cpu", 1, timer).precision == "float32"
    assert len(told) == calls


def test_the_measurement_on_this_machine_leaves_its_threads_as_they_were() -> None:
    torch.set_num_threads(1)
    found = measure_precision("cpu", 2)
    assert torch.get_num_threads() == 1
    assert found.float32_ms > 0 < found.bfloat16_ms
    assert (found.precision == "bfloat16") == (found.gain >= 1.2)
    assert (found.device, found.threads) == ("cpu", 2)


def test_without_support_nothing_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(device: torch.device, precision: str) -> float:
        raise AssertionError

    machine(monkeypatch, mps=True)
    assert measure_precision("auto", 1, never) == Measured("float32", "mps", 1)
    assert measure_precision("auto", 1, never).gain == 0.0


class Card:
    """A graphics card of 1,000 bytes, of which a neighbour holds 300 and this process 200."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fraction, self.emptied = 0.0, 0
        answers: dict[str, Any] = {
            "mem_get_info": lambda device: (500, 1000),
            "memory_reserved": lambda device: 200,
            "memory_allocated": lambda device: 150,
            "get_device_name": lambda device: "A card",
            "set_per_process_memory_fraction": self.hold,
            "empty_cache": self.empty,
        }
        for name, answer in answers.items():
            monkeypatch.setattr(torch.cuda, name, answer)

    def hold(self, fraction: float, device: torch.device | int | None) -> None:
        # As torch has it: a device without a number is refused, and None is the current card.
        if isinstance(device, torch.device) and device.index is None:
            raise ValueError(f"Expected a torch.device with a specified index, but got:{device}")
        self.fraction = fraction

    def empty(self) -> None:
        self.emptied += 1


@pytest.mark.parametrize(("gpus", "fraction"), [(0.25, 0.25), (1.0, 1.0), (2.0, 1.0), (0.0, 1.0)])
def test_a_process_is_held_to_its_share_of_a_card(
    monkeypatch: pytest.MonkeyPatch, gpus: float, fraction: float
) -> None:
    for device in (CUDA, torch.device("cuda")):
        card = Card(monkeypatch)
        take_share(device, gpus)
        assert card.fraction == fraction
        take_share(CPU, 0.125)
        assert card.fraction == fraction


def test_free_memory_is_what_is_left_of_the_share(monkeypatch: pytest.MonkeyPatch) -> None:
    Card(monkeypatch)
    assert free_bytes(CUDA) == 500 + 50
    assert free_bytes(CUDA, gpus=0.5) == 300 + 50
    assert free_bytes(CUDA, gpus=0.125) == 0
    assert free_bytes(CPU) == 0


def test_memory_goes_back_to_the_card_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card(monkeypatch)
    give_back(CUDA)
    give_back(CPU)
    assert card.emptied == 1
    assert device_name(CUDA) == "A card"
    assert device_name(CPU) == "cpu"


HOLES = """
import torch
from toprung.core.memory import held_bytes, trim_heap
trim_heap()
parts = [torch.ones(16_384) for _ in range(4_000)]  # of 64 KiB: too small for pages of their own
kept = parts[::8]
full = held_bytes()
del parts
trim_heap(1 << 40)
print(full - held_bytes(), end=" ")
trim_heap(1 << 20)
print(full - held_bytes())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="not glibc")
def test_holes_in_the_heap_are_given_back_where_the_process_has_grown() -> None:
    ran = subprocess.run([sys.executable, "-c", HOLES], capture_output=True, text=True, check=True)
    before, after = map(int, ran.stdout.split())
    assert before < 64 << 20 < 192 << 20 < after


STEPS = """
import ctypes, resource, sys
from toprung.core.memory import keep_heap
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        parts = [libc.malloc(16 << 20) for _ in range(8)]
        for part in parts:
            libc.memset(part, 1, 16 << 20)
        for part in parts:
            libc.free(part)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults(), end=" ")
keep_heap()
faults()
print(faults())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="not glibc")
def test_a_step_has_the_memory_of_the_step_before() -> None:
    ran = subprocess.run([sys.executable, "-c", STEPS], capture_output=True, text=True, check=True)
    without, kept = map(int, ran.stdout.split())
    assert kept < without / 20


MAPPED = """
import sys
import numpy as np
from toprung.core.memory import held_bytes
before = held_bytes()
file = np.memmap(sys.argv[1], np.uint8, "r")
total = int(file[::4096].sum())
print(held_bytes() - before, end=" ")
own = np.ones(96 << 20, np.uint8)
print(held_bytes() - before)
"""


def test_pages_of_a_mapped_file_are_no_memory_that_a_process_holds(tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(bytes(96 << 20))
    code = [sys.executable, "-c", MAPPED, str(tmp_path / "cache")]
    ran = subprocess.run(code, capture_output=True, text=True, check=True)
    mapped, own = map(int, ran.stdout.split())
    assert mapped < 32 << 20 < 80 << 20 < own


@pytest.mark.parametrize(("name", "counts"), [("model.safetensors", True), ("cache", False)])
def test_mapped_weights_are_memory_that_a_process_uses_and_a_mapped_cache_is_not(
    name: str, counts: bool, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(bytes(96 << 20))
    code = [sys.executable, "-c", MAPPED.replace("held_bytes", "used_bytes"), str(tmp_path / name)]
    ran = subprocess.run(code, capture_output=True, text=True, check=True)
    mapped, own = map(int, ran.stdout.split())
    assert (mapped > 90 << 20) == counts
    assert own > mapped + (80 << 20)
