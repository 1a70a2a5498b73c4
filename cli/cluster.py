"""An executor that stands for a dask cluster. dask is imported only where it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

from swsfmt import InputError


@contextmanager
def executor(address: str | None) -> Iterator[Executor | None]:
    """The workers of the scheduler at `address`, e.g. tcp://host:8786; None for none.

    A task whose worker dies is given to another one. Raises `InputError` without the package `distributed`, `OSError`.
    """
    if address is None:
        yield None
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise InputError("--dask needs distributed: pip install 'swsfmt[dask]'") from error
    with Client(address, set_as_default=False) as client:
        yield client.get_executor()
