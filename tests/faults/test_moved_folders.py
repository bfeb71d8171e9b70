"""A results folder that was copied or moved, and one that an older version wrote."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from toprung.api import Search
from toprung.api.opening import Settings


def hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_copied_folder_goes_on_by_itself_and_the_original_stays_untouched(
    copied: Search, tmp_path: Path
) -> None:
    before = hashes(copied.folder.root)
    elsewhere = tmp_path / "else where" / "results"
    shutil.copytree(copied.folder.root, elsewhere / "tiny")
    copy = Search.attach("tiny", Settings(runner="inline", results=str(elsewhere)))
    copy.fit(more_trials=1)
    assert "t0005" in {row.trial for row in copy.rows()}
    assert hashes(copied.folder.root) == before
    shutil.move(elsewhere, tmp_path / "moved")
    moved = Search.attach("tiny", Settings(runner="inline", results=str(tmp_path / "moved")))
    moved.fit(more_trials=1)
    assert "t0006" in {row.trial for row in moved.rows()}
    assert not elsewhere.exists()


def test_no_file_of_a_search_knows_where_its_folder_is(finished: Search) -> None:
    here = str(finished.folder.root).encode()
    knowing = [
        path.relative_to(finished.folder.root).as_posix()
        for path in finished.folder.root.rglob("*")
        if path.is_file() and here in path.read_bytes()
    ]
    assert knowing == []


def test_a_search_of_an_older_version_whose_spec_lacks_newer_keys_goes_on(copied: Search) -> None:
    spec = copied.folder.spec
    lines = spec.read_text(encoding="utf-8").splitlines(keepends=True)
    older = [line for line in lines if line.split(":")[0].strip() not in ("leaks", "on_bad_row")]
    assert len(older) == len(lines) - 2
    full = copied.spec
    spec.write_text("".join(older), encoding="utf-8")
    by_name = Search.attach("tiny", copied.settings)
    by_name.fit(more_trials=1)
    Search(full, settings=copied.settings).fit()
    assert "t0005" in {row.trial for row in by_name.rows()}
