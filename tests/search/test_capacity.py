"""How many trials nodes hold, and what is said where none does."""

from __future__ import annotations

import pytest

from toprung.core.errors import FixEnvironment
from toprung.search.runners._capacity import Need, count_slots, slots_by_need

GIB = 2**30
SMALL = {"CPU": 4.0, "memory": 8.0 * GIB}
LARGE = {"CPU": 16.0, "memory": 64.0 * GIB}
CARDS = {"CPU": 8.0, "GPU": 2.0, "memory": 32.0 * GIB}


@pytest.mark.parametrize(
    ("need", "slots"),
    [
        (Need(cpus=1), 28),
        (Need(cpus=3), 1 + 5 + 2),
        (Need(cpus=1, memory=3 * GIB), 2 + 16 + 8),
        (Need(cpus=1, gpus=1.0), 2),
        (Need(cpus=1, gpus=0.5), 4),
        (Need(cpus=1, gpus=2.0), 1),
        (Need(cpus=6, gpus=0.5, memory=5 * GIB), 1),
    ],
    ids=str,
)
def test_a_trial_is_placed_where_all_that_it_needs_is(need: Need, slots: int) -> None:
    assert count_slots([SMALL, LARGE, CARDS], need) == slots


@pytest.mark.parametrize(
    ("need", "said"),
    [
        (Need(cpus=17), r"asks for 17 CPUs.*largest node has 16 CPUs.*trial\.cpus"),
        (Need(cpus=1, memory=65 * GIB), r"65\.0 GiB.*64\.0 GiB.*trial\.memory_gib"),
        (Need(cpus=1, gpus=4.0), r"4 GPUs.*largest node has 8 CPUs and 2 GPUs"),
    ],
    ids=str,
)
def test_what_no_node_can_hold_is_refused_with_the_largest_one_named(need: Need, said: str) -> None:
    with pytest.raises(FixEnvironment, match=said):
        count_slots([SMALL, LARGE, CARDS], need)


def test_a_node_that_tells_no_memory_is_believed_to_have_enough() -> None:
    assert count_slots([{"CPU": 2.0}], Need(cpus=1, memory=GIB)) == 2


def test_what_may_do_without_a_card_takes_what_cards_leave() -> None:
    card, alone = Need(cpus=2, gpus=1.0), Need(cpus=4)
    assert slots_by_need([CARDS, LARGE], [card, alone]) == [2, 1 + 4]
    assert count_slots([CARDS, LARGE], card, alone) == 7
    assert count_slots([LARGE], card, alone) == 4
