"""Where a trial computes: which device, in which precision, and how much of it is its own."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from statistics import median

import torch
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from toprung.core.memory import trim_heap
from toprung.learn.backbone.linear import linear
from toprung.learn.plan import Precision

Timer = Callable[[torch.device, Precision], float]

_GAIN = 1.2
_HIDDEN, _INNER, _HEADS = 384, 1536, 12
_ROWS, _FEW_ROWS, _WIDTH = 32, 2, 32
_PROBES, _HOPELESS = 3, 4.0
_REPEATS, _MOST_SECONDS = 7, 0.3


def resolve_device(name: str) -> str:
    """The device of a name; ``auto`` is CUDA, else Apple's MPS, else the CPU.

    >>> resolve_device("cpu")
    'cpu'
    """
    if name != "auto":
        return name
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def count_cards() -> int:
    """Graphics cards of this machine that a trial may train on."""
    if torch.cuda.is_available():
        return torch.cuda.device_count()
    return int(torch.backends.mps.is_available())


def supports_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies in bfloat16 itself; whether it gains is for ``measure``.

    CUDA from compute capability 8 (Ampere) on; older cards emulate it. Apple's MPS trains in
    float32 here. Every CPU can, and some only slowly.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    return device.type == "cpu"


@dataclass(frozen=True)
class Measured:
    """What a short measurement found, as it is recorded beside a search.

    Attributes:
        precision: to train in.
        device: by its name.
        threads: of the CPU.
        float32_ms, bfloat16_ms: of the same work, medians; 0 where bfloat16 is not supported.
    """

    precision: Precision
    device: str
    threads: int
    float32_ms: float = 0.0
    bfloat16_ms: float = 0.0

    @property
    def gain(self) -> float:
        """How many times faster bfloat16 is; 0 where it is not supported.

        >>> Measured("bfloat16", "cpu", 1, float32_ms=6.0, bfloat16_ms=4.0).gain
        1.5
        """
        return self.float32_ms / self.bfloat16_ms if self.bfloat16_ms else 0.0


def measure_precision(device: str, threads: int, timer: Timer | None = None) -> Measured:
    """Which precision to train in: bfloat16 where it is at least 1.2 times as fast.

    Runs one layer of MiniLM's size, forward and backward over 32 rows of 32 tokens, in both
    precisions by turns, for some half a second at most. The weights are frozen, as those of an
    adapted encoder are, and are kept in the precision of their turn. A CPU that emulates bfloat16
    would take seconds over it: where two rows say that it is four times slower, they decide.

    Args:
        device: as for ``resolve_device``.
        threads: of torch, on the CPU; as they were, afterwards.
        timer: seconds that the work takes once, on a device in a precision; None measures.
    """
    where = torch.device(resolve_device(device))
    name = device_name(where)
    if not supports_bfloat16(where):
        return Measured("float32", name, threads)
    with _threads(threads):
        full, half = _interleaved(where, timer or _work(where, _FEW_ROWS), _PROBES)
        if half < _HOPELESS * full:
            full, half = _interleaved(where, timer or _work(where, _ROWS), _REPEATS)
    chosen: Precision = "bfloat16" if full >= _GAIN * half else "float32"
    return Measured(chosen, name, threads, round(1e3 * full, 3), round(1e3 * half, 3))


def device_name(device: torch.device) -> str:
    """The device as a person knows it: ``cpu``, ``mps``, or the graphics card's name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def place(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A CPU's tensor on a device; the copy to a CUDA card goes on beside what comes next."""
    if device.type == "cuda":
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)


def take_share(device: torch.device, gpus: float) -> None:
    """Holds this process to its share of a graphics card's memory.

    Ray gives out fractions of a card as numbers only. With the limit, a trial that asks for more
    than its share runs out of memory itself, and is cut finer, instead of the trial beside it.

    Args:
        device: of the trial.
        gpus: that the trial was promised; 1 and more, or 0 for "not said", set no limit.
    """
    if device.type == "cuda":
        fraction = gpus if 0.0 < gpus < 1.0 else 1.0
        # Of a device without a number, the index is None: the current card.
        torch.cuda.set_per_process_memory_fraction(fraction, device.index)


def give_back(device: torch.device) -> None:
    """Hands memory that is not in use any more back to the device, for its neighbours."""
    if device.type == "cpu":
        trim_heap()
        return
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def free_bytes(device: torch.device, gpus: float = 1.0) -> int:
    """Memory of a graphics card that this process may still take; 0 on other devices.

    Args:
        device: of the trial.
        gpus: share that the process was held to, as for ``take_share``.
    """
    if device.type != "cuda":
        return 0
    free, total = torch.cuda.mem_get_info(device)
    held = torch.cuda.memory_reserved(device)
    unused = held - torch.cuda.memory_allocated(device)
    share = gpus if 0.0 < gpus < 1.0 else 1.0
    return max(0, min(free, int(share * total) - held) + unused)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _interleaved(device: torch.device, timer: Timer, repeats: int) -> tuple[float, float]:
    """Median seconds in float32 and in bfloat16, after a first time that does not count."""
    full: list[float] = []
    half: list[float] = []
    spent = 0.0
    for number in range(repeats + 1):
        pair = timer(device, "float32"), timer(device, "bfloat16")
        spent += sum(pair)
        if number:
            full.append(pair[0])
            half.append(pair[1])
        if full and spent > _MOST_SECONDS:
            break
    return median(full), median(half)


def _work(device: torch.device, rows: int) -> Timer:
    dtypes: dict[Precision, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    shapes = [(3 * _HIDDEN, _HIDDEN), (_HIDDEN, _HIDDEN), (_INNER, _HIDDEN), (_HIDDEN, _INNER)]
    weights = {
        name: [torch.full(shape, 0.01, device=device, dtype=dtype) for shape in shapes]
        for name, dtype in dtypes.items()
    }
    ramp = torch.linspace(-1, 1, _HIDDEN, device=device)
    states = ramp.repeat(rows, _WIDTH, 1).requires_grad_()

    def once(device: torch.device, precision: Precision) -> float:
        half = precision == "bfloat16"
        began = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=half), _attention(device, half):
            found = _layer(states, weights[precision])
        (gradient,) = torch.autograd.grad(found.float().sum(), states)
        gradient[0, 0, 0].item()  # waits for the device
        return time.perf_counter() - began

    return once


def _attention(device: torch.device, half: bool) -> AbstractContextManager[None]:
    # As in training: see ``backbone.attention``.
    return sdpa_kernel(SDPBackend.MATH) if half and device.type == "cpu" else nullcontext()


def _layer(states: torch.Tensor, weights: Sequence[torch.Tensor]) -> torch.Tensor:
    mixed, out, up, down = weights
    apart = linear(states, mixed).view(len(states), _WIDTH, 3, _HEADS, -1)
    query, key, value = apart.permute(2, 0, 3, 1, 4)
    seen = functional.scaled_dot_product_attention(query, key, value)
    seen = seen.transpose(1, 2).reshape(states.shape)
    states = functional.layer_norm(states + linear(seen, out), (_HIDDEN,))
    inner = functional.gelu(linear(states, up))
    return functional.layer_norm(states + linear(inner, down), (_HIDDEN,))
