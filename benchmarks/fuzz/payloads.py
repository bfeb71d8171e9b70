"""What a hostile file would have executed: each leaves the canary file, if it ever runs."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

CANARY = "TOPRUNG_CANARY"
"""The environment's variable with the path of the file that must never appear."""


def code() -> str:
    """Python that leaves the canary."""
    return f"open({os.environ[CANARY]!r}, 'w').close()"


class Bomb:
    """An object whose unpickling leaves the canary."""

    def __reduce__(self) -> Any:
        return exec, (code(),)


def pickled() -> bytes:
    """The bomb as a file."""
    return pickle.dumps({"weights": Bomb()})


def yaml_bombs() -> list[bytes]:
    """YAML whose unsafe loading leaves the canary, or takes memory without end."""
    command = f"touch {os.environ[CANARY]}"
    billion = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
        for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    return [
        f"!!python/object/apply:os.system ['{command}']".encode(),
        f"!!python/object/new:os.system ['{command}']".encode(),
        f'!!python/object/apply:builtins.exec ["{code()}"]'.encode(),
        b"!!python/name:os.system",
        b"!!python/module:os",
        billion.encode(),
        b"&a [*a, *a]",
        b"{<<: {a: 1}, a: 2}",
        b"? [a, b]\n: c",
        b"2001-99-99",
        b"!!binary aGVsbG8=",
    ]


def plant_code(folder: Path) -> None:
    """Code that an ``auto_map`` names, and pickles under the names that loaders look for."""
    for name in ("modeling_x.py", "configuration_x.py", "tokenization_x.py", "__init__.py"):
        text = f"{code()}\nclass X:\n    pass\n"
        (folder / name).write_text(text, encoding="utf-8")
    for name in ("pytorch_model.bin", "adapter_model.bin", "training_args.bin", "tokenizer.pkl"):
        (folder / name).write_bytes(pickled())


AUTO_MAP = {
    "AutoConfig": "configuration_x.X",
    "AutoModel": "modeling_x.X",
    "AutoModelForSeq2SeqLM": "modeling_x.X",
    "AutoModelForMaskedLM": "modeling_x.X",
    "AutoTokenizer": ["tokenization_x.X", "tokenization_x.X"],
}
