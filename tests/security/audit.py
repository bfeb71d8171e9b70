"""Audits the dependencies: pins, what is installed, and versions with known holes.

Without a network it checks that every package which toprung brings along, however indirectly, is
pinned in constraints.txt to one version, that this very version is installed and came from an
index, and that it is not below a version that closed a published hole (``advisories.json``, a list
kept by hand). With ``--online`` it also asks osv.dev about all pins, in one request; where that
cannot be reached it says so and does not fail.

What it does not do: hashes of packages are not pinned, and holes that nobody has added to the list
are found online only.

    python tests/security/audit.py [--online]
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tomllib
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PIN = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[A-Za-z0-9.+!]+)")
OSV = "https://api.osv.dev/v1/querybatch"
WAIT_SECONDS = 10.0


def main() -> None:
    """Prints what is wrong; exit code 1 where anything is."""
    options = _options()
    pins, wrong = read_pins(options.constraints.read_text(encoding="utf-8").splitlines())
    project = tomllib.loads(options.pyproject.read_text(encoding="utf-8"))["project"]
    wanted = _wanted(project)
    wrong += check_requirements(wanted, pins)
    reached, problems = check_installed(wanted, pins)
    wrong += problems
    advisories = json.loads(options.advisories.read_text(encoding="utf-8"))
    wrong += check_advisories(pins, advisories)
    told = f"{len(pins)} pins, {reached} packages installed, {len(advisories)} advisories"
    if options.online:
        found, said = ask_osv(pins, options.osv)
        wrong += found
        told += f"; {said}"
    print("\n".join([*wrong, f"audit: {told}: {len(wrong) or 'no'} problems"]))
    sys.exit(bool(wrong))


def read_pins(lines: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The version of each package, and what is wrong with the lines."""
    pins: dict[str, str] = {}
    wrong = []
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        match = PIN.fullmatch(text)
        if match is None:
            wrong.append(f"constraints.txt:{number}: {text!r} pins no package to one version")
            continue
        name = canonicalize_name(match["name"])
        if name in pins:
            wrong.append(f"constraints.txt:{number}: {name} is pinned twice")
        pins[name] = match["version"]
    return pins, wrong


def _wanted(project: Mapping[str, Any]) -> list[Requirement]:
    listed = [*project["dependencies"]]
    for extra in project.get("optional-dependencies", {}).values():
        listed += extra
    return [Requirement(text) for text in listed]


def check_requirements(wanted: Sequence[Requirement], pins: Mapping[str, str]) -> list[str]:
    """What pyproject.toml asks for and the pins do not give."""
    wrong = []
    for requirement in wanted:
        name = canonicalize_name(requirement.name)
        if requirement.url:
            wrong.append(f"pyproject.toml: {name} comes from an address, not from an index")
        elif name not in pins:
            wrong.append(f"pyproject.toml: {name} is not pinned in constraints.txt")
        elif not requirement.specifier.contains(pins[name], prereleases=True):
            wrong.append(f"pyproject.toml: {requirement} is not what is pinned, {pins[name]}")
    return wrong


def check_installed(
    wanted: Sequence[Requirement], pins: Mapping[str, str]
) -> tuple[int, list[str]]:
    """How many packages come along, and which of them are unpinned or of another version."""
    waiting = list(wanted)
    seen: set[tuple[str, str]] = set()
    names: set[str] = set()
    wrong: set[str] = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        for extra in ("", *requirement.extras):
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            try:
                found = distribution(name)
            except PackageNotFoundError:
                continue  # an extra that is not installed here, or one for another system
            names.add(name)
            wrong |= _compare(name, found, pins)
            waiting += _required(found, extra)
    return len(names), sorted(wrong)


def _compare(name: str, found: Distribution, pins: Mapping[str, str]) -> set[str]:
    if name not in pins:
        return {f"{name} {found.version} comes along and is not pinned in constraints.txt"}
    wrong = set()
    if Version(found.version).public != Version(pins[name]).public:
        wrong.add(f"{name} {found.version} is installed, and {pins[name]} is pinned")
    if found.read_text("direct_url.json"):
        wrong.add(f"{name} was installed from an address, not from an index")
    return wrong


def _required(found: Distribution, extra: str) -> list[Requirement]:
    requirements = [Requirement(text) for text in found.requires or ()]
    return [r for r in requirements if r.marker is None or r.marker.evaluate({"extra": extra})]


def check_advisories(pins: Mapping[str, str], advisories: Sequence[Mapping[str, str]]) -> list[str]:
    """The pins that are below a version which closed a hole."""
    return [
        f"{one['package']} {pins[one['package']]} has {one['id']}: take {one['fixed']} or later"
        for one in advisories
        if one["package"] in pins and Version(pins[one["package"]]) < Version(one["fixed"])
    ]


def ask_osv(pins: Mapping[str, str], address: str) -> tuple[list[str], str]:
    """The pins of which osv.dev knows a hole, and what to say of the asking."""
    queries = [
        {"package": {"name": name, "ecosystem": "PyPI"}, "version": version}
        for name, version in pins.items()
    ]
    body = json.dumps({"queries": queries}).encode()
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=WAIT_SECONDS) as answer:
            results = json.load(answer)["results"]
        found = [
            f"{name} {version} has {', '.join(one['id'] for one in result['vulns'])}"
            for (name, version), result in zip(pins.items(), results, strict=True)
            if result.get("vulns")
        ]
    except (OSError, ValueError, LookupError, TypeError) as error:
        return [], f"osv.dev could not be asked ({error})"
    return found, "osv.dev was asked"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--online", action="store_true", help="ask osv.dev too")
    parser.add_argument("--osv", default=OSV)
    parser.add_argument("--constraints", type=Path, default=ROOT / "constraints.txt")
    parser.add_argument("--pyproject", type=Path, default=ROOT / "pyproject.toml")
    parser.add_argument(
        "--advisories", type=Path, default=Path(__file__).with_name("advisories.json")
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
