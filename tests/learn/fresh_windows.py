"""Run as a script: scores windows with a saved member in a new process."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch

from toprung.data.series import Series
from toprung.learn.member import load_member

if __name__ == "__main__":
    torch.set_num_threads(1)
    given = json.loads(sys.stdin.read())
    with np.load(given["rows"], allow_pickle=False) as rows:
        series = Series({name: rows[name] for name in rows.files})
    print(json.dumps(load_member(Path(given["member"]), "cpu").logits(series).tolist()))
