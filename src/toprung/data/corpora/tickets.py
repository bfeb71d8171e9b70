"""Support tickets in 15 categories: generated English with paraphrases, typos and noise."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from random import Random

from toprung.core.seeds import derive_seed
from toprung.data.corpora._base import Corpus
from toprung.data.repeats import text_key

SHARES: Mapping[str, float] = {
    "shipping_delay": 14.5,
    "refund": 13.0,
    "billing": 11.0,
    "login": 10.0,
    "damaged_item": 9.0,
    "cancellation": 8.0,
    "payment_failed": 7.0,
    "wrong_item": 6.0,
    "product_question": 5.5,
    "lost_package": 4.5,
    "account_change": 4.0,
    "discount": 2.5,
    "warranty": 2.0,
    "complaint": 1.5,
    "privacy": 1.5,
}
SPLITS: Mapping[str, float] = {"train": 0.62, "validation": 0.17, "test": 0.21}
_MISTAKEN_FOR: Mapping[str, str] = {
    "billing": "payment_failed",
    "refund": "cancellation",
    "payment_failed": "billing",
    "login": "account_change",
    "account_change": "login",
    "shipping_delay": "lost_package",
    "lost_package": "shipping_delay",
    "damaged_item": "warranty",
    "wrong_item": "damaged_item",
    "cancellation": "refund",
    "warranty": "damaged_item",
    "product_question": "discount",
    "discount": "billing",
    "complaint": "shipping_delay",
    "privacy": "account_change",
}
_SLOTS = ("product", "city", "carrier", "month", "person", "name", "code")
_CHOICE = re.compile(r"\[([^\]]*)\]")


@dataclass(frozen=True)
class Tickets(Corpus):
    """Customers write to a shop; the category is what they ask for.

    What makes it hard, and a bag of words weak: a category is said in many ways that share few
    words; three in ten phrasings of each never stand in train; many tickets mention a second
    topic in passing, with that topic's words; there are typos, and some labels are wrong.

    Attributes:
        rows: of train, validation and test together, 62, 17 and 21 %.
        seed: of the texts; equal seeds give equal bytes.
        noise: share of labels replaced by a related category, in every split.
        unseen: share of validation and test tickets with a phrasing that train never uses.

    >>> splits = Tickets(rows=600).splits()
    >>> {name: len(rows) for name, rows in splits.items()}
    {'train': 372, 'validation': 102, 'test': 126}
    """

    rows: int = 4800
    seed: int = 7
    noise: float = 0.02
    unseen: float = 0.25

    def __post_init__(self) -> None:
        if not 600 <= self.rows <= 100_000:
            raise ValueError(f"rows: {self.rows} is not from 600 to 100,000.")
        for name in ("noise", "unseen"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name}: {getattr(self, name)} is not from 0 to 1.")

    def splits(self) -> dict[str, list[tuple[str, str]]]:
        """Rows as (text, label) by split; no text stands twice, in one split or in two."""
        sizes = seats(self.rows, SPLITS)
        seen: set[bytes] = set()
        made = {name: self._split(name, sizes[name], seen) for name in reversed(list(SPLITS))}
        return {name: made[name] for name in SPLITS}

    def _split(self, split: str, rows: int, seen: set[bytes]) -> list[tuple[str, str]]:
        chance = Random(derive_seed(self.seed, "tickets", split))
        unseen = 0.0 if split == "train" else self.unseen
        found: list[tuple[str, str]] = []
        for label, count in seats(rows, SHARES).items():
            common, rare = self._phrasings(label)
            for _ in range(count):
                while True:
                    known = rare if chance.random() < unseen else common
                    text = _ticket(label, known, chance)
                    key = text_key(text)
                    if key not in seen:
                        break
                seen.add(key)
                wrong = chance.random() < self.noise
                found.append((text, _MISTAKEN_FOR[label] if wrong else label))
        chance.shuffle(found)
        return found

    def _phrasings(self, label: str) -> tuple[list[str], list[str]]:
        """The phrasings that every split uses, and those that train does not."""
        phrases = list(_phrases()[label])
        Random(derive_seed(self.seed, "tickets", "phrasings", label)).shuffle(phrases)
        kept = round(0.7 * len(phrases))
        return phrases[:kept], phrases[kept:]


def seats(total: int, shares: Mapping[str, float]) -> dict[str, int]:
    """A total parted by shares into whole numbers, by largest remainders.

    >>> seats(10, {"a": 2.0, "b": 1.0})
    {'a': 7, 'b': 3}
    """
    exact = {name: total * share / sum(shares.values()) for name, share in shares.items()}
    counts = {name: int(value) for name, value in exact.items()}
    ranked = sorted(exact, key=lambda name: counts[name] - exact[name])
    for name in ranked[: total - sum(counts.values())]:
        counts[name] += 1
    return counts


@cache
def _phrases() -> dict[str, tuple[str, ...]]:
    text = files(__package__).joinpath("tickets.txt").read_text(encoding="utf-8")
    sections = [part.splitlines() for part in text.split("\n## ")[1:]]
    return {lines[0]: tuple(line for line in lines[1:] if line) for lines in sections}


def _ticket(label: str, phrasings: Sequence[str], chance: Random) -> str:
    """One ticket of 10 to 50 words: what is asked for, and what stands around it."""
    bank = _phrases()
    facts = _facts(chance)

    def say(phrases: Sequence[str]) -> str:
        return _fill(_any(phrases, chance), facts, chance)

    asked = _fill(_long_tail(phrasings, chance), facts, chance)
    around = [say(bank["context"])] if chance.random() < 0.5 else []
    if chance.random() < 0.35:
        other = _any([name for name in SHARES if name != label], chance)
        around.append(say(bank[f"{other}?"]))
    while len(" ".join([asked, *around]).split()) < 10:
        around.append(say(bank["context"]))
    around.insert(int(chance.random() * (len(around) + 1)), asked)
    if chance.random() < 0.6:
        around.insert(0, say(bank["greeting"]))
    if chance.random() < 0.6:
        around.append(say(bank["closing"]))
    return _careless(" ".join(around), chance)


def _facts(chance: Random) -> dict[str, str]:
    """What the slots of one ticket stand for, the same in each of its sentences."""
    facts = {name: _any(_phrases()[f"{{{name}}}"], chance) for name in _SLOTS}
    cents = _any(("00", "50", "99"), chance)
    facts["amount"] = f"{_any('$€£', chance)}{5 + int(chance.random() * 295)}.{cents}"
    facts["order"] = f"#{10000 + int(chance.random() * 90000)}"
    facts["days"] = str(3 + int(chance.random() * 18))
    facts["date"] = f"{facts['month']} {1 + int(chance.random() * 28)}"
    return facts


def _fill(phrase: str, facts: Mapping[str, str], chance: Random) -> str:
    worded = _CHOICE.sub(lambda match: _any(match[1].split("|"), chance), phrase)
    return worded.format_map(facts)


def _careless(text: str, chance: Random) -> str:
    """The text with a customer's habits: typos, no capitals, no commas."""
    if chance.random() < 0.35:
        words = text.split(" ")
        for index, word in enumerate(words):
            if len(word) > 3 and word.isalpha() and chance.random() < 0.08:
                at = 1 + int(chance.random() * (len(word) - 2))
                start, end = word[:at], word[at + 1 :]
                swapped = start + word[at + 1] + word[at] + word[at + 2 :]
                words[index] = _any((swapped, start + end, start + word[at - 1] + end), chance)
        text = " ".join(words)
    if chance.random() < 0.2:
        text = text.lower()
    if chance.random() < 0.1:
        text = text.replace(",", "").replace("'", "")
    return text


def _any(options: Sequence[str], chance: Random) -> str:
    return options[int(chance.random() * len(options))]


def _long_tail(options: Sequence[str], chance: Random) -> str:
    """One of them, the earlier the likelier: 1 / (rank + 3)."""
    weights = [1.0 / (rank + 3) for rank in range(len(options))]
    at = chance.random() * sum(weights)
    for option, weight in zip(options, weights, strict=True):
        at -= weight
        if at < 0:
            return option
    return options[-1]
