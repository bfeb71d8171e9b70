"""What is absurdly large, deep or dense is refused before memory is taken for it."""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from toprung.core.errors import FixData, FixEnvironment, FixSpec
from toprung.core.files import read_json
from toprung.data.load import load_dataset
from toprung.data.read_unlabelled import read_unlabelled
from toprung.data.source import DataSource
from toprung.learn.backbone.card import find_card
from toprung.learn.backbone.load import load_backbone
from toprung.spec.load import parse_spec

ROW = b'{"text": "my parcel is late", "label": "parcel"}\n'
CONFIG = "config.json"


@contextmanager
def little(most_mib: int = 200) -> Iterator[None]:
    """A block that may take some memory, not more."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most_mib << 20
    finally:
        tracemalloc.stop()


def refused(file: Path, **options: Any) -> str:
    with pytest.raises(FixData) as caught:
        load_dataset(DataSource(train=str(file), **options), 1)
    return str(caught.value)


def test_json_has_a_largest_size_and_depth(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    for text in ("[" * 200_000, '{"a":' * 200_000):
        file.write_text(text)
        with pytest.raises(ValueError, match="nested too deeply"):
            read_json(file)
    file.write_text('{"reason": "\\ud800"}')
    with pytest.raises(ValueError, match="surrogates not allowed"):
        read_json(file)
    file.write_text("[" + "0," * 600 + "0]")
    with pytest.raises(ValueError, match="more than 1,000 bytes"):
        read_json(file, most_bytes=1000)


def test_what_is_no_plain_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(OSError, match="no such file"):
        read_json(tmp_path / "pipe.json")


SPECS: dict[str, bytes] = {
    "a billion laughs": b"a: &a [x,x,x,x,x,x,x,x,x]\n"
    + b"".join(
        b"%c: &%c [%s]\n" % (new, new, b",".join([b"*%c" % old] * 9))
        for old, new in zip(b"abcdefgh", b"bcdefghi", strict=True)
    ),
    "a list in itself": b"space: &a [*a, *a]",
    "a pit of lists": b"space: " + b"[" * 100_000,
    "a pit of mappings": b"space: " + b"{a: " * 100_000,
    "a pit of blocks": b"- " * 100_000,
    "ten megabytes": b"# " + b"x" * (10 << 20),
    "a hundred thousand values": b"space: [" + b"1, " * 100_000 + b"1]",
    "a key twice": b"seed: 1\nseed: 2\n",
    "a huge number": b"seed: " + b"9" * 100_000,
}


@pytest.mark.parametrize("case", SPECS)
def test_a_spec_that_grows_without_end_is_refused(case: str) -> None:
    with little(), pytest.raises(FixSpec):
        parse_spec(SPECS[case], path="x.yaml")


@pytest.mark.parametrize("case", SPECS)
def test_a_card_that_grows_without_end_is_refused(case: str, tmp_path: Path) -> None:
    (tmp_path / "card.yaml").write_bytes(SPECS[case])
    with little(), pytest.raises(FixSpec):
        find_card("card.yaml", tmp_path)


def absurd(length: int) -> bytes:
    return struct.pack("<Q", length) + b"{}"


def claims(shape: list[int]) -> bytes:
    header = {"x": {"dtype": "F32", "shape": shape, "data_offsets": [0, 4]}}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + b"\0" * 4


@pytest.mark.parametrize(
    "data",
    [b"", b"\0", absurd(0), absurd(2**40), absurd(2**64 - 1), claims([10**12]), claims([2**62, 4])],
)
def test_a_safetensors_header_that_claims_too_much_is_refused(data: bytes, backbone: Path) -> None:
    (backbone / "model.safetensors").write_bytes(data)
    with little(), pytest.raises(FixEnvironment):
        load_backbone(find_card(str(backbone)))


SIZES: dict[str, tuple[str, int]] = {
    "words": ("vocab_size", 1 << 30),
    "layers": ("num_hidden_layers", 100_000),
    "positions": ("max_position_embeddings", 1 << 30),
    "labels": ("num_labels", 1 << 28),
    "inner layers": ("intermediate_size", 1 << 30),
    "negative": ("hidden_size", -8),
}


@pytest.mark.parametrize("case", SIZES)
def test_a_configuration_of_more_than_the_weights_is_refused(case: str, backbone: Path) -> None:
    name, size = SIZES[case]
    said = json.loads((backbone / CONFIG).read_text())
    (backbone / CONFIG).write_text(json.dumps(said | {name: size}))
    with little(), pytest.raises((FixEnvironment, FixSpec)):
        load_backbone(find_card(str(backbone)))


@pytest.mark.parametrize("heads", [0, -2])
def test_heads_below_one_are_refused_also_where_a_card_is_given(heads: int, backbone: Path) -> None:
    card = find_card(str(backbone))
    said = json.loads((backbone / CONFIG).read_text())
    (backbone / CONFIG).write_text(json.dumps(said | {"num_attention_heads": heads}))
    with pytest.raises(FixEnvironment, match=f"num_attention_heads is {heads}; heads are counted"):
        load_backbone(card)


@pytest.mark.parametrize("token", ["a word", "what stands around every text"])
def test_a_tokenizer_with_more_tokens_than_the_encoder_has_vectors_is_refused(
    token: str, backbone: Path
) -> None:
    file = backbone / "tokenizer.json"
    said = json.loads(file.read_text())
    if token == "a word":
        said["model"]["vocab"]["aardvark"] = 5000
    else:
        said["post_processor"]["special_tokens"]["[CLS]"]["ids"] = [1 << 31]
    file.write_text(json.dumps(said))
    with pytest.raises(FixEnvironment, match="They do not belong together"):
        load_backbone(find_card(str(backbone)))


def archive(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in members.items():
            opened.writestr(name, data)
    return path


def member(header: dict[str, Any], data: bytes) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + data


def header(shape: tuple[int, ...], descr: str = "<f4") -> dict[str, Any]:
    return {"descr": descr, "fortran_order": False, "shape": shape}


ARRAYS: dict[str, Callable[[], bytes]] = {
    "a bomb of zeros": lambda: member(header((1 << 25,)), bytes(1 << 27)),
    "a shape beyond the file": lambda: member(header((10**12, 4)), b"\0" * 64),
    "a shape that overflows": lambda: member(header((2**62, 4)), b"\0" * 64),
    "a negative shape": lambda: member(header((-1, -16)), b"\0" * 64),
    "texts without letters": lambda: member(header((10**12,), "<U0"), b""),
    "elements of a gigabyte": lambda: member(header((1,), "|V1000000000"), b"\0" * 64),
    "no array": lambda: b"x" * 100,
    "letters beyond the last": lambda: member(header((2,), "<U1"), b"\xff" * 8),
    "half a letter": lambda: member(header((2,), "<U1"), b"\x00\xd8\x00\x00" * 2),
    "a header of expressions": lambda: (
        b"\x93NUMPY\x01\x00\x20\x00__import__('os').system('x')    \n"
    ),
    "a header in a pit": lambda: b"\x93NUMPY\x01\x00\x00\x20" + b"(" * 8191 + b"\n",
}


@pytest.mark.parametrize("case", ARRAYS)
def test_an_array_that_claims_or_unpacks_to_too_much_is_refused(case: str, tmp_path: Path) -> None:
    data = ARRAYS[case]()
    file = archive(tmp_path / "x.npz", {"acc.npy": data})
    del data
    with little(), pytest.raises(FixData):
        read_unlabelled(file, {"acc": (6, 2)})


def test_arrays_in_either_order_and_of_every_plain_kind_are_read_as_they_are(
    tmp_path: Path,
) -> None:
    acc = np.arange(24, dtype=np.float32).reshape(2, 6, 2)
    stamps = np.array(["2026-01-01"], dtype="datetime64[D]")
    np.savez(tmp_path / "x.npz", acc=np.asfortranarray(acc), stamps=stamps, names=np.array(["a"]))
    found = read_unlabelled(tmp_path / "x.npz", {"acc": (6, 2)})
    assert np.array_equal(found.arrays["acc"], acc)
    found.arrays["acc"][0, 0, 0] = 5.0


@pytest.mark.parametrize(
    ("name", "piece", "told"),
    [
        ("a.jsonl.gz", ROW * 100, "100 times its size"),
        ("b.jsonl.gz", b"a" * 5000, "100 times its size"),
        ("c.csv.gz", b"text,label\n" + b"a" * 5000, "100 times its size"),
    ],
)
def test_a_gzip_bomb_is_not_unpacked(name: str, piece: bytes, told: str, tmp_path: Path) -> None:
    with gzip.open(tmp_path / name, "wb", compresslevel=6) as opened:
        for _ in range(40):
            opened.write(piece * ((1 << 20) // len(piece)))
    assert (tmp_path / name).stat().st_size < 400_000
    assert told in refused(tmp_path / name)


def test_rows_that_gzip_packs_well_are_still_read(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.jsonl.gz", "wb") as opened:
        for number in range(20_000):
            row = {"text": f"my parcel {number} is late", "label": str(number % 2)}
            opened.write(json.dumps(row).encode() + b"\n")
    source = DataSource(train=str(tmp_path / "a.jsonl.gz"))
    assert sum(map(len, load_dataset(source, 1).splits.values())) == 20_000


def test_a_parquet_file_of_one_row_a_billion_times_is_refused(tmp_path: Path) -> None:
    column = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(3_000_000, np.int32)), pa.array(["x"])
    )
    pq.write_table(pa.table({"text": column, "label": column}), tmp_path / "x.parquet")
    assert (tmp_path / "x.parquet").stat().st_size < 100_000
    with little():
        assert "nearly all of them must be equal" in refused(tmp_path / "x.parquet")


ROWS: dict[str, tuple[str, bytes]] = {
    "a pit in a line": ("x.jsonl", b'{"text": ' + b"[" * 100_000),
    "a pit in a cell": ("x.csv", b'text,labels\nx,"' + b"[" * 100_000 + b'"\n'),
    "a quote that never closes": ("x.csv", b'text,label\n"' + (b"a" * 9999 + b"\n") * 4000),
    "a label of a book": ("x.jsonl", b'{"text": "x", "label": "' + b"a" * 1_000_000 + b'"}\n'),
    "a number of a book": ("x.jsonl", b'{"text": "x", "label": ' + b"9" * 100_000 + b"}\n"),
}


@pytest.mark.parametrize("case", ROWS)
def test_rows_that_are_absurd_are_told_in_words(case: str, tmp_path: Path) -> None:
    name, data = ROWS[case]
    (tmp_path / name).write_bytes(data)
    many = {"task": "multi_label", "label": "labels"} if "cell" in case else {}
    with little(400):
        assert len(refused(tmp_path / name, **many)) < 2000


def test_labels_of_many_long_names_do_not_take_for_ever_to_compare(tmp_path: Path) -> None:
    names = [f"{'ab' * 450}{number}" for number in range(300)]
    rows = [{"text": f"{n} {i}", "label": n} for n in names for i in range(3)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "train.jsonl").write_text(lines)
    other = [{"text": f"x{i}", "label": f"{'ba' * 450}{i}"} for i in range(300)]
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in other))
    assert "never stands in train" in refused(
        tmp_path / "train.jsonl", test=str(tmp_path / "test.jsonl")
    )
