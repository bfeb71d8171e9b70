"""What LoRA in the top two of six layers costs in accuracy, against all six.

    python benchmarks/training/restriction.py                # about 25 minutes on 2 cores

The same rows, steps, learning rate and seeds for both; only the layers that are adapted differ,
and with them the time: the lower four layers come from the prefix cache. Trainings that
``equal_scores.py`` has done are not done again. The test split is never read.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from equal_scores import FULL as EQUAL
from equal_scores import difference
from scores import Size, accuracies

from harness import Entry, arguments, data_folder, entry, record

SIZES = {**EQUAL, "imdb": Size(1280, 1, 3000)}
QUICK = {"banking77": Size(320, 1, 200)}


def compared(dataset: str, size: Size, top: list[float], whole: list[float]) -> Entry:
    """The entry of a data set."""
    note = f"{difference(top, whole)}; {size.rows:,} rows, {size.epochs} epochs"
    spread = [100 * statistics.stdev(scores) for scores in (top, whole)]
    note += f"; standard deviation over seeds {spread[0]:.2f} and {spread[1]:.2f} points"
    return entry(
        "restriction_cost",
        dataset,
        "all_layers",
        ours=top,
        theirs=whole,
        unit="accuracy",
        better="higher",
        note=note,
    )


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--datasets", nargs="+", choices=tuple(SIZES), default=list(SIZES))
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    sizes = QUICK if options.quick else SIZES
    options.repeats = 2 if options.quick else options.repeats
    for dataset in [name for name in options.datasets if name in sizes]:
        folder, size = data_folder(options.data.resolve(), dataset), sizes[dataset]
        top, whole = (
            accuracies("ours", folder, size, seeds=range(1, options.repeats + 1),
                       layers=layers, threads=options.threads)
            for layers in ("top_third", "all")
        )  # fmt: skip
        record([compared(dataset, size, top, whole)], options.quick)


if __name__ == "__main__":
    main()
