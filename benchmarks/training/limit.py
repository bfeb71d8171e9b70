"""How near training comes to the limit that the processor's matrix products set.

    python benchmarks/training/limit.py

prints the measured peak in GFLOP/s: the best of several sizes, in float32 and in bfloat16.

The share of the limit is (real tokens per second × FLOP per token) / peak. Padding counts as
nothing done. With LoRA, a token costs 4·N FLOP: 2·N forward and 2·N for the gradients of the
states; frozen weights have none (full fine-tuning: 6·N). N is the number of parameters in the
encoder layers that run, biases and norms included: 1,774,464 a layer of MiniLM, so 10.6 million
for all six and 3.5 million above a cached prefix of four. Embeddings, attention scores (below 6 %
of a layer at 128 tokens), LoRA's own matrices and the head are left out; so is what the lowest
trained layer saves because nothing below it needs a gradient.
"""

from __future__ import annotations

import argparse
import json
import time

import torch

from toprung.learn.backbone.linear import has_half_products

HIDDEN, INNER, LAYERS = 384, 1536, 6
SIZES = ((4096, 384, 1536), (4096, 1536, 384), (4096, 384, 384), (1024, 1024, 1024),
         (2048, 2048, 2048), (4096, 4096, 1024))  # fmt: skip


def layer_parameters(hidden: int = HIDDEN, inner: int = INNER) -> int:
    """Parameters of a BERT layer: four square matrices, two wide ones, biases, two norms.

    >>> layer_parameters(), 6 * layer_parameters(768, 3072)
    (1774464, 42527232)
    """
    square = 4 * (hidden * hidden + hidden)
    wide = 2 * hidden * inner + inner + hidden
    return square + wide + 4 * hidden


def achieved(tokens: float, seconds: float, layers: int = LAYERS) -> float:
    """GFLOP/s of LoRA training that took so long for so many real tokens, 4·N FLOP each.

    >>> round(achieved(tokens=1000, seconds=1.0), 1)
    42.6
    """
    return 4 * layers * layer_parameters() * tokens / seconds / 1e9


def peak(dtype: torch.dtype, seconds: float = 0.5) -> float:
    """The most GFLOP/s of a matrix product, over sizes, each tried for so long.

    Both of torch's own product, which is MKL's in float32, and of oneDNN's, which on some CPUs is
    twice as fast.
    """
    best = 0.0
    for rows, inner, columns in SIZES:
        left, right = (torch.randn(*s).to(dtype) for s in ((rows, inner), (inner, columns)))
        flop = 2 * rows * inner * columns
        for product in (torch.mm, *([_of_onednn] if has_half_products() else [])):
            product(left, right)
            began, count = time.perf_counter(), 0
            while time.perf_counter() < began + seconds:
                product(left, right)
                count += 1
            best = max(best, count * flop / (time.perf_counter() - began) / 1e9)
    return best


def _of_onednn(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = torch.ops.mkldnn._linear_pointwise(left, right.t(), None, "none", [], "")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    seconds = 0.1 if options.quick else 0.5
    print(json.dumps({
        "float32": peak(torch.float32, seconds),
        "bfloat16": peak(torch.bfloat16, seconds),
        "threads": options.threads,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
