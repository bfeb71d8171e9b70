"""Run as a script: writes texts with a saved member in a new process."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from toprung.learn.member import load_member

if __name__ == "__main__":
    torch.set_num_threads(1)
    given = json.loads(sys.stdin.read())
    member = load_member(Path(given["member"]), "cpu")
    print(json.dumps(member.logits(given["texts"]).tolist()))
