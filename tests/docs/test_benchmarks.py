"""The benchmarks' table says what was recorded, and their harness counts right."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
KEYS = {"name", "dataset", "peer", "ratio", "low", "high", "repeats", "command"}


def python(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], cwd=ROOT / "benchmarks", capture_output=True, text=True
    )


def test_the_table_of_results_is_the_one_that_the_recorded_entries_give() -> None:
    done = python("harness.py", "--check")
    assert done.returncode == 0, done.stderr


def test_every_recorded_entry_has_its_keys_and_lies_within_its_repeats() -> None:
    entries = json.loads((ROOT / "benchmarks" / "results.json").read_text(encoding="utf-8"))
    assert all(entry.keys() >= KEYS for entry in entries)
    assert all(entry["low"] <= entry["ratio"] <= entry["high"] for entry in entries)
    keys = [(entry["name"], entry["dataset"], entry["peer"]) for entry in entries]
    assert len(set(keys)) == len(keys)


def test_contestants_take_turns_and_bring_their_last_line() -> None:
    script = """
import json, sys
from harness import Contestant, interleave, ratios
code = "import json, time; time.sleep(%s); print('x'); print(json.dumps({'rows': %d}))"
two = [Contestant(n, [sys.executable, "-c", code % (s, r)]) for n, s, r in
       (("ours", 0.0, 3), ("theirs", 1.0, 1))]
runs = interleave(two, 2)
assert [run.output["rows"] for run in runs["ours"]] == [3, 3]
assert all(run.cpu >= 0 for done in runs.values() for run in done)
assert all(run.peak_rss > 1e6 for run in runs["theirs"])  # ours may end before it is looked at
walls = [[run.wall for run in runs[name]] for name in ("ours", "theirs")]
assert walls[1][0] >= 1.0
print(json.dumps(ratios([2.0, 4.0], [1.0, 1.0], "higher")))
"""
    done = python("-c", script)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"ratio": 3.0, "low": 2.0, "high": 4.0}
    order = [line.partition(",")[0] for line in done.stderr.splitlines() if line[0] != " "]
    assert order == ["ours", "theirs", "theirs", "ours"]


def test_turns_that_were_interrupted_go_on_where_they_stopped(tmp_path: Path) -> None:
    script = f"""
import sys
from pathlib import Path
from harness import Contestant, interleave
code = "import json, pathlib; p = pathlib.Path(r'{tmp_path}/count'); p.open('a').write('x')"
code += "; print(json.dumps(dict(runs=len(p.read_text()))))"
fails = "import pathlib, sys; sys.exit(not pathlib.Path(r'{tmp_path}/mended').exists())"
two = [Contestant(n, [sys.executable, "-c", c]) for n, c in (("a", code), ("b", fails))]
print([run.output["runs"] for run in interleave(two, 2, Path(r"{tmp_path}/keep"))["a"]])
"""
    assert python("-c", script).returncode == 1
    (tmp_path / "mended").touch()
    done = python("-c", script)
    assert done.stdout.strip() == "[1, 2]", done.stderr
    assert not (tmp_path / "keep").exists()


def test_a_contestant_that_fails_says_why() -> None:
    code = "from harness import *; interleave([Contestant('x', ['false'])], 1)"
    done = python("-c", code)
    assert done.returncode == 1
    assert "false failed with 1" in done.stderr


def test_functions_of_the_benchmarks_do_as_their_examples_say() -> None:
    done = python("-m", "doctest", "harness.py", "record.py", "rendering.py", "training/limit.py")
    assert done.returncode == 0, done.stdout
