"""Where a trial reports."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from toprung.search.schedulers._base import rungs
from toprung.spec.resource import report_points


@given(st.integers(1, 5000), st.integers(2, 300), st.integers(2, 5), st.integers(0, 999))
def test_points_hold_every_rung_and_leave_no_wide_gap(
    low: int, factor: int, eta: int, more: int
) -> None:
    high = low * max(factor, eta) + more
    points = report_points(low, high, eta)
    assert set(rungs(low, high, eta)) <= set(points)
    assert list(points) == sorted(set(points))
    assert points[-1] == high
    gaps = [b - a for a, b in zip((0, *points), points, strict=False)]
    assert max(gaps) <= max(1, high // 9)
    assert len(points) <= 9 + 2 + len(rungs(low, high, eta)) + high % 9


def test_without_rungs_the_ends_are_among_the_points() -> None:
    assert report_points(1, 3, None) == (1, 2, 3)
    assert report_points(7, 7, None) == (1, 2, 3, 4, 5, 6, 7)
