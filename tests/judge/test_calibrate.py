from __future__ import annotations

import numpy as np
import pytest

from toprung.data.metrics import softmax
from toprung.data.tasks.single_label import SingleLabel
from toprung.judge.calibrate import apply_temperature, calibrate, expected_calibration_error


def overconfident(
    classes: int, rows: int = 4000, factor: float = 3.0
) -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(3)
    logits = chance.normal(size=(rows, classes)) * 2
    honest = softmax(logits)
    labels = np.array([chance.choice(classes, p=row) for row in honest])
    return softmax(logits * factor), labels


@pytest.mark.parametrize("classes", [2, 3, 12])
def test_the_temperature_of_an_overconfident_blend_is_found(classes: int) -> None:
    probabilities, labels = overconfident(classes)
    found = calibrate(probabilities, labels, SingleLabel())
    assert found.temperature == pytest.approx(3.0, rel=0.12)
    assert found.ece_after < 0.5 * found.ece_before


def test_a_temperature_never_changes_what_is_predicted() -> None:
    probabilities, _ = overconfident(5, rows=300)
    softened = apply_temperature(probabilities, 2.7, SingleLabel())
    np.testing.assert_array_equal(softened.argmax(1), probabilities.argmax(1))
    np.testing.assert_allclose(softened.sum(1), 1.0)


@pytest.mark.parametrize("missing", [0, 2, 4])
def test_a_class_without_rows_in_the_selection_split_does_not_shift_the_others(
    missing: int,
) -> None:
    probabilities, labels = overconfident(5)
    kept = labels != missing
    found = calibrate(probabilities[kept], labels[kept], SingleLabel())
    assert 2.0 < found.temperature < 4.5


def test_two_classes_of_four_in_the_selection_split_are_enough() -> None:
    probabilities, labels = overconfident(4)
    kept = (labels == 1) | (labels == 3)
    assert 1.0 < calibrate(probabilities[kept], labels[kept], SingleLabel()).temperature < 6


def test_the_temperature_stays_within_bounds_when_every_row_is_right() -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8]] * 4)
    assert calibrate(
        probabilities, np.array([0, 1] * 4), SingleLabel()
    ).temperature == pytest.approx(0.05)


def test_rows_of_one_class_alone_leave_the_temperature_at_one() -> None:
    assert calibrate(np.array([[0.9, 0.1]] * 5), np.zeros(5, int), SingleLabel()).temperature == 1.0


def test_the_calibration_error_equals_its_definition_bin_by_bin() -> None:
    probabilities, labels = overconfident(4, rows=500)
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    expected = 0.0
    for low in np.arange(15) / 15:
        inside = (confidence >= low) & (confidence < low + 1 / 15)
        if low == 14 / 15:
            inside = confidence >= low
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert expected_calibration_error(probabilities, labels) == pytest.approx(expected)
