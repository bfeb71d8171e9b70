"""Mutations of bytes, of JSON trees, and of containers that hold either."""

from __future__ import annotations

import copy
import io
import json
import random
import struct
import zipfile
from typing import Any

import numpy as np
from payloads import Bomb
from words import HOSTILE

TOKENS = [
    *(b"", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\r", b"\n", b"\r\n", b'"', b"'", b","),
    *(
        b"\t",
        b";",
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b"- ",
        b"&a ",
        b"*a",
        b"!!",
        b"|",
        b">",
        b"?",
        b"%",
    ),
    *(
        b"# ",
        b"---\n",
        b"\x1b[2J",
        b"\xc2\x9b31m",
        b"\xe2\x80\xa8",
        b"\xf0\x9f\x8e\x81",
        b"\xed\xa0\x80",
    ),
    *(b"1e999", b"-0", b"9" * 400, b"9" * 5000, b"NaN", b"Infinity", b"null", b"true", b"1_0"),
    *(
        b"[" * 3000,
        b"{" * 3000,
        b'{"a":' * 3000,
        b"- " * 500,
        b'"' * 999,
        b"a" * 70_000,
        b"\\ud800",
    ),
    *(b"../../../../etc/passwd", b"/dev/zero", b"<script>", b"=cmd|' /C calc'!A0", b"PK\x03\x04"),
    *(b"\x93NUMPY", b"PAR1", b"\x1f\x8b", b"\x80\x04\x95", b"ARROW1"),
]


_SHAPES = [
    *("(10**12,)", "(1000000000000,)", "(-1,)", "(4, -2)", "()", "(0,)", "(2**70,)", "True"),
    *("(99999999999999999999,)", "('a',)", "((1,),)", "(1000000, 0, 1000000)"),
]
_DTYPES = [
    *("'<f4'", "'|O'", "'<U0'", "'|V100000000'", "[('a', '<f4'), ('b', '|O')]", "'<M8[ns]'"),
    *("'<c16'", "'f4, O'", "'" + "(" * 90 + "f4'", "__import__('os')", "'<U" + "9" * 9 + "'"),
    *("('<f4', (1000, 1000, 1000))", "[" * 80 + "]" * 80),
]


def mutate_bytes(chance: random.Random, data: bytes, tokens: list[bytes] | None = None) -> bytes:
    """The bytes with one to four changes."""
    found = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4))):
        size = max(1, len(found))
        at, length = chance.randrange(size), chance.choice((1, 2, 8, 64, size))
        kind = chance.randrange(8)
        if kind == 0 and found:
            found[at] ^= 1 << chance.randrange(8)
        elif kind == 1 and found:
            found[at] = chance.choice((0, 1, 127, 128, 255, chance.randrange(256)))
        elif kind == 2:
            del found[at : at + length]
        elif kind == 3:
            found[at:at] = chance.randbytes(min(length, 64))
        elif kind == 4:
            found[at:at] = found[chance.randrange(size) :][:length]
        elif kind == 5:
            del found[at:]
        elif kind == 6 and len(found) >= at + 8:
            number = chance.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1, 2**40))
            found[at : at + 8] = struct.pack("<Q", number)
        else:
            found[at:at] = chance.choice(tokens or TOKENS)
    return bytes(found)


def mutate_tree(chance: random.Random, tree: Any, words: list[Any] | None = None) -> Any:
    """The JSON value with one to three of its inner values changed, added, moved or gone."""
    box: dict[str, Any] = {"": json.loads(json.dumps(tree))}
    for _ in range(chance.choice((1, 1, 2, 3))):
        holder, key = _pick(chance, box)
        kind, old = chance.randrange(6), holder[key]
        if kind == 0 and holder is not box:
            del holder[key]
        elif kind == 1 and isinstance(old, dict):
            old[str(chance.choice(words or HOSTILE))[:200]] = _odd(chance)
        elif kind == 2 and isinstance(old, list):
            old.extend(_odd(chance) for _ in range(chance.choice((1, 3, 300))))
        elif kind == 3 and isinstance(old, int | float):
            other = [-old, old * 10**6, old + 0.5, str(old), [old], 2 ** chance.randrange(70)]
            holder[key] = chance.choice(other)
        elif kind == 4 and isinstance(old, str):
            holder[key] = chance.choice((old * 100, old[::-1], old + "\0", "../" + old, "/" + old))
        else:
            holder[key] = _odd(chance)
    return box[""]


def _odd(chance: random.Random) -> Any:
    """One of the hostile values, of which none is shared between two places."""
    return copy.deepcopy(chance.choice(HOSTILE))


def _pick(chance: random.Random, holder: Any) -> tuple[Any, Any]:
    """A place in a tree: its holder, and the key or number in that."""
    while True:
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        key = chance.choice(list(keys))
        inner = holder[key]
        if not isinstance(inner, dict | list) or not inner or chance.random() < 0.15:
            return holder, key
        holder = inner


def write_json(tree: Any) -> bytes:
    """The JSON of a tree, odd numbers and halves of surrogate pairs as they are."""
    return json.dumps(tree).encode()


def mutate_json(chance: random.Random, data: bytes) -> bytes:
    """A JSON file changed in a value, or in its bytes."""
    if chance.random() < 0.75:
        return write_json(mutate_tree(chance, json.loads(data)))
    return mutate_bytes(chance, data)


def mutate_safetensors(chance: random.Random, data: bytes) -> bytes:
    """A safetensors file changed in its header's values, its header's length, or its bytes."""
    (length,) = struct.unpack("<Q", data[:8])
    kind = chance.random()
    if kind < 0.15:
        absurd = chance.choice((0, 1, length * 2, 2**31, 2**40, 2**63, 2**64 - 1))
        return struct.pack("<Q", absurd) + data[8:]
    if kind < 0.7:
        header = write_json(mutate_tree(chance, json.loads(data[8 : 8 + length])))
        return struct.pack("<Q", len(header)) + header + data[8 + length :]
    return mutate_bytes(chance, data)


def mutate_npz(chance: random.Random, data: bytes, bomb: bytes) -> bytes:
    """An archive changed in an array, in a member's bytes, in its own bytes, or a bomb."""
    kind = chance.random()
    if kind < 0.3:
        return mutate_bytes(chance, data)
    if kind < 0.31:
        return bomb
    members = _members(data)
    name = chance.choice(list(members))
    if kind < 0.6:
        members[name] = _mutate_npy(chance, members[name])
    elif kind < 0.9:
        members[name] = _write_npy(_odd_array(chance, members[name]))
    else:
        members[chance.choice(("../../x.npy", "/x.npy", "a\x1b[2J.npy", name, "x" * 300))] = (
            members[name]
        )
    if chance.random() < 0.1:
        del members[chance.choice(list(members))]
    return _archive(chance, members)


def _members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _archive(chance: random.Random, members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    how = chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA))
    with zipfile.ZipFile(file, "w", how) as archive:
        for name, held in members.items():
            archive.writestr(name, held)
    return file.getvalue()


def _mutate_npy(chance: random.Random, data: bytes) -> bytes:
    """A member with a header that claims something else."""
    if chance.random() < 0.3:
        return mutate_bytes(chance, data)
    shape, descr = chance.choice(_SHAPES), chance.choice(_DTYPES)
    order = chance.choice(("False", "True", "None", "1"))
    header = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}".encode()
    version = chance.choice((b"\x01\x00", b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x09\x00"))
    length = struct.pack("<H" if version == b"\x01\x00" else "<I", len(header) + 1)
    return b"\x93NUMPY" + version + length + header + b"\n" + data[128:]


def _odd_array(chance: random.Random, data: bytes) -> Any:
    array = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    kind = chance.randrange(9)
    if kind == 0:
        return array[: chance.randrange(len(array) + 1)]
    if kind == 1:
        return array.reshape(-1)
    if kind == 2:
        return (
            array.astype(chance.choice(("U3", "S2", "i1", "bool")))
            if array.dtype.kind != "U"
            else array[:1]
        )
    if kind == 3:
        return array[None]
    if kind == 4:
        flat = array.copy()
        flat.reshape(-1)[: 1 + chance.randrange(9)] = chance.choice(
            ("", "a\0b", "x" * 3000, "\x1b[2J") if array.dtype.kind == "U" else (0, -1, 127, 1)
        )
        return flat
    if kind == 5 and array.dtype.kind == "f":
        return array * chance.choice((np.nan, np.inf, 1e38, 0))
    if kind == 6:
        return np.asfortranarray(array)
    if kind == 7:
        objects = np.empty(len(array), dtype=object)
        objects[:] = [Bomb() for _ in objects]
        return objects
    return np.repeat(array, 3, axis=0)


def _write_npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array), allow_pickle=True)
    return file.getvalue()
