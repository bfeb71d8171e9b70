"""Windows from .npz files: what is read, and what each wrong file is told."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from toprung.core.errors import FixData
from toprung.data.check_series import check_series
from toprung.data.load import load_dataset
from toprung.data.read_unlabelled import read_unlabelled
from toprung.data.source import DataSource
from toprung.data.tasks.series import Windows

Write = Callable[..., Path]
Arrays = Callable[[int, int], dict[str, Any]]


def source(folder: Path, **options: Any) -> DataSource:
    return DataSource(path=str(folder), label="labels", task="series", **options)


def problems(folder: Path, **options: Any) -> str:
    with pytest.raises(FixData) as raised:
        load_dataset(source(folder, **options), 7)
    return str(raised.value)


def test_windows_are_split_numbered_and_hashed(write_windows: Write, tmp_path: Path) -> None:
    data = load_dataset(source(write_windows(tmp_path)), 7)
    assert data.label_names == ("calm", "fall")
    assert list(data.splits) == ["train", "stopping", "selection", "test", "extra"]
    sizes = {name: len(split) for name, split in data.splits.items()}
    assert sizes == {"train": 96, "stopping": 24, "selection": 24, "test": 40, "extra": 0}
    train = data.splits["train"]
    assert train.series is not None
    assert train.series.shapes == {"acc": (12, 2), "gyro": (6, 1)}
    assert train.auxiliary.keys() == {"aux_peak", "aux_kind"}
    assert any("not read: subject" in note for note in data.notes)
    assert isinstance(data.task, Windows)


def test_the_hash_covers_inputs_and_auxiliary_targets(
    write_windows: Write, windows: Arrays, tmp_path: Path
) -> None:
    first = load_dataset(source(write_windows(tmp_path / "a")), 7)
    assert load_dataset(source(write_windows(tmp_path / "b")), 7).sha256 == first.sha256
    for name in ("acc", "aux_peak"):
        array = windows(96, 0)[name]
        array.flat[3] += 1
        other = write_windows(tmp_path / name, train={name: array})
        assert load_dataset(source(other), 7).sha256 != first.sha256


def test_a_named_positive_class_is_put_last(write_windows: Write, tmp_path: Path) -> None:
    folder = write_windows(tmp_path)
    plain, turned = (load_dataset(source(folder, positive=p), 7) for p in (None, "calm"))
    assert turned.label_names == ("fall", "calm")
    one, other = plain.splits["test"].labels, turned.splits["test"].labels
    np.testing.assert_array_equal(one, 1 - other)
    assert "no class 'clam'. Did you mean 'calm'?" in problems(folder, positive="clam")


def test_missing_splits_are_carved_and_train_rows_leave_extra(
    write_windows: Write, tmp_path: Path
) -> None:
    folder = write_windows(tmp_path)
    (folder / "test.npz").unlink()
    (folder / "validation.npz").unlink()
    data = load_dataset(source(folder, train_rows=40), 7)
    sizes = {name: len(split) for name, split in data.splits.items()}
    assert sizes["train"] == 40
    assert sum(sizes.values()) == 96
    assert min(sizes["test"], sizes["stopping"] + sizes["selection"]) > 5
    assert data.sha256 == load_dataset(source(folder, train_rows=40), 7).sha256


def test_what_the_data_is_like_is_counted(write_windows: Write, tmp_path: Path) -> None:
    found = check_series(source(write_windows(tmp_path)), 7)
    assert found.splits["train"].rows == 96
    assert sum(found.splits["test"].classes.values()) == 40
    assert any("acc 12 × 2" in line for line in found.lines())
    assert found.to_json()["splits"]["train"]["duplicates"] == 0


NAN = np.zeros((96, 12, 2), np.float32)
NAN[5, 3, 1] = np.nan
LEAK = np.random.default_rng(3).normal(size=(96, 12, 2)).astype(np.float32)
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "fewer windows": ({"gyro": NAN[:90, :6, :1]}, "train.npz: gyro: 90 windows, but 'labels' has"),
    "wrong dtype": ({"acc": NAN.astype(np.float64)}, "train.npz: acc: float64, not float32. Save"),
    "wrong shape": ({"acc": NAN[:, 0]}, "train.npz: acc: shape (96, 2), not (windows, steps"),
    "nan": ({"acc": NAN}, "acc: 1 values are NaN or infinite, the first nan at window 5, step 3"),
    "infinite": ({"gyro": np.full((96, 6, 1), np.inf, np.float32)}, "gyro: 576 values are NaN"),
    "objects": ({"acc": np.array([{}] * 96)}, "acc: holds Python objects, which are never unpick"),
    "no labels": ({"labels": None}, "no array 'labels'. Did you mean"),
    "labels as numbers": ({"labels": np.zeros(96)}, "labels: float64 of shape (96,), not int64"),
    "label too high": ({"labels": np.arange(96) % 3}, "32 labels lie outside of 0 to 1, the first"),
    "negative label": (
        {"labels": np.full(96, -1)},
        "96 labels lie outside of 0 to 1, the first -1",
    ),
    "no names": ({"label_names": None}, "no array 'label_names'. Add one with the names"),
    "names twice": ({"label_names": np.array(["a", "a"])}, "'a' is empty or stands there twice"),
    "no modalities": ({"modalities": None}, "no array 'modalities'. Add one"),
    "class missing": ({"labels": np.zeros(96, np.int64)}, "class 'fall' has no window in train"),
    "modality not there": ({"modalities": np.array(["acc", "giro"])}, "no array 'giro', which"),
    "target named": ({"modalities": np.array(["acc", "aux_peak"])}, "'aux_peak' is a target and"),
    "label named": ({"modalities": np.array(["acc", "labels"])}, "'labels' is a target and stands"),
    "target inside": (
        {"acc": LEAK, "aux_peak": LEAK[:, 7, 1].copy()},
        "train.npz: acc: step 7, channel 1 equals the target 'aux_peak' in every window",
    ),
    "target of text": ({"aux_peak": np.array(["x"] * 96)}, "aux_peak: <U1 of shape (96,): an aux"),
    "target nan": ({"aux_peak": np.full(96, np.nan, np.float32)}, "the value at window 0 is nan"),
    "target negative": ({"aux_kind": np.full(96, -2)}, "the class at window 0 is -2. Number"),
    "empty": ({n: NAN[:0] for n in ("acc", "gyro")}, "acc: 0 windows, but 'labels' has 96"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_told_with_file_array_and_next_step(
    write_windows: Write, tmp_path: Path, name: str
) -> None:
    changes, told = BAD[name]
    text = problems(write_windows(tmp_path, train=changes))
    assert told in text
    assert text.count("problem") >= 1
    assert "Traceback" not in text


def test_every_problem_of_every_file_is_told_at_once(write_windows: Write, tmp_path: Path) -> None:
    folder = write_windows(tmp_path, train={"acc": NAN}, test={"labels": None})
    text = problems(folder)
    assert "has 2 problems" in text
    assert "train.npz: acc" in text
    assert "test.npz: no array 'labels'" in text


def test_splits_that_differ_are_told(write_windows: Write, tmp_path: Path) -> None:
    lacking = write_windows(
        tmp_path / "a", validation={"modalities": np.array(["acc"]), "gyro": None}
    )
    assert "validation.npz: the modality 'gyro' of" in problems(lacking)
    more = write_windows(tmp_path / "b", train={"modalities": np.array(["acc"])})
    assert "the modality 'gyro' is missing in" in problems(more)
    shorter = write_windows(tmp_path / "c", test={"acc": np.zeros((40, 9, 2), np.float32)})
    assert "test.npz: acc: 9 steps × 2 channels, but 12 steps" in problems(shorter)
    turned = write_windows(tmp_path / "d", test={"label_names": np.array(["fall", "calm"])})
    assert "Number the classes alike" in problems(turned)


def test_windows_that_stand_in_two_splits_are_refused_unless_accepted(
    write_windows: Write, windows: Arrays, tmp_path: Path
) -> None:
    train = windows(96, 0)
    same = {name: train[name][:40] for name in ("acc", "gyro", "labels")}
    folder = write_windows(tmp_path, test=same)
    assert "40 of the windows of test (100.0%) stand in train too; more than 1%" in problems(folder)
    notes = load_dataset(source(folder, leaks="warn"), 7).notes
    assert any("stand in train too" in note for note in notes)


def test_a_file_that_is_no_archive_is_told(write_windows: Write, tmp_path: Path) -> None:
    folder = write_windows(tmp_path)
    whole = (folder / "train.npz").read_bytes()
    for data, told in (
        (b"hello", "not a zip archive, so no .npz, or cut short"),
        (whole[:-40], "not a zip archive, so no .npz, or cut short"),
        (pickle.dumps([1]), "not a zip archive, so no .npz, or cut short"),
    ):
        (folder / "train.npz").write_bytes(data)
        assert told in problems(folder)
    np.save(folder / "one.npy", np.zeros(3))
    (folder / "train.npz").write_bytes((folder / "one.npy").read_bytes())
    assert "one array (.npy), not an archive" in problems(folder)
    with zipfile.ZipFile(folder / "train.npz", "w") as archive:
        archive.writestr("acc.npy", b"\x93NUMPY\x01\x00garbage")
    assert "acc: " in problems(folder)
    damaged = bytearray(whole)
    damaged[200] ^= 0xFF
    (folder / "train.npz").write_bytes(damaged)
    assert "damaged here" in problems(folder)


def test_a_folder_without_windows_is_told(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text("{}")
    assert "no train.npz; it holds train.jsonl" in problems(tmp_path)
    assert "no such folder" in problems(tmp_path / "nosuch")
    with pytest.raises(FixData, match=r"nosuch\.npz: no such file"):
        load_dataset(DataSource(train=str(tmp_path / "nosuch.npz"), task="series"), 7)
    with pytest.raises(FixData, match="corpus is of texts"):
        load_dataset(DataSource(corpus="tickets", task="series"), 7)
    with pytest.raises(FixData, match="applies only to task: series"):
        load_dataset(DataSource(corpus="tickets", positive="x"), 7)


SHAPES = {"acc": (12, 2), "gyro": (6, 1)}


def test_windows_to_label_may_lack_modalities_and_labels(windows: Arrays, tmp_path: Path) -> None:
    arrays = windows(5, 1)
    arrays["acc"][2] = np.nan
    np.savez(tmp_path / "all.npz", acc=arrays["acc"], gyro=arrays["gyro"], other=np.arange(3))
    found = read_unlabelled(tmp_path / "all.npz", SHAPES)
    assert found.present("acc").tolist() == [True, True, False, True, True]
    np.savez(tmp_path / "some.npz", gyro=arrays["gyro"])
    assert not read_unlabelled(tmp_path / "some.npz", SHAPES).present("acc").any()


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"giro": NAN}, "none of the modalities acc, gyro"),
        ({"acc": NAN[:, :9]}, "acc: 1 values are NaN"),
        ({"acc": np.zeros((4, 9, 2), np.float32)}, "9 steps × 2 channels, but 12 steps × 2"),
        ({"acc": LEAK[:4], "gyro": LEAK[:3, :6, :1]}, "gyro: 3 windows, but 'acc' has 4"),
        ({"acc": np.full((2, 12, 2), np.nan, np.float32)}, "window 0 has none of acc, gyro"),
        ({"acc": LEAK.astype(np.float64)}, "acc: float64, not float32"),
    ],
)
def test_bad_windows_to_label_are_told(arrays: dict[str, Any], told: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", **arrays)
    with pytest.raises(FixData) as raised:
        read_unlabelled(tmp_path / "rows.npz", SHAPES)
    assert told in str(raised.value)


def test_the_positive_class_is_the_last_one() -> None:
    logits = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 2.0]])
    found = Windows().measure(logits, np.array([0, 0, 1, 1]))
    assert found["positive_f1"] == pytest.approx(0.8)
    assert found["macro_auc"] == pytest.approx(0.875)
    one_class = Windows().measure(logits[:2], np.array([0, 0]))
    assert (one_class["macro_auc"], one_class["positive_f1"]) == (0.5, 0.0)
    assert np.isnan(Windows().measure(logits * np.nan, np.array([0, 0, 1, 1]))["log_loss"])
