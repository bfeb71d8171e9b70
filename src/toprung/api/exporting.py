"""A saved ensemble written in the formats of others, with a model card and checked answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from toprung.api.folder import Folder
from toprung.core.errors import FixEnvironment, FixSpec
from toprung.core.files import new_folder, read_json, write_text
from toprung.core.registry import nearest
from toprung.data.load import load_dataset
from toprung.learn.backbone.load import quietly
from toprung.ship import exporters
from toprung.ship.exporters._base import Export, Exporter
from toprung.ship.model_card import render_card
from toprung.ship.predictor import ENSEMBLE_NAME, Ensemble
from toprung.spec.load import load_spec

ROWS = 200
README, SCRIPT = "README.md", "predict.py"


def export(folder: Folder, kind: str) -> tuple[Path, list[str]]:
    """Exports a search's ensemble to ``export/<kind>``; an earlier export is replaced.

    Args:
        folder: of the search.
        kind: name of an exporter.

    Returns:
        The folder, and what was written and how closely it agrees.

    Raises:
        FixSpec: no exporter of that name, or an ensemble that it cannot write.
        FixEnvironment: no ensemble was saved, a library is missing, or the answers differ.
    """
    exporter = _find_exporter(kind)
    ensemble = Ensemble.load(folder.whole_ensemble())
    _check_form(exporter, kind, ensemble)
    said = read_json(folder.ensemble / ENSEMBLE_NAME)
    spec = load_spec(str(folder.spec))
    # Rows that weights and temperature were fitted on: parity is no score.
    split = load_dataset(spec.data, spec.seed).splits["selection"]
    rows = split.take(np.arange(min(ROWS, len(split))), split.name).content
    to = folder.root / "export" / kind
    with new_folder(to) as aside, quietly():
        try:
            told = exporter.write(Export(ensemble, folder.ensemble, said, rows), aside)
            card = render_card(
                spec.name,
                said,
                told,
                versions=_versions(folder),
                library=exporter.library,
                script=(aside / SCRIPT).is_file(),
            )
        except (LookupError, TypeError, AttributeError) as error:
            raise FixEnvironment(
                f"{folder.ensemble} is not as toprung wrote it ({type(error).__name__}: {error}); "
                "build it again with 'toprung ensemble'."
            ) from error
        write_text(aside / README, card)
    return to, told


def _find_exporter(kind: str) -> Exporter:
    known = exporters.registry.names()
    if kind not in known:
        raise FixSpec("--to", [f"no exporter '{kind}'. {nearest(kind, known)}"])
    try:
        return exporters.registry.get(kind)()
    except ImportError as error:
        text = f"{error}. Run: pip install 'toprung[{kind}]'"
        raise FixEnvironment(text) from error


def _check_form(exporter: Exporter, kind: str, ensemble: Ensemble) -> None:
    task = ensemble.task
    if (task.reads, task.answers) not in exporter.forms:
        others = " or ".join(name for name in exporters.registry.names() if name != kind)
        what = "writes" if task.answers == "texts" else f"reads {task.reads}"
        text = f"{kind} has no form for an ensemble that {what}. Take --to {others}."
        raise FixSpec("--to", [text])


def _versions(folder: Folder) -> dict[str, str]:
    said = read_json(folder.environment)
    return {"toprung": str(said["toprung"]), **{k: str(v) for k, v in said["packages"].items()}}
