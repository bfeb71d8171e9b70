"""A journal that was torn, changed, or written by another version."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from toprung.core.clock import VirtualClock
from toprung.core.errors import FixEnvironment
from toprung.trial.journal import Journal, read_events
from toprung.trial.report import Report


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a journal of a few events."""

    def make(**opened: object) -> Path:
        with Journal(tmp_path, VirtualClock()) as journal:
            journal.append("opened", **{"version": "0.1.0", "format": 1, **opened})
            for number in range(4):
                metrics = {"accuracy": 0.5 + number / 10}
                report = Report("t0001", number + 1, metrics, 1.0, "c")
                journal.append("reported", **report.to_json())
        return journal.path

    return make


def test_every_torn_end_is_cut_and_the_journal_goes_on(write) -> None:
    path = write()
    whole = path.read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    for end in range(last, len(whole)):
        path.write_bytes(whole[:end])
        with Journal(path.parent, VirtualClock()) as journal:
            assert len(journal.earlier) == 4
            journal.append("goes on")
        assert [event["seq"] for event in read_events(path)] == [1, 2, 3, 4, 5]


def test_a_changed_digit_is_found_and_its_line_is_named(write) -> None:
    path = write()
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b"0.6", b"0.9")
    path.write_bytes(b"".join(lines))
    with pytest.raises(FixEnvironment, match=r"journal\.jsonl:3: not the event"):
        read_events(path)


@pytest.mark.parametrize("bit", range(8))
def test_no_flipped_bit_of_a_line_goes_unseen(write, bit: int) -> None:
    path = write()
    whole = path.read_bytes()
    begin = whole.index(b"\n") + 1
    end = whole.index(b"\n", begin)
    before = read_events(path)
    for place in range(begin, end):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << bit)]) + whole[place + 1 :])
        with pytest.raises(FixEnvironment, match=r"journal\.jsonl:\d+: not the event"):
            read_events(path)
    path.write_bytes(whole)
    assert read_events(path) == before


def test_a_journal_without_checksums_as_older_versions_wrote_it_goes_on(write) -> None:
    path = write()
    old = [json.loads(line) for line in path.read_text().splitlines()]
    for event in old:
        del event["crc"]
    del old[0]["format"]
    path.write_text("".join(json.dumps(event) + "\n" for event in old))
    with Journal(path.parent, VirtualClock()) as journal:
        journal.append("goes on")
    assert [event["seq"] for event in read_events(path)] == [1, 2, 3, 4, 5, 6]


def test_a_journal_of_a_later_format_is_refused_in_one_sentence(write) -> None:
    path = write(version="9.1.0", format=2)
    with pytest.raises(FixEnvironment) as caught:
        Journal(path.parent, VirtualClock())
    assert "written by toprung 9.1.0 in format 2" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_characters_that_end_a_line_elsewhere_do_not_end_one_here(tmp_path: Path) -> None:
    with Journal(tmp_path, VirtualClock()) as journal:
        journal.append("closed", reason="a\u2028b\x85c\u2029d\x0be")
    assert read_events(journal.path)[0]["reason"] == "a\u2028b\x85c\u2029d\x0be"
