"""What a folder with a backbone holds, checked before transformers reads any of it."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig

from toprung.core.errors import FixEnvironment
from toprung.core.files import read_json

CONFIG, WEIGHTS, TOKENIZER_CONFIG = "config.json", "model.safetensors", "tokenizer_config.json"
_LARGEST = 1 << 31
_MOST = (
    (re.compile(r"(layers?|blocks|depth)$|^layers of "), 512),
    (re.compile(r"num_labels$"), 1 << 16),
    (re.compile(r""), _LARGEST),
)
_HEADS = re.compile(r"(?<!pruned)_heads$")
_SPARE = 1 << 24
_MOST_HEADER_BYTES = 1 << 24
_REDIRECTS = {
    "transformers_weights": "it names another file of weights than model.safetensors",
    "quantization_config": "quantised weights are not read",
    "fusion_config": "rewritten models are not read",
}
_TOKENIZER = re.compile(r"\w{0,60}Tokenizer(Fast)?|TokenizersBackend|PythonBackend")
_LEFTOVERS = ("special_tokens_map_file", "tokenizer_file", "full_tokenizer_file")


def check_folder(folder: Path, kind: Any) -> None:
    """Refuses a folder that would have transformers read, build or run anything else.

    No code of the folder is ever run, so what its ``auto_map`` names does not matter.

    Args:
        folder: of the backbone.
        kind: the class of transformers that is going to read it.

    Raises:
        FixEnvironment: with the file, and what is wrong with it.
    """
    if (folder / "adapter_config.json").exists():
        text = "an adapter lies beside the weights. Merge it into them, or take it away."
        raise FixEnvironment(f"{folder}: {text}")
    config = _read(folder / CONFIG)
    for name, why in _REDIRECTS.items():
        if config.get(name) is not None:
            raise FixEnvironment(f"{folder / CONFIG}: '{name}' is refused: {why}.")
    for name, size in _sizes(config):
        if abs(size) > next(most for pattern, most in _MOST if pattern.search(name)):
            raise FixEnvironment(f"{folder / CONFIG}: {name} is {size:,}, which no encoder has.")
        # Heads that are too few would be found out by the first row alone.
        if _HEADS.search(name) and size < 1:
            raise FixEnvironment(f"{folder / CONFIG}: {name} is {size}; heads are counted from 1.")
    check_tokenizer(folder)
    _check_weights(folder, config, kind)


def check_tokenizer(folder: Path) -> None:
    """Refuses a tokenizer's folder that names files elsewhere, or a class that is none.

    Raises:
        FixEnvironment: with the file, and what is wrong with it.
    """
    file = folder / TOKENIZER_CONFIG
    if not file.exists():
        return
    said = _read(file)
    named = said.get("tokenizer_class")
    if named is not None and not (isinstance(named, str) and _TOKENIZER.fullmatch(named)):
        raise FixEnvironment(f"{file}: {str(named)[:60]!r} is no class of a tokenizer.")
    if said.get("init_inputs"):
        raise FixEnvironment(f"{file}: init_inputs are refused; save the tokenizer again.")
    whole = (folder / "tokenizer.json").is_file()
    for name, value in said.items():
        # What save_pretrained once left there is not read where a tokenizer.json is.
        harmless = value is None or (whole and name in _LEFTOVERS)
        if name.endswith("_file") and not harmless:
            text = f"{name} names a file; only those of the folder itself are read. Remove it."
            raise FixEnvironment(f"{file}: {text}")


def tensor_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor in a safetensors file, from its header alone.

    Raises:
        OSError, ValueError: not there, or no such header.
    """
    with path.open("rb") as file:
        start = file.read(8)
        if len(start) < 8:
            raise ValueError(f"{path} is too short to be a safetensors file")
        (length,) = struct.unpack("<Q", start)
        if length > _MOST_HEADER_BYTES:
            raise ValueError(f"{path} says that its header has {length:,} bytes")
        said = json.loads(file.read(length))
    shapes = {name: one["shape"] for name, one in said.items() if name != "__metadata__"}
    if not all(isinstance(n, int) and n >= 0 for shape in shapes.values() for n in shape):
        raise ValueError(f"{path} holds a tensor without a shape")
    return {name: tuple(shape) for name, shape in shapes.items()}


def _read(path: Path) -> dict[str, Any]:
    try:
        said = read_json(path)
    except (OSError, ValueError) as error:
        raise FixEnvironment(f"{path} cannot be read: {error}") from error
    if not isinstance(said, dict):
        raise FixEnvironment(f"{path} is not an object.")
    return said


def _sizes(config: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, int]]:
    for name, value in config.items():
        if isinstance(value, int):
            yield above + name, value
        elif isinstance(value, Mapping):
            yield from _sizes(value, f"{above}{name}.")
        elif isinstance(value, list):
            yield f"layers of {above}{name}", len(value) if "layer" in name else 0
            yield from ((above + name, one) for one in value if isinstance(one, int))


def _check_weights(folder: Path, config: Mapping[str, Any], kind: Any) -> None:
    """Refuses a configuration of far more weights than the file has: they would be made up."""
    try:
        there = sum(prod(shape) for shape in tensor_shapes(folder / WEIGHTS).values())
        with torch.device("meta"):
            model = kind.from_config(AutoConfig.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False))  # fmt: skip
        wanted = sum(part.numel() for part in (*model.parameters(), *model.buffers()))
    # What transformers raises over a foreign configuration may be anything.
    except Exception as error:
        raise FixEnvironment(unreadable(folder, error)) from error
    if wanted > 2 * there + _SPARE:
        raise FixEnvironment(
            f"{folder / CONFIG} describes {wanted:,} weights, and {WEIGHTS} has {there:,}. "
            "Save the encoder with transformers' save_pretrained again."
        )


def unreadable(folder: Path, error: BaseException) -> str:
    """What to say of a folder that transformers does not read."""
    said = " ".join(str(error).split())[:300]
    return (
        f"{folder} cannot be read as a backbone of transformers' own classes "
        f"({type(error).__name__}: {said}). Code that a folder brings along is never run. Save it "
        "with transformers' save_pretrained again, or take another backbone."
    )
