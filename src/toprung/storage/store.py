"""Objects under a URL that every machine reaches, through fsspec."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import fsspec
from fsspec.core import url_to_fs

from toprung.core.errors import FixEnvironment, FixSpec
from toprung.core.files import AWAY, inside

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_EXTRAS = {"s3": "s3", "s3a": "s3"}
_WAITS_SECONDS = (0.2, 0.8, 3.0)
# Errors of botocore that another try does not mend; named, as it need not be installed.
_FINAL = ("NoCredentialsError", "PartialCredentialsError", "ParamValidationError", "NoRegionError")

_T = TypeVar("_T")


class StorageError(OSError):
    """The storage refuses, or does not answer; the message names its URL."""


def is_url(results: str) -> bool:
    """Whether a place for results is a URL rather than a path.

    >>> is_url("s3://bucket/team"), is_url("results"), is_url("/mnt/shared/results")
    (True, False, False)
    """
    return "://" in results or "::" in results


def open_store(url: str) -> Store:
    """The storage at a URL; nothing is asked of it yet.

    Raises:
        FixSpec: not a URL that results can be kept under.
        FixEnvironment: the library that speaks with such a storage is not installed.

    >>> open_store("memory://team/").url
    'memory://team'
    """
    problem = _problem(url)
    if problem:
        raise FixSpec("--results", [problem])
    scheme = url.partition("://")[0].lower()
    try:
        fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        extra = _EXTRAS.get(scheme)
        advice = f" Run: pip install 'toprung[{extra}]'" if extra else ""
        text = f"{scheme}:// needs a library that is not installed ({error}).{advice}"
        raise FixEnvironment(text) from None
    except ValueError:
        text = f"'{scheme}://' is no storage that fsspec knows. Give a path, or for example s3://."
        raise FixSpec("--results", [text]) from None
    return Store(url.rstrip("/"))


def _problem(url: str) -> str | None:
    """What is wrong with a URL; secrets in it are not repeated."""
    match = _SCHEME.match(url)
    if match is None or "::" in url:
        return f"'{url.partition('@')[0]}' is no plain URL such as s3://bucket/prefix."
    parts = urlsplit(url)
    if parts.password is not None:
        return (
            f"a URL that holds a password ({match[0]}…) would be written down with it. Put the "
            f"credentials into the environment, such as AWS_ACCESS_KEY_ID."
        )
    if parts.scheme in ("file", "local"):
        return f"'{url}' is on this machine, where objects do not appear whole. Give the path."
    if parts.query or parts.fragment:
        return f"'{match[0]}{parts.netloc}{parts.path}' must stand without ? and #."
    if not (parts.netloc or parts.path.strip("/")):
        return f"'{url}' names no bucket. Write {match[0]}bucket/prefix."
    if any(part in ("..", ".") for part in parts.path.split("/")):
        return f"'{url}' must not lead through . or .., as objects have no parents."
    return None


def working_folder(url: str) -> Path:
    """This machine's folder for what is kept under a URL; ``TOPRUNG_CACHE`` moves it."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    cache = os.environ.get("TOPRUNG_CACHE") or f"{base}/toprung"
    name = hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:16]
    return Path(cache).expanduser().resolve() / "results" / name


def file_of(root: Path, key: str) -> Path:
    """The file of an object below a folder.

    Raises:
        FixEnvironment: the name leads out of the folder; nobody of ours has put it.
    """
    try:
        return inside(root, key)
    except ValueError as error:
        raise FixEnvironment(f"the storage holds an object of nobody's search: {error}.") from None


@dataclass(frozen=True)
class Store:
    """Objects below a URL; a value that can be sent to another machine.

    An object appears whole or not at all. Credentials are taken from the environment of whoever
    asks, by the library of the storage. What fails for a moment is tried again for a few seconds.

    Attributes:
        url: without a slash at its end.
    """

    url: str

    def below(self, name: str) -> Store:
        """The storage below a name."""
        return Store(f"{self.url}/{name}")

    @property
    def parent(self) -> Store:
        """The storage that this one lies below.

        >>> Store("s3://bucket/team/mine").parent.url
        's3://bucket/team'
        """
        return Store(self.url.rpartition("/")[0])

    def put(self, key: str, data: bytes) -> None:
        """Writes an object, or replaces it.

        Raises:
            StorageError, PermissionError, FileNotFoundError: the last where there is no bucket.
        """
        self._try(key, lambda files, path: files.pipe_file(path, data))

    def put_new(self, key: str, data: bytes) -> None:
        """Writes an object only if there is none of that name: of two writers one gets through.

        Raises:
            FileExistsError: there is one. It may be this very one, where an answer was lost.
            StorageError, PermissionError, FileNotFoundError: as of ``put``.
        """

        def create(files: Any, path: str) -> None:
            try:
                files.pipe_file(path, data, mode="create")
            except FileExistsError:
                raise
            except OSError as error:
                # s3fs says "invalid argument" where the storage said that its name is taken.
                if files.exists(path):
                    raise FileExistsError(errno.EEXIST, "there is one", path) from error
                raise

        self._try(key, create)

    def get(self, key: str) -> bytes:
        """An object.

        Raises:
            FileNotFoundError: there is none.
        """
        return bytes(self._try(key, lambda files, path: files.cat_file(path)))

    def has(self, key: str) -> bool:
        """Whether there is an object of that name."""
        return bool(self._try(key, lambda files, path: files.exists(path)))

    def answers(self) -> bool:
        """Whether it can be reached now."""
        try:
            self.has("")
        except OSError:
            return False
        return True

    def get_all(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Several objects, fetched beside each other; all of them must be there."""
        wanted = list(keys)
        if not wanted:
            return {}

        def fetch(files: Any, root: str) -> dict[str, bytes]:
            found = files.cat([f"{root}/{key}" for key in wanted])
            return {name[len(root) + 1 :]: bytes(data) for name, data in found.items()}

        return self._try("", fetch)

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Bytes of every object below a prefix, by its key, in the order of keys."""

        def find(files: Any, path: str) -> dict[str, int]:
            _, root = _open(self.url)
            found = files.find(path, detail=True)
            inside = {
                name[len(root) + 1 :]: int(about["size"] or 0)
                for name, about in found.items()
                if name.startswith(f"{path}/")
            }
            return dict(sorted(inside.items()))

        try:
            return self._try(prefix, find)
        except FileNotFoundError:
            return {}

    def children(self) -> list[str]:
        """Names directly below, of objects and of prefixes."""

        def look(files: Any, path: str) -> list[str]:
            return sorted({name.rstrip("/").rpartition("/")[2] for name in files.ls(path, False)})

        try:
            return self._try("", look)
        except FileNotFoundError:
            return []

    def upload(self, file: Path, key: str) -> None:
        """Writes a file as an object, or replaces it."""
        self._try(key, lambda files, path: files.put_file(str(file), path))

    def download(self, key: str, file: Path) -> None:
        """Fetches an object into a file; whole, or the file is left as it was."""
        file.parent.mkdir(parents=True, exist_ok=True)
        aside = file.with_name(f".{file.name}.{os.getpid()}.tmp")
        try:
            self._try(key, lambda files, path: files.get_file(path, str(aside)))
            aside.replace(file)
        finally:
            aside.unlink(missing_ok=True)

    def delete(self, keys: Iterable[str]) -> None:
        """Removes objects; those that are not there are no error."""
        for key in keys:
            try:
                self._try(key, lambda files, path: files.rm_file(path))
            except FileNotFoundError:
                continue

    def _try(self, key: str, action: Callable[[Any, str], _T]) -> _T:
        for wait in (*_WAITS_SECONDS, None):
            try:
                files, root = _open(self.url)
                return action(files, f"{root}/{key}" if key else root)
            except (FileNotFoundError, FileExistsError):
                raise
            except PermissionError as error:
                raise PermissionError(errno.EACCES, _line(error), self._place(key)) from error
            # The edge to a foreign library: each raises errors of its own kinds.
            except Exception as error:
                if type(error).__name__ in _FINAL:
                    raise StorageError(errno.EIO, _line(error), self._place(key)) from error
                if wait is None:
                    raise StorageError(AWAY, _line(error), self._place(key)) from error
                time.sleep(wait)
        raise AssertionError("the last try returns or raises")

    def _place(self, key: str) -> str:
        return f"{self.url}/{key}" if key else self.url


@lru_cache(maxsize=64)
def _open(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the URL's path in it; listings are never remembered."""
    files, path = url_to_fs(url, use_listings_cache=False)
    return files, path.rstrip("/")


def _line(error: BaseException) -> str:
    text = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
