"""The words that specs are made of, and random trees of them; shared with tests/spec/test_fuzz."""

from __future__ import annotations

import copy
import random
from typing import Any

from toprung.spec.reader import REQUIRED
from toprung.spec.space import KEYS

SECTIONS = [*REQUIRED, "name", "metric", "scheduler", "searcher", "resource", "budget", "trial"]
SECTIONS += ["ensemble", "baselines", "first", "seed"]
NAMES = ["asha", "lora", "minilm", "rank", "depth", "float", "int", "log", "step", "min", "max"]
NAMES += ["unit", "epochs", "trials", "members", "greedy", "path", "corpus", "tickets", "focal"]
NAMES += ["single_label", "cls", "mlp", "hidden", "../x", "no", "1e-5", "", "a b"]
WORDS = [*KEYS, *SECTIONS, *NAMES]
HOSTILE: list[Any] = [
    *(None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63), 10**40, 1e308, -1e308, 1e-320),
    *(float("nan"), float("inf"), "", " ", "nan", "1e5", "0x1f", "null", "~", "t0001", "a" * 70),
    *("../../../etc/passwd", "/etc/passwd", "..", ".", "C:\\x", "a/../../b", "~root", "a\\b"),
    *(
        "a\0b",
        "\x1b]0;x\x07",
        "\x9b31m",
        "a\nb",
        "\u2028",
        "\u202e",
        "\ufeff",
        "\ud800",
        "\U0001f381",
    ),
    *("<script>alert(1)</script>", "{{7*7}}", "[red]x[/]", "=1+1", "%s%n", "$(touch x)", "`id`"),
    *("http://169.254.169.254/", "s3://a/b", "file:///etc/passwd", "package:os", "zip::x"),
    *("x" * 5000, [], {}, [[]], [None], {"": None}, {"__class__": "x"}, {"_target_": "os.system"}),
]


def random_tree(chance: random.Random, depth: int = 4) -> Any:
    """A value of known words, odd scalars, lists and mappings."""
    kind = chance.random()
    if depth == 0 or kind < 0.45:
        scalars = [
            copy.deepcopy(chance.choice(HOSTILE)),
            chance.choice(WORDS),
            chance.randint(-3, 99),
        ]
        return chance.choice([*scalars, chance.random()])
    if kind < 0.65:
        return [random_tree(chance, depth - 1) for _ in range(chance.randrange(4))]
    names = ["float", "int"] if kind < 0.7 else WORDS
    return {
        chance.choice(names): random_tree(chance, depth - 1) for _ in range(chance.randrange(5))
    }
