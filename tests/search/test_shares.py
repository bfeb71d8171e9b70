"""How searches share a cluster: by priority, and no more than each can use."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from toprung.search.shares import Claim, shares

CLAIMS = st.lists(
    st.builds(
        Claim,
        name=st.uuids().map(str),
        priority=st.sampled_from([0.5, 1.0, 2.0, 4.0]),
        wants=st.one_of(st.none(), st.integers(0, 20)),
        size=st.sampled_from([1.0, 2.0, 4.0]),
        most=st.one_of(st.none(), st.integers(1, 10)),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda claim: claim.name,
)


def test_twice_the_priority_is_twice_the_share() -> None:
    three = [Claim("a"), Claim("b"), Claim("c", priority=2.0)]
    assert shares(three, {"CPU": 16}) == {"a": 4, "b": 4, "c": 8}


def test_what_one_does_not_want_goes_to_the_others() -> None:
    assert shares([Claim("a", wants=2), Claim("b"), Claim("c")], {"CPU": 12}) == {
        "a": 2,
        "b": 5,
        "c": 5,
    }


def test_large_trials_count_for_what_they_take() -> None:
    assert shares([Claim("a", size=4.0), Claim("b")], {"CPU": 16}) == {"a": 2, "b": 8}


def test_searches_on_graphics_cards_and_on_processors_do_not_share() -> None:
    found = shares([Claim("a", resource="GPU"), Claim("b")], {"CPU": 8, "GPU": 2})
    assert found == {"a": 2, "b": 8}


def test_nobody_is_left_without_a_trial() -> None:
    assert shares([Claim("a"), Claim("b"), Claim("c")], {"CPU": 2}) == {"a": 1, "b": 1, "c": 1}


@given(CLAIMS, st.integers(1, 64))
def test_nobody_gets_more_than_there_is_or_than_it_may(claims: list[Claim], cpus: int) -> None:
    found = shares(claims, {"CPU": float(cpus)})
    assert found == shares(claims[::-1], {"CPU": float(cpus)})
    given_out = sum(c.size * found[c.name] for c in claims if found[c.name] > 1)
    assert given_out <= cpus
    assert all(1 <= found[c.name] <= (c.most or cpus) for c in claims)


@given(CLAIMS, st.integers(8, 64))
def test_who_wants_more_has_no_less_for_its_priority_than_who_has_enough(
    claims: list[Claim], cpus: int
) -> None:
    found = shares(claims, {"CPU": float(cpus)})
    hungry = [c for c in claims if c.wants is None and c.most is None]
    for one in hungry:
        for other in claims:
            mine = (found[one.name] + 1) * one.size / one.priority
            theirs = (found[other.name] - 1) * other.size / other.priority
            fits = sum(c.size * found[c.name] for c in claims) + one.size <= cpus
            assert mine >= theirs or not fits or found[other.name] == 1
