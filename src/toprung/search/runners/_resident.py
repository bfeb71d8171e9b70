"""A Ray worker that stays: one process, trial after trial."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ray import tune

from toprung.core.errors import Interrupted
from toprung.search.runners._base import Train, classify
from toprung.trial.config import Assignment, TrialConfig
from toprung.trial.decision import Failure
from toprung.trial.report import Report


class Resident(tune.Trainable):
    """A worker that keeps its process, and all that is loaded in it, from trial to trial."""

    _reports: Iterator[Report] | None = None

    def setup(self, config: dict[str, Any], train: Train | None = None) -> None:
        """Begins the first assignment of this process."""
        self._train = train
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begins another assignment in the same process."""
        self._close()
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Trains to the next report; a failure is a result too, so that the worker lives on."""
        try:
            assert self._reports is not None
            return _result(report=next(self._reports).to_json())
        except Interrupted:
            return _result(interrupted=True)
        except StopIteration:
            failure = Failure("metric_missing", "the trial ended before its last rung")
        # A trial is user code: whatever it raises becomes a class and a line, not a crash.
        except Exception as error:
            failure = classify(error)
        self._close()
        return _result(failure={"kind": failure.kind, "message": failure.message})

    def cleanup(self) -> None:
        """Closes the trial that this process was at."""
        self._close()

    def _begin(self, config: Mapping[str, Any]) -> None:
        order = json.loads(config["assignment"])
        assert self._train is not None
        self._reports = self._train(
            Assignment(TrialConfig(**order.pop("config")), **order),
        )

    def _close(self) -> None:
        close = getattr(self._reports, "close", None)
        self._reports = None
        if close is not None:
            close()


def _result(**said: Any) -> dict[str, Any]:
    """A Tune result with our words in one JSON text: Tune would flatten nested ones."""
    return {"said": json.dumps(said)}
