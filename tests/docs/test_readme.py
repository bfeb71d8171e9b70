"""What the README says is so: its commands, its tables, its links, its tree."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path
from types import ModuleType

import pytest
import typer

from toprung.cli.main import app

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GROUP = typer.main.get_command(app)
PAGES = sorted(
    path
    for folder in (".", "search", "models", "clusters", "benchmarks", "results")
    for path in (ROOT / folder).glob("*.md" if folder == "." else "**/*.md")
    if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
)
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)[^)]*\)")


def commands() -> list[str]:
    """Every command line of the README's shell blocks that runs toprung."""
    blocks = re.findall(r"```sh\n(.*?)```", README, flags=re.S)
    lines = [line.partition("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("toprung ")]


def mentions() -> list[str]:
    """Every command that stands within a line of text."""
    return [m for m in re.findall(r"`(toprung [^`\n]+)`", README) if m not in commands()]


def renderer() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "render_components", Path(__file__).with_name("render_components.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_are_commands_to_check() -> None:
    verbs = {shlex.split(line)[1] for line in commands()}
    assert {"data", "validate", "search", "board", "tensorboard", "resume", "predict"} <= verbs


@pytest.mark.parametrize("line", commands())
def test_a_command_of_the_readme_is_one_that_the_command_line_takes(line: str) -> None:
    _, verb, *words = shlex.split(line)
    known = GROUP.commands[verb]
    context = known.make_context(verb, words)
    assert context.params


@pytest.mark.parametrize("line", mentions())
def test_a_command_within_the_text_names_a_verb_and_options_that_exist(line: str) -> None:
    verb = line.split()[1]
    options = {name for parameter in GROUP.commands[verb].params for name in parameter.opts}
    assert set(re.findall(r"--[a-z][a-z-]*", line)) <= options


def test_the_tables_of_components_are_those_of_the_code() -> None:
    found = renderer()
    assert found.readme_with(found.render(), README) == README, (
        "run: python tests/docs/render_components.py --write"
    )


def test_the_tree_names_folders_and_files_that_exist() -> None:
    block = next(b for b in re.findall(r"```text\n(.*?)```", README, flags=re.S) if "search/" in b)
    folder = ROOT
    for line in block.splitlines():
        name = line.lstrip("├└─│ ").split()[0]
        if line.startswith("src/toprung/"):
            folder = ROOT / "src" / "toprung"
        elif line[0] not in "├└│":
            assert (ROOT / name).is_dir(), name
            continue
        else:
            assert (folder / name).is_dir(), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_resolves(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("path", sorted((ROOT / "search").glob("*.yaml")), ids=lambda p: p.name)
def test_the_first_line_of_a_search_is_its_command(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith(f"# toprung search {path.stem}")


def test_the_exit_codes_are_told_alike_in_the_readme_and_the_help() -> None:
    assert GROUP.epilog is not None
    for code in (0, 1, 2, 3, 4, 130):
        assert re.search(rf"\b{code} [a-z]", README[README.index("Exit codes") :])
        assert re.search(rf"\b{code} [a-z]", GROUP.epilog)
