"""One mutated file or folder of each kind, handed to the code that people hand theirs to."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from mutate import mutate_bytes, mutate_json, mutate_npz, mutate_safetensors, mutate_tree
from payloads import AUTO_MAP, pickled, plant_code, yaml_bombs
from words import WORDS, random_tree

from toprung.api import Search
from toprung.api.opening import Settings, open_run
from toprung.core.errors import ToprungError
from toprung.data.load import load_dataset
from toprung.data.read_unlabelled import read_unlabelled
from toprung.data.source import DataSource
from toprung.judge.leaderboard import rank_trials, write_leaderboard
from toprung.judge.tensorboard import rebuild
from toprung.learn.backbone.card import find_card
from toprung.learn.backbone.load import load_backbone
from toprung.learn.checkpoint import load_checkpoint, load_trained, newest_checkpoint
from toprung.ship.predictor import Ensemble
from toprung.spec.load import parse_spec
from toprung.trial.history import History
from toprung.trial.journal import read_events

ACCEPTED, REFUSED = "accepted", "refused"
_MOST_WORDS = 200_000
TEXTS = ["my parcel is late", "", "\u202e login \x1b[2J " * 9]
Case = Callable[[random.Random, Path, Path], None]
SHAPES = {"acc": (6, 2), "gyro": (4, 1)}


def run(kind: str, chance: random.Random, base: Path, place: Path) -> str:
    """Makes the case in an empty folder and hands it over.

    Returns:
        Whether it was accepted, or refused with one of toprung's own errors.

    Raises:
        Exception: anything else; that is what is looked for.
    """
    try:
        CASES[kind](chance, base, place)
    except ToprungError as error:
        if not 0 < len(str(error).strip()) < _MOST_WORDS:
            raise ValueError("an error without words, or of more than anyone reads") from error
        return REFUSED
    return ACCEPTED


def spec(chance: random.Random, base: Path, place: Path) -> None:
    """A spec: a shipped one mutated, or a random tree; sometimes with a card of its own."""
    kind = chance.random()
    sources = sorted((Path(__file__).parents[2] / "search").glob("*.yaml"))
    data = chance.choice(sources).read_bytes()
    if kind < 0.35:
        data = mutate_bytes(chance, data, [*yaml_bombs(), *_TOKENS_OF_YAML])
    elif kind < 0.65:
        data = _dump(mutate_tree(chance, yaml.safe_load(data), [*WORDS]))
    elif kind < 0.9:
        tree = {"task": "single_label", "data": {"path": "rows"}, "space": {"backbone": "minilm"}}
        for _ in range(chance.randrange(1, 5)):
            tree[chance.choice(WORDS)] = random_tree(chance)
        data = _dump(tree)
    else:
        data = b"task: single_label\ndata: {path: rows}\nspace: {backbone: ./card.yaml}\n"
    _write_card(chance, place / "card.yaml")
    given = [_override(chance) for _ in range(chance.choice((0, 0, 1, 2)))]
    (place / "try.yaml").write_bytes(data)
    found = parse_spec(data, path=place / "try.yaml", overrides=given)
    assert parse_spec(found.resolved.encode(), path=place / "again.yaml") == found


_TOKENS_OF_YAML = [
    *(b"&a", b"*a", b"<<: ", b"!x ", b"? ", b"- - - -", b"|2\n", b">\n", b"{", b"}", b"[", b"]"),
    *(
        b"# ",
        b"\t",
        b"...\n",
        b"---\n",
        b"%TAG ! x:\n",
        b"'",
        b'"',
        b"\0",
        b"\r\n",
        b"\xef\xbb\xbf",
    ),
    *(b"1e-5", b"0x" + b"f" * 500, b"9" * 500, b".nan", b"[" * 200, b"name: ../x\n", b": "),
]


def _write_card(chance: random.Random, path: Path) -> None:
    source = Path(__file__).parents[2] / "models" / "minilm.yaml"
    data = source.read_bytes()
    if chance.random() < 0.5:
        data = mutate_bytes(chance, data, [*yaml_bombs(), *_TOKENS_OF_YAML])
    else:
        data = _dump(mutate_tree(chance, yaml.safe_load(data)))
    path.write_bytes(data)


def _dump(tree: Any) -> bytes:
    text = yaml.safe_dump(tree, allow_unicode=True, sort_keys=False)
    return text.encode("utf-8", errors="surrogatepass")


def _override(chance: random.Random) -> str:
    value = json.dumps(random_tree(chance, 2))
    return f"{chance.choice(WORDS)}.{chance.choice(WORDS)}={value}"


def journal(chance: random.Random, base: Path, place: Path) -> None:
    """A journal: lines mutated, lost, doubled or moved; read, shown and replayed."""
    folder = place / "journal"
    folder.mkdir()
    whole = base / "virtual" / "journal"
    shutil.copy(whole / "spec.yaml", folder)
    lines = (whole / "journal.jsonl").read_bytes().splitlines(keepends=True)
    kind = chance.random()
    at = chance.randrange(len(lines))
    if kind < 0.6:
        lines[at] = mutate_json(chance, lines[at]) + b"\n" * (chance.random() < 0.95)
    elif kind < 0.75:
        event = json.loads(lines[at])
        other = json.loads(chance.choice(lines))
        lines[at] = json.dumps({**other, "seq": event["seq"]}).encode() + b"\n"
    elif kind < 0.8:
        del lines[at:]
    data = b"".join(lines)
    if kind >= 0.8:
        data = mutate_bytes(chance, data)
    (folder / "journal.jsonl").write_bytes(data)
    events = read_events(folder / "journal.jsonl")
    search = Search.attach(str(folder), Settings(runner="virtual", results=str(place)))
    history = History.of(events)
    write_leaderboard(folder / "leaderboard.csv", rank_trials(history, search.spec.metric))
    rebuild(folder / "trials", search.spec.space, search.spec.metric, events)
    with open_run(search.spec, search.folder, search.settings) as opened:
        opened.driver.assign()


def _rows(name: str) -> Case:
    def case(chance: random.Random, base: Path, place: Path) -> None:
        """A file of rows, for a task that may not be its own."""
        data = (base / "rows" / name).read_bytes()
        if name.endswith((".json", ".jsonl")) and chance.random() < 0.5:
            data = _mutate_objects(chance, data, name)
        else:
            data = mutate_bytes(chance, data)
        ending = name
        if chance.random() < 0.1:
            ending, data = f"{name}.gz", gzip.compress(data, 1)
            data = mutate_bytes(chance, data) if chance.random() < 0.5 else data
        (place / ending).write_bytes(data)
        task = chance.choice(("single_label", "single_label", "multi_label", "summarization"))
        label = "labels" if task == "multi_label" and "." in name[-4:] else "label"
        bad = chance.choice(("fail", "skip"))
        references = "labels" if task == "summarization" else None
        load_dataset(
            DataSource(
                train=str(place / ending),
                task=task,
                label=label,
                references=references,
                on_bad_row=bad,  # type: ignore[arg-type]
                leaks="warn",
            ),
            seed=1,
        )

    return case


def _mutate_objects(chance: random.Random, data: bytes, name: str) -> bytes:
    if name.endswith(".json"):
        return json.dumps(mutate_tree(chance, json.loads(data))).encode()
    lines = data.splitlines()
    for _ in range(chance.choice((1, 3, 20))):
        at = chance.randrange(len(lines))
        lines[at] = mutate_json(chance, lines[at]) if lines[at].startswith(b"{") else lines[at]
        if not _is_json(lines[at]):
            break
    return b"\n".join(lines)


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def npz(chance: random.Random, base: Path, place: Path) -> None:
    """An archive of windows, for training or to be labelled."""
    source = base / "windows"
    bomb = (source / "bomb.npz").read_bytes()
    data = mutate_npz(chance, (source / "train.npz").read_bytes(), bomb)
    (place / "train.npz").write_bytes(data)
    if chance.random() < 0.3:
        read_unlabelled(place / "train.npz", SHAPES)
        return
    load_dataset(DataSource(train=str(place / "train.npz"), task="series", leaks="warn"), seed=1)


def ensemble(chance: random.Random, base: Path, place: Path) -> None:
    """A folder of an ensemble, one file of it mutated, its hashes made to fit again or not."""
    name = chance.choice(("texts", "series"))
    folder = place / "ensemble"
    shutil.copytree(base / "results" / name / "ensemble", folder)
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    file = chance.choice([*files, *[f for f in files if f.name.endswith(".json")] * 3])
    _mutate_file(chance, file)
    if chance.random() < 0.2:
        plant_code(file.parent)
    if chance.random() < 0.8:
        _reseal(folder)
    loaded = Ensemble.load(folder)
    if name == "texts":
        loaded.predictions(TEXTS)
    else:
        loaded.predictions(read_unlabelled(base / "windows" / "test.npz", loaded.shapes))


def _mutate_file(chance: random.Random, file: Path) -> None:
    data = file.read_bytes()
    if file.suffix == ".json":
        data = mutate_json(chance, data)
    elif file.suffix == ".safetensors":
        data = pickled() if chance.random() < 0.05 else mutate_safetensors(chance, data)
    else:
        data = mutate_bytes(chance, data)
    file.write_bytes(data)


def _reseal(folder: Path) -> None:
    """Writes the hashes of what lies there now into whatever names them."""
    for member in sorted((folder / "members").iterdir()):
        _seal_member(member)
    described = _read(folder / "ensemble.json")
    entries = described.get("members") if isinstance(described, dict) else None
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, dict) or not isinstance(entry.get("files"), dict):
            continue
        for name in list(entry["files"]):
            file = folder / "members" / str(entry.get("trial"))[:50].replace("\0", "") / name[:50]
            if "\0" not in name and ".." not in name and file.is_file():
                entry["files"][name] = _sha256(file)
    if described is not None:
        (folder / "ensemble.json").write_text(json.dumps(described))


def _seal_member(member: Path) -> None:
    said, weights = _read(member / "member.json"), member / "weights.safetensors"
    if not isinstance(said, dict) or not weights.is_file():
        return
    said["weights_sha256"] = _sha256(weights)
    folder = said.get("backbone_folder")
    if isinstance(folder, str) and "\0" not in folder and ".." not in folder:
        backbone = member.parent / folder[:100] / "model.safetensors"
        if backbone.is_file():
            said["backbone_sha256"] = _sha256(backbone)
    (member / "member.json").write_text(json.dumps(said))


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def backbone(chance: random.Random, base: Path, place: Path) -> None:
    """A folder with a backbone: configuration, tokenizer or weights mutated, code planted."""
    folder = place / "backbone"
    shutil.copytree(base / "backbone", folder)
    if chance.random() < 0.3:
        plant_code(folder)
        config = json.loads((folder / "config.json").read_bytes())
        config["auto_map"] = AUTO_MAP
        if chance.random() < 0.5:
            config["model_type"] = "x"
        (folder / "config.json").write_text(json.dumps(config))
        said = json.loads((folder / "tokenizer_config.json").read_bytes())
        said["auto_map"] = AUTO_MAP
        (folder / "tokenizer_config.json").write_text(json.dumps(said))
    if chance.random() < 0.9:
        _mutate_file(chance, chance.choice(sorted(folder.glob("*.[js]*"))))
    loaded = load_backbone(find_card(str(folder)))
    loaded.tokenizer(TEXTS, truncation=True, max_length=8)


def checkpoint(chance: random.Random, base: Path, place: Path) -> None:
    """A trial's checkpoint, one file of it mutated, its manifest made to fit again or not."""
    whole = next((base / "results" / "texts" / "trials").glob("t*/checkpoints"))
    folder = place / "checkpoints"
    shutil.copytree(whole, folder)
    newest = sorted(folder.iterdir())[-1]
    _mutate_file(chance, chance.choice(sorted(newest.iterdir())))
    if chance.random() < 0.7:
        manifest = _read(newest / "manifest.json")
        if isinstance(manifest, dict) and isinstance(manifest.get("sha256"), dict):
            there = [n for n in manifest["sha256"] if "\0" not in n and (newest / n[:50]).is_file()]
            manifest["sha256"] |= {name: _sha256(newest / name[:50]) for name in there}
            (newest / "manifest.json").write_text(json.dumps(manifest))
    load_checkpoint(newest)
    load_trained(newest)
    state = _read(newest / "state.json")
    fingerprint = state.get("fingerprint") if isinstance(state, dict) else ""
    newest_checkpoint(folder, str(fingerprint))


CASES: dict[str, Case] = {
    "spec": spec,
    "journal": journal,
    "csv": _rows("rows.csv"),
    "tsv": _rows("rows.tsv"),
    "jsonl": _rows("rows.jsonl"),
    "json": _rows("rows.json"),
    "parquet": _rows("rows.parquet"),
    "plain_parquet": _rows("plain.parquet"),
    "nested_parquet": _rows("nested.parquet"),
    "npz": npz,
    "ensemble": ensemble,
    "backbone": backbone,
    "checkpoint": checkpoint,
}
SHARES = {
    "spec": 22,
    "journal": 14,
    "csv": 9,
    "tsv": 2,
    "jsonl": 9,
    "json": 5,
    "parquet": 4,
    "plain_parquet": 3,
    "nested_parquet": 2,
    "npz": 12,
    "ensemble": 6,
    "backbone": 4,
    "checkpoint": 8,
}
"""Of a hundred cases; what trains or loads models takes a hundred times as long as rows do."""
