"""The model card of an export: metadata for hubs, figures, limits, thresholds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

_TEXTS, _GIVEN = '"a text" "another text"', {"series": "windows.npz"}
_KINDS = {"summarization": "summarization", "series": "time-series-classification"}
_SPECIAL = re.compile(r"([\\`*{}\[\]<>|#!~$&_])")


def render_card(
    name: str,
    said: Mapping[str, Any],
    told: Sequence[str],
    *,
    versions: Mapping[str, str],
    library: str,
    script: bool,
) -> str:
    """The card as Markdown under YAML metadata, as hubs read it.

    Args:
        name: of the search.
        said: what ``ensemble.json`` says.
        told: what was written and how closely it agrees, a sentence each.
        versions: of the libraries that trained it.
        library: that loads it, as hubs name it.
        script: whether a ``predict.py`` comes with it.
    """
    head = yaml.safe_dump(_metadata(name, said, library), sort_keys=False, allow_unicode=True)
    return "\n".join(
        [
            "---",
            head.rstrip("\n"),
            "---",
            "",
            f"# {_plain(name)}",
            "",
            *_tell_test(said),
            "## Use",
            "",
            *(_use(said) if script else []),
            *(f"- {_plain(line)}" for line in told),
            "",
            *_tell_members(said),
            *_tell_thresholds(said),
            *_tell_limits(said, versions),
        ]
    )


def _use(said: Mapping[str, Any]) -> list[str]:
    return ["```sh", f"python predict.py {_GIVEN.get(said['task'], _TEXTS)}", "```", ""]


def _metadata(name: str, said: Mapping[str, Any], library: str) -> dict[str, Any]:
    metric = {"type": said["metric"], "value": said["test"]["value"]}
    kind = _KINDS.get(said["task"], "text-classification")
    sources = sorted(_sources(said))
    result = {
        "task": {"type": kind},
        "dataset": {"name": name, "type": f"sha256:{said['data_sha256'][:16]}"},
        "metrics": [metric],
    }
    return {
        "library_name": library,
        "pipeline_tag": kind,
        "tags": ["toprung", said["task"].replace("_", "-")],
        **({"base_model": sources} if sources else {}),
        "model-index": [{"name": name, "results": [result]}],
    }


def _tell_test(said: Mapping[str, Any]) -> list[str]:
    test = said["test"]
    low, high = test["interval"]
    gain = test["gain_over_best_trial"]
    return [
        f"{_plain(said['metric'])} **{test['value']:.4f}** (95 % interval {low:.4f} to "
        f"{high:.4f}) on the {test['rows']:,} rows of the test split; the best single trial has "
        f"{test['best_trial']['value']:.4f}, a gain of {gain['value']:+.4f} "
        f"({gain['interval'][0]:+.4f} to {gain['interval'][1]:+.4f}).",
        "",
    ]


def _tell_members(said: Mapping[str, Any]) -> list[str]:
    lines = ["## Members", "", "| member | weight | backbone |", "| --- | ---: | --- |"]
    lines += [
        f"| {_plain(m['trial'])} | {m['weight']:.3f} | {_plain(m['backbone'])} |"
        for m in said["members"]
    ]
    if said["labels"]:
        lines += ["", f"Temperature of the blend: {said['temperature']:.4f}."]
    return [*lines, ""]


def _tell_thresholds(said: Mapping[str, Any]) -> list[str]:
    found = said.get("thresholds")
    if not found:
        return []
    lines = ["## Thresholds", "", "| label | threshold | rows it was fitted on |"]
    lines.append("| --- | ---: | ---: |")
    lines += [
        f"| {_plain(label)} | {value:.4f} | {found['positives'][label]:,} |"
        for label, value in found["values"].items()
    ]
    return [*lines, ""]


def _tell_limits(said: Mapping[str, Any], versions: Mapping[str, str]) -> list[str]:
    sources = sorted(map(_plain, _sources(said)))
    labels = f" with {len(said['labels'])} labels" if said["labels"] else ""
    whose = "The licences of the data hold."
    if sources:
        whose = f"Weights of {', '.join(sources)} are in it: their licences hold, and the data's."
    return [
        "## Limits",
        "",
        f"Trained on one data set (SHA-256 {said['data_sha256'][:16]}…){labels}; figures hold for "
        f"rows like these. {whose}",
        "",
        "Versions: " + ", ".join(f"{name} {version}" for name, version in versions.items()) + ".",
        "",
    ]


def _sources(said: Mapping[str, Any]) -> set[str]:
    """Where the weights of the backbones are published."""
    return {str(m.get("published") or m["source"]) for m in said["members"] if m.get("source")}


def _plain(text: str) -> str:
    """Text as it reads, on one line."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return _SPECIAL.sub(r"\\\1", line)
