"""A file behind a URL: in ranges, or whole where the server sends no ranges; and what went wrong on the way."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from typing import Any

from ..errors import InputError, TruncatedError, warn

_HTTP = {
    401: (errno.EACCES, "the server asks for a login"),
    403: (errno.EACCES, "the server refuses access"),
    404: (errno.ENOENT, "the server has no such file"),
    410: (errno.ENOENT, "the server has no such file any more"),
    429: (errno.EBUSY, "too many requests; try again later"),
}
# Libraries put sentences of their own beside these.
_NO_CONNECTION = (
    errno.ECONNREFUSED,
    errno.ECONNRESET,
    errno.ECONNABORTED,
    errno.EPIPE,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
)


class UrlSource:
    """A file behind any URL that fsspec knows (https://, s3://, ...); only the ranges asked for are fetched.

    All of it is fetched, once, where the server does not send ranges, or does not say how long it is; a `SwsWarning`
    says so. Raises `InputError` for a URL that cannot be one, and where fsspec, or what it needs for the protocol, is
    not installed; `OSError` where there is no answer or another one: `FileNotFoundError`, `ConnectionRefusedError`,
    `PermissionError`, `TimeoutError`.
    """

    def __init__(self, url: str) -> None:
        self.name: str | None = url
        self._url = url
        self._whole: memoryview | None = None
        self._connect()
        size = self._ask(self._files.size, self._path)
        self.size = self._fetch_whole("does not say how long it is") if size is None else int(size)

    def _connect(self) -> None:
        url = self._url
        try:
            from fsspec.core import url_to_fs

            self._files, self._path = url_to_fs(url)
        except ImportError as error:
            raise InputError(f"{error}; pip install 'swsfmt[remote]'", file=url) from error
        except ValueError as error:
            raise InputError(f"this is no URL that fsspec knows: {error}", file=url) from error
        except Exception as error:
            raise explained(error, url) from error
        self._process = os.getpid()
        self._lock = threading.Lock()

    def read_at(self, offset: int, count: int) -> memoryview:
        if self._process != os.getpid():
            # The connections, their thread and the lock are those of the process that was forked.
            self._connect()
        whole = self._whole
        if whole is None and count:
            data: bytes = self._ask(self._files.cat_file, self._path, start=offset, end=offset + count)
            if len(data) == count:
                if count == self.size:
                    self._whole = memoryview(data)
                return memoryview(data)
            whole = self._whole_instead(data)
        part = memoryview(b"") if whole is None else whole[offset : offset + count]
        if len(part) != count:
            raise TruncatedError(
                "the server sent another number of bytes than asked for", file=self.name, offset=offset
            )
        return part

    def _whole_instead(self, data: bytes) -> memoryview | None:
        """The whole file, where that is what came instead of a range."""
        with self._lock:
            if self._whole is None and len(data) == self.size:
                self._keep(data, "sends no ranges")
            return self._whole

    def _fetch_whole(self, why: str) -> int:
        self._keep(self._ask(self._files.cat_file, self._path), why)
        assert self._whole is not None
        return len(self._whole)

    def _keep(self, data: bytes, why: str) -> None:
        self._whole = memoryview(data)
        warn(f"{self.name}: the server {why}; all {len(data):,} bytes were fetched")

    def _ask(self, function: Any, *arguments: Any, **options: Any) -> Any:
        """What fsspec has got; its errors, and those of the libraries below it, as an `OSError` with the URL."""
        try:
            return function(*arguments, **options)
        except MemoryError:
            raise
        except Exception as error:
            raise explained(error, str(self.name)) from error

    def close(self) -> None:
        """Nothing is held open."""

    def __reduce__(self) -> tuple[type[UrlSource], tuple[str]]:
        return type(self), (self._url,)


def explained(error: Exception, url: str) -> OSError:
    """One error for whatever a server, or the way to it, has done. fsspec calls most of it "file not found"."""
    causes = list(_causes(error))
    for status in (getattr(cause, "status", None) for cause in causes):
        if not isinstance(status, int):
            continue
        number, text = _HTTP.get(status, (errno.EIO, "the server answers with an error"))
        return OSError(number, f"{text} (HTTP {status})", url)
    if any(isinstance(cause, TimeoutError) for cause in causes):
        return OSError(errno.ETIMEDOUT, "the server does not answer in time", url)
    if any(type(cause).__name__ == "gaierror" for cause in causes):
        return OSError(errno.EHOSTUNREACH, "the name of the server is not known, or there is no network", url)
    for cause in causes:
        if isinstance(cause, OSError) and cause.errno and cause.strerror:
            lost = cause.errno in _NO_CONNECTION
            text = f"no connection to the server: {os.strerror(cause.errno)}" if lost else cause.strerror
            return OSError(cause.errno, text, url)
    if isinstance(error, FileNotFoundError) and len(causes) == 1:
        return FileNotFoundError(errno.ENOENT, "there is no such file", url)
    text = " ".join(str(causes[-1]).split())
    return OSError(errno.EIO, f"cannot be read: {type(causes[-1]).__name__}{': ' if text else ''}{text}", url)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and those that led to it."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or getattr(current, "os_error", None) or current.__context__
