"""Ray Jobs, reached over HTTP through the dashboard of a cluster's head."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from ray._private.authentication.authentication_utils import is_token_auth_enabled
from ray.exceptions import AuthenticationError
from ray.job_submission import JobSubmissionClient

from toprung.core.errors import FixEnvironment
from toprung.search.runners._access import (
    TOKEN_ADVICE,
    asks_for_token,
    close_token_file,
    is_loopback,
    open_cluster,
)
from toprung.search.servers._base import Job, JobServer, Unreachable

T = TypeVar("T")

_SECONDS = 30.0
_OVERRIDES = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS")
"""Variables that Ray prefers to the address it is given."""


class _Client(JobSubmissionClient):
    """Ray's client, which itself would wait for ever for a network that is gone."""

    def _do_request(self, method: str, endpoint: str, **options: Any) -> Any:
        return super()._do_request(method, endpoint, **{"timeout": _SECONDS, **options})


class RayJobs(JobServer):
    """The jobs of a Ray cluster."""

    def __init__(self, *, url: str, trusts_open: bool = False) -> None:
        """Knocks, and looks who may come in.

        Args:
            url: ``http://host:port`` of the dashboard.
            trusts_open: whether a cluster will do that is not of this machine and asks for no
                token.

        Raises:
            FixEnvironment: nothing answers, the token is missing or wrong, or none is asked for.
        """
        self.url = url.rstrip("/")
        close_token_file()
        asks = asks_for_token(self.url)
        host = urlsplit(self.url).hostname or ""
        if not asks and not trusts_open and not is_loopback(host):
            raise FixEnvironment(open_cluster(host))
        if asks and not is_token_auth_enabled():
            raise FixEnvironment(f"The cluster at {self.url} asks for a token. {TOKEN_ADVICE}")
        with _without(_OVERRIDES):
            self._client = self._try(lambda: _Client(self.url))

    def submit(
        self, command: str, *, name: str, notes: Mapping[str, str], folder: Path, wait_seconds: int
    ) -> None:
        env = {"RAY_JOB_STOP_WAIT_TIME_S": str(wait_seconds)}
        self._try(
            lambda: self._client.submit_job(
                entrypoint=command,
                submission_id=name,
                metadata=dict(notes),
                runtime_env={"working_dir": str(folder), "env_vars": env},
            )
        )

    def jobs(self) -> Sequence[Job]:
        found = self._try(self._client.list_jobs)
        mine = [_job(details) for details in found if details.submission_id]
        return sorted(mine, key=lambda job: (job.began or 0, job.name))

    def job(self, name: str) -> Job:
        return _job(self._try(lambda: self._client.get_job_info(name)))

    def log(self, name: str) -> str:
        return str(self._try(lambda: self._client.get_job_logs(name)))

    def stop(self, name: str) -> bool:
        return bool(self._try(lambda: self._client.stop_job(name)))

    def _try(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except AuthenticationError as error:
            said = str(error).partition("\n")[0].rstrip(".")
            text = f"The cluster at {self.url} refuses the token ({said}). {TOKEN_ADVICE}"
            raise FixEnvironment(text) from None
        except OSError as error:  # requests' own errors are of this kind
            text = f"The cluster at {self.url} does not answer: {_line(error)}."
            raise Unreachable(text) from None
        except RuntimeError as error:
            if "ray[default]" in str(error):
                text = "Ray Jobs need more of Ray. Run: pip install 'toprung[cluster]'"
                raise FixEnvironment(text) from None
            text = f"The cluster at {self.url} refuses: {_line(error)}"
            raise FixEnvironment(text) from None


def _job(details: Any) -> Job:
    return Job(
        name=str(details.submission_id),
        state=str(getattr(details.status, "value", details.status)),
        message=str(details.message or ""),
        exit_code=details.driver_exit_code,
        began=details.start_time,
        ended=details.end_time,
        notes=dict(details.metadata or {}),
    )


def _line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:300]


@contextmanager
def _without(names: tuple[str, ...]) -> Iterator[None]:
    before = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(before)
