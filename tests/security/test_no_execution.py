"""Nothing of ours is pickled or unpickled, and nothing that a file holds is run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src" / "toprung"
FILES = sorted(SRC.rglob("*.py"))
MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
MODULES |= {"codeop", "runpy", "imp", "pty", "commands"}
NAMES = {"eval", "exec", "compile", "__import__"}
CALLS = {
    *("torch.load", "torch.save", "torch.jit.load", "torch.export.load", "pd.read_pickle"),
    *("yaml.load", "yaml.load_all", "yaml.full_load", "yaml.unsafe_load", "yaml.unsafe_load_all"),
    *("os.system", "os.popen", "os.spawnv", "os.spawnl", "hub.load", "torch.hub.load"),
    *("tarfile.open", "shutil.unpack_archive", "np.fromfile"),
}
SUFFIXES = {
    *(".safetensors", ".json", ".jsonl", ".csv", ".md", ".html", ".yaml", ".npy", ".toprung"),
    *(".lock", ".txt", ".jinja"),
}
"""Of the files that a search leaves; ``.toprung`` are TensorBoard's event files."""


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Every call of a dotted name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def modules(node: ast.AST) -> list[str]:
    """What an import names."""
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []


def keyword(call: ast.Call, name: str) -> str | None:
    return next((ast.unparse(k.value) for k in call.keywords if k.arg == name), None)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SRC)))
def test_no_file_of_the_package_reads_or_writes_what_can_run(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    imported = {name.split(".")[0] for node in ast.walk(tree) for name in modules(node)}
    assert not imported & MODULES
    for name, call in calls(tree):
        assert name not in NAMES, f"line {call.lineno}: {name}"
        assert name not in CALLS, f"line {call.lineno}: {name}"
        assert keyword(call, "shell") in (None, "False"), f"line {call.lineno}: shell"
        if name.endswith(("np.load", "numpy.load", "np.save", ".read_array", ".write_array")):
            assert keyword(call, "allow_pickle") == "False", f"line {call.lineno}: {name}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SRC)))
def test_whatever_transformers_loads_is_safetensors_and_brings_no_code(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert "trust_remote_code=True" not in text
    assert "weights_only=False" not in text
    assert '"trust_remote_code": True' not in text
    for name, call in calls(ast.parse(text)):
        if not name.endswith(".from_pretrained"):
            continue
        given = ast.unparse(call)
        assert "trust_remote_code=False" in given or "**safely" in given, f"line {call.lineno}"
        if "Tokenizer" not in name and "Config" not in name:
            assert "use_safetensors=True" in given, f"line {call.lineno}"


def test_the_only_loader_of_yaml_without_limits_is_behind_one_with_limits() -> None:
    users = [
        str(file.relative_to(SRC))
        for file in FILES
        for name, _ in calls(ast.parse(file.read_text(encoding="utf-8")))
        if name in ("yaml.safe_load", "yaml.safe_load_all")
    ]
    # Both look for aliases first; a card's file at its size, depth and tags as well.
    assert set(users) <= {"api/clusters.py", "learn/backbone/card_file.py"}


def test_a_finished_search_leaves_safetensors_json_text_and_plain_arrays(sound: Path) -> None:
    for name in ("texts", "series"):
        left = [path for path in (sound / "results" / name).rglob("*") if path.is_file()]
        assert left
        for path in left:
            assert path.suffix in SUFFIXES or path.name == "journal.lock", path
            start = path.read_bytes()[:4096]
            assert not start.startswith((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")), path
            if path.suffix == ".npy":
                assert b"|O" not in start[:128], path
