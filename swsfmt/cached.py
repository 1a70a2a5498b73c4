"""Properties that are computed once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, overload

T = TypeVar("T")


class cached_property(Generic[T]):  # noqa: N801
    """As `functools.cached_property` is from Python 3.12 on: without a lock.

    A process that is forked while another thread holds a lock waits for it for ever. Two threads may compute a value
    twice; all that is computed here comes out the same.
    """

    def __init__(self, function: Callable[[Any], T]) -> None:
        self._function = function
        self.__doc__ = function.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> Self | T:
        if instance is None:
            return self
        # What is found in the instance is taken from there, next time.
        value: T = instance.__dict__.setdefault(self._name, self._function(instance))
        return value
