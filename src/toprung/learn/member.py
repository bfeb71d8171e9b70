"""Members of an ensemble: a trained trial saved on its own, and loaded to score texts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from toprung.core.errors import FixEnvironment
from toprung.core.files import inside, new_folder, read_json, sha256_file, write_json
from toprung.data.series import Content, Series
from toprung.learn.backbone.card import Card, check_card
from toprung.learn.backbone.load import (
    hash_tokenizer,
    load_backbone,
    load_tokenizer,
    save_tokenizer,
)
from toprung.learn.backbone.locate import Loaded
from toprung.learn.checkpoint import FOREIGN, WEIGHTS, load_trained
from toprung.learn.device import resolve_device
from toprung.learn.evaluate import predict
from toprung.learn.inputs import Inputs
from toprung.learn.model import Classifier, build_model, rebuild
from toprung.learn.series.member import SeriesMember, rebuild_member
from toprung.learn.summaries.member import SummaryMember, rebuild_writer
from toprung.learn.tokens import tokenize
from toprung.trial.config import TrialConfig

_FORMAT = 1
_MEMBER = "member.json"
_LARGEST, _SHORTEST = 1 << 20, 4
_MOST = {"layers": 256, "beams": 32, "max_target_length": 1024, "decoder_layers": 256}


@dataclass(frozen=True)
class Member:
    """A trained model and all that turns texts into its scores.

    Attributes:
        trial: id.
        label_names: of the scores, in order.
        card: of its backbone.
        sha256: of its weights' file.
        max_length: of a text in tokens; longer ones are cut.
        model: in ``eval`` mode; frozen weights are shared with other members.
        tokenizer: a transformers tokenizer.
        backbone_sha256: of the backbone's weights.
        config_sha256: of how they are used.
        tokenizer_sha256: of all that decides how text becomes tokens.
    """

    trial: str
    label_names: tuple[str, ...]
    card: Card
    sha256: str
    max_length: int
    model: Classifier
    tokenizer: Any
    backbone_sha256: str
    config_sha256: str
    tokenizer_sha256: str

    def logits(self, content: Content) -> NDArray[np.float32]:
        """Scores of texts, (N, C) float32; the same texts give the same bits.

        Raises:
            TypeError: windows instead of texts.
        """
        if isinstance(content, Series):
            raise TypeError("this model reads texts, not windows of several modalities")
        if not content:
            return np.zeros((0, len(self.label_names)), dtype=np.float32)
        tokens = tokenize(self.tokenizer, content, self.max_length)
        device = next(self.model.parameters()).device
        padding = int(self.tokenizer.pad_token_id or 0)
        return predict(self.model, Inputs(tokens, padding, device))


AnyMember = Member | SeriesMember | SummaryMember


def save_member(
    trial_folder: Path, checkpoint: str, to: Path, *, backbones: Path | None = None
) -> None:
    """Saves a trial's checkpoint as a member: weights, tokenizer and ``member.json``.

    Frozen weights of a package's or hub's backbone are named by card and hash. Those of a local
    folder are copied once for all members, since nobody else has them. A member on windows has
    neither backbone nor tokenizer.

    Args:
        trial_folder: of the trial.
        checkpoint: name of its checkpoint folder, as its report says.
        to: folder of the member; replaced where it exists.
        backbones: folder for copies of local backbones; ``backbones`` beside the member.

    Raises:
        FixEnvironment: the checkpoint is not there or not whole.
    """
    source = trial_folder / checkpoint
    snapshot = load_trained(source)
    if snapshot is None:
        raise FixEnvironment(f"{source} is no whole checkpoint; train {trial_folder.name} again.")
    facts = dict(snapshot.state["model"])
    if "modalities" in facts:
        _write(to, source, facts)
        return
    card = Card.from_json(facts["card"])
    loaded = load_backbone(card)
    _check_backbone(facts, loaded, source)
    if card.kind == "folder":
        copies = to.parent / "backbones" if backbones is None else backbones
        facts["backbone_folder"] = _copy_backbone(loaded, copies, to.parent)
    _write(to, source, facts, loaded.tokenizer)


def _write(to: Path, source: Path, facts: dict[str, Any], tokenizer: Any = None) -> None:
    with new_folder(to) as aside:
        shutil.copyfile(source / WEIGHTS, aside / WEIGHTS)
        if tokenizer is not None:
            save_tokenizer(tokenizer, aside / "tokenizer")
        facts["weights_sha256"] = sha256_file(aside / WEIGHTS)
        write_json(aside / _MEMBER, {"format": _FORMAT, **facts})


def load_member(path: Path, device: str = "auto") -> AnyMember:
    """The member in a folder; its predictions equal those before it was saved.

    Args:
        path: that ``save_member`` wrote.
        device: as of ``Trainer``.

    Raises:
        FixEnvironment: a file is missing or not what was written, or the backbone is another.
    """
    facts = _read_member(path)
    where = resolve_device(device)
    with _foreign(path):
        return _load(path, facts, where)


def _load(path: Path, facts: Mapping[str, Any], where: str) -> AnyMember:
    if "modalities" in facts:
        return rebuild_member(facts, path / WEIGHTS, where)
    card = _card(path, facts)
    loaded = load_backbone(card, where)
    _check_backbone(facts, loaded, path)
    _check_length(facts["max_length"], loaded)
    tokenizer = load_tokenizer(path / "tokenizer", loaded.encoder)
    if "vocabulary" in facts:
        weights = path / WEIGHTS
        return rebuild_writer(
            facts, loaded, card, weights=weights, tokenizer=tokenizer, device=where
        )
    model = _rebuild(facts, loaded, card, path / WEIGHTS)
    return Member(
        trial=str(facts["trial"]),
        label_names=tuple(facts["label_names"]),
        card=card,
        sha256=facts["weights_sha256"],
        max_length=int(facts["max_length"]),
        model=model.to(where).eval(),
        tokenizer=tokenizer,
        backbone_sha256=loaded.sha256,
        config_sha256=loaded.config_sha256,
        tokenizer_sha256=hash_tokenizer(tokenizer),
    )


def load_plain(path: Path) -> tuple[AnyMember, Mapping[str, Any]]:
    """A member in float32 on the CPU, and what ``member.json`` says of it.

    Args:
        path: that ``save_member`` wrote.

    Raises:
        FixEnvironment: as of ``load_member``.
    """
    facts = _read_member(path)
    with _foreign(path):
        return _load(path, {**facts, "precision": "float32"}, "cpu"), facts


@contextmanager
def _foreign(path: Path) -> Iterator[None]:
    """What a folder's files lead to that are not as they were written, told in words."""
    try:
        yield
    except (OSError, SafetensorError, AssertionError, *FOREIGN) as error:
        raise FixEnvironment(
            f"{path} is no member that toprung wrote ({type(error).__name__}: {error}); copy the "
            "ensemble/ folder again."
        ) from error


def _card(path: Path, facts: Mapping[str, Any]) -> Card:
    """The member's card; a folder that it names lies beside the member, not anywhere."""
    check_card(facts["card"])
    card = Card.from_json(facts["card"])
    folder = facts.get("backbone_folder")
    if folder is not None:
        return replace(card, source=str(inside(path.resolve().parent, folder).resolve()))
    if card.kind == "folder":
        raise ValueError(f"the backbone lies in {card.source[:100]!r}, outside of the ensemble")
    return card


def _read_member(path: Path) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = read_json(path / _MEMBER)
        found = sha256_file(path / WEIGHTS)
    except (OSError, ValueError) as error:
        raise FixEnvironment(f"{path} is no saved member: {error}") from error
    if not isinstance(facts, dict) or facts.get("format") != _FORMAT:
        raise FixEnvironment(f"{path / _MEMBER} is not of format {_FORMAT}.")
    if found != facts.get("weights_sha256"):
        raise FixEnvironment(f"{path / WEIGHTS} is not the file that was saved; copy it again.")
    wrong = _beyond(facts.get("values"))
    if facts.get("precision") not in ("float32", "bfloat16"):
        wrong = f"precision {str(facts.get('precision'))[:60]!r}"
    if wrong:
        raise FixEnvironment(f"{path / _MEMBER}: {wrong}, which no trial has.")
    return facts


def _beyond(values: object) -> str | None:
    """Which value of a configuration is none, or larger than any search can ask for."""
    if not isinstance(values, Mapping):
        return "it has no values"
    for name, value in values.items():
        if not isinstance(value, str | int | float | None):
            return f"{name} is no value"
        most = next((n for ends, n in _MOST.items() if name.endswith(ends)), _LARGEST)
        if isinstance(value, int) and abs(value) > most:
            return f"{name} is {value:,}"
    return None


def _rebuild(facts: Mapping[str, Any], loaded: Loaded, card: Card, weights: Path) -> Classifier:
    config = TrialConfig(facts["trial"], facts["values"], int(facts["seed"]))

    def make() -> Classifier:
        return build_model(
            config,
            loaded.encoder,
            card,
            depth=facts["depth"],
            outputs=len(facts["label_names"]),
            precision=facts["precision"],
        )

    try:
        model = rebuild(make, weights)
    except (OSError, SafetensorError, ValueError) as error:
        raise FixEnvironment(f"{weights}: {error}") from error
    model.requires_grad_(False)
    return model


def _check_backbone(facts: Mapping[str, Any], loaded: Loaded, place: Path) -> None:
    if loaded.sha256 != facts["backbone_sha256"]:
        raise FixEnvironment(
            f"{place} was trained on a backbone with sha256 {facts['backbone_sha256']}; "
            f"{loaded.folder} has {loaded.sha256}. Install the backbone of its card again."
        )


def _check_length(max_length: object, loaded: Loaded) -> None:
    """Refuses a member that would read more tokens than its backbone has places for."""
    config: Any = getattr(loaded.encoder, "config", None)
    places = getattr(config, "max_position_embeddings", None) or _LARGEST
    # Of fewer tokens than the special ones a tokenizer cuts nothing at all.
    if type(max_length) is not int or not _SHORTEST <= max_length <= places:
        raise ValueError(f"max_length is {str(max_length)[:60]}, of {places:,} places")


def _copy_backbone(loaded: Loaded, copies: Path, base: Path) -> str:
    folder = copies / loaded.sha256[:16]
    if not (folder / "model.safetensors").is_file():
        with new_folder(folder) as aside:
            for name in ("config.json", "model.safetensors"):
                shutil.copyfile(loaded.folder / name, aside / name)
            save_tokenizer(loaded.tokenizer, aside)
    return Path(os.path.relpath(folder.resolve(), base.resolve())).as_posix()
