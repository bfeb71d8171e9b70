"""Cards of backbones: where an encoder comes from, its sizes and its LoRA targets."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from toprung.core.catalogue import catalogue_names, find_catalogue_file
from toprung.core.errors import FixSpec, Problem
from toprung.core.files import read_json
from toprung.core.registry import nearest
from toprung.learn.backbone.card_file import read_card_file

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?\Z")
_MODULE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*\Z")
_LARGEST = 1 << 40
_HEADS = ("num_attention_heads", "n_heads", "num_heads", "encoder_attention_heads")

_FAMILIES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "bert": ("encoder.layer", ("query", "value")),
    "roberta": ("encoder.layer", ("query", "value")),
    "electra": ("encoder.layer", ("query", "value")),
    "distilbert": ("transformer.layer", ("q_lin", "v_lin")),
    "deberta-v2": ("encoder.layer", ("query_proj", "value_proj")),
    "modernbert": ("layers", ("Wqkv",)),
}
_WRITERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "t5": ("encoder.block", ("q", "v")),
    "bart": ("encoder.layers", ("q_proj", "v_proj")),
    "pegasus": ("encoder.layers", ("q_proj", "v_proj")),
}


@dataclass(frozen=True)
class Card:
    """One pretrained encoder.

    Attributes:
        name: as the space says it.
        source: hub id, local folder, or ``package:<module>`` with a ``get_model_path()``.
        layers: transformer layers of the whole encoder.
        hidden: width of its token vectors.
        heads: attention heads of a layer.
        parameters: of the whole encoder.
        max_length: longest input in tokens.
        layers_path: dotted path from the encoder to its list of layers.
        lora_targets: names of the linear layers that LoRA adapts; empty where it cannot.
        pooling: used where the space has none.
        licence: SPDX identifier of the weights.
        revision: commit on the hub; None is not pinned.
        sha256: of ``model.safetensors``, checked before the weights are used.
        decoder: what writes texts: ``own`` where the source is an encoder-decoder, ``warm`` where
            a decoder is started from the encoder's layers (Rothe et al. 2020, arXiv:1907.12461);
            None where the backbone only reads.
        hub: hub id of the same weights, where the source is none; exports name it.
    """

    name: str
    source: str
    layers: int
    hidden: int
    heads: int
    parameters: int
    max_length: int
    layers_path: str
    lora_targets: tuple[str, ...] = ()
    pooling: str = "mean"
    licence: str = "unknown"
    revision: str | None = None
    sha256: str | None = None
    decoder: Literal["own", "warm"] | None = None
    hub: str | None = None

    @property
    def published(self) -> str:
        """Where others find the weights."""
        return self.hub or self.source

    @property
    def kind(self) -> Literal["package", "folder", "hub"]:
        """Where the source lives.

        >>> find_card("minilm").kind, find_card("bert_base").kind
        ('package', 'hub')
        """
        if self.source.startswith("package:"):
            return "package"
        return "folder" if Path(self.source).is_absolute() else "hub"

    def to_json(self) -> dict[str, Any]:
        """The card as JSON values."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**values, "lora_targets": list(self.lora_targets)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Card:
        """The card that ``to_json`` wrote."""
        return cls(**{**value, "lora_targets": tuple(value["lora_targets"])})


def check_card(value: object) -> None:
    """Refuses what ``to_json`` did not write, before a card is made of it.

    Raises:
        ValueError: with the first thing that is wrong.
    """
    if not isinstance(value, Mapping):
        raise ValueError("a card is a mapping of names to values")
    sizes = {name: size for name, size in value.items() if name != "parameters"}
    problems = _problems(sizes | {"parameters": value.get("parameters") or 1})
    if problems:
        raise ValueError(str(problems[0]))


def card_names() -> list[str]:
    """Names of the cards in the catalogue, sorted.

    >>> "minilm" in card_names()
    True
    """
    return catalogue_names("models")


def find_card(name_or_path: str, base: Path | None = None) -> Card:
    """The card of a name in the catalogue, of a card's file, or of a folder with an encoder.

    Args:
        name_or_path: ``minilm``, ``cards/mine.yaml``, or a folder with a ``config.json``.
        base: folder that relative paths start from; the working directory by default.

    Raises:
        FixSpec: nothing of that name, or a card with problems.

    >>> find_card("minilm").layers
    6
    """
    path = (base or Path.cwd()) / name_or_path
    if not path.exists() and base is not None:
        path = Path.cwd() / name_or_path
    if path.is_file() and path.suffix in (".yaml", ".yml"):
        return _read_card(path)
    if (path / "config.json").is_file():
        return _card_of_folder(path.resolve(), name_or_path)
    known = find_catalogue_file("models", name_or_path)
    if known is not None:
        return _read_card(known)
    hint = nearest(name_or_path, card_names())
    text = f"no backbone '{name_or_path}', no card and no folder of that name. {hint}"
    raise FixSpec(name_or_path, [Problem("backbone", text)])


def _read_card(path: Path) -> Card:
    values = {"name": path.stem, **read_card_file(path)}
    problems = _problems(values)
    if problems:
        raise FixSpec(str(path), problems)
    source = str(values["source"])
    if source.startswith((".", "~", "/")):
        values["source"] = str((path.parent / os.path.expanduser(source)).resolve())
    return Card.from_json({"lora_targets": [], **values})


def _problems(values: Mapping[str, Any]) -> list[Problem]:
    annotations = {field.name: str(field.type) for field in fields(Card)}
    required = [f.name for f in fields(Card) if f.name in list(annotations)[:8]]
    found = [Problem(name, "missing.") for name in required if name not in values]
    for name, value in values.items():
        if name not in annotations:
            found.append(Problem(str(name), f"unknown. {nearest(str(name), list(annotations))}"))
        elif annotations[name] == "int" and (type(value) is not int or not 0 < value < _LARGEST):
            found.append(Problem(name, f"{_shown(value)} is not a whole number from 1."))
        elif annotations[name].startswith("str") and not _is_text(value, annotations[name]):
            found.append(Problem(name, f"{_shown(value)} is not text."))
        elif name == "decoder" and value not in ("own", "warm", None):
            found.append(Problem(name, f"{_shown(value)} is none of own, warm and null."))
        elif name == "lora_targets" and not _are_names(value):
            found.append(Problem(name, f"{_shown(value)} is not a list of names."))
    source = str(values.get("source", "x"))
    if not _is_source(source):
        text = f"{_shown(source)} is no hub id, folder or package:<module>."
        found.append(Problem("source", text))
    return found


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _is_text(value: object, annotation: str) -> bool:
    return isinstance(value, str) or (value is None and "None" in annotation)


def _are_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _is_source(source: str) -> bool:
    if source.startswith("package:"):
        return bool(_MODULE.match(source.removeprefix("package:")))
    if source.startswith((".", "~", "/")):
        return "\0" not in source and len(source) < 4096
    return bool(_HUB_ID.match(source))


def _card_of_folder(path: Path, name: str) -> Card:
    try:
        config = read_json(path / "config.json")
    except (OSError, ValueError) as error:
        raise FixSpec(str(path / "config.json"), [f"cannot be read: {error}."]) from error
    if not isinstance(config, dict):
        raise FixSpec(str(path / "config.json"), ["the configuration of an encoder is an object."])
    family = str(config.get("model_type"))
    known = {**_FAMILIES, **_WRITERS}
    if family not in known:
        text = f"model_type '{family}' is not supported here. {nearest(family, list(known))}"
        raise FixSpec(str(path / "config.json"), [Problem("model_type", text)])
    layers_path, targets = known[family]
    sizes = {
        "layers": _first(config, "num_hidden_layers", "n_layers", "num_layers", "encoder_layers"),
        "hidden": _first(config, "hidden_size", "dim", "d_model"),
        "heads": _first(
            config, "num_attention_heads", "n_heads", "num_heads", "encoder_attention_heads"
        ),
    }
    lacking = [name for name, size in sizes.items() if not size]
    if lacking:
        text = f"the number of {' and '.join(lacking)} is not there, or is no size."
        raise FixSpec(str(path / "config.json"), [text])
    positions = _first(config, "max_position_embeddings", "n_positions") or 512
    return Card(
        name=name,
        source=str(path),
        layers=sizes["layers"],
        hidden=sizes["hidden"],
        heads=sizes["heads"],
        parameters=sum(file.stat().st_size for file in path.glob("*.safetensors")) // 4,
        # RoBERTa counts positions from behind its padding id.
        max_length=positions - 2 if family == "roberta" else positions,
        layers_path=layers_path,
        lora_targets=targets,
        decoder="own" if family in _WRITERS else None,
    )


def _first(config: Mapping[str, Any], *names: str) -> int:
    """The first of the names that the config has as a size; 0 where it has none."""
    values = (config.get(name) for name in names)
    return next((v for v in values if type(v) is int and 0 < v < _LARGEST), 0)
