"""What callers give to the public functions: it is looked at before any work, and refused in words.

Each function gives its argument back, or raises `InputError` that names it and says what it must be.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from itertools import islice
from operator import index
from typing import Any, TypeVar

from .errors import InputError, TensorNotFoundError

T = TypeVar("T")

# Near matches are looked for among so many names, of so many letters, so many more or fewer than were given.
_COMPARED = 200
_LONGEST = 200
_SLIPS = 3
_LISTED = 8
KEEP_APART = (
    "a module's get_extra_state() gave it: save {name: t for name, t in model.state_dict().items() if not "
    "name.endswith('_extra_state')}, load with strict=False, keep it elsewhere"
)


def instance(value: Any, kinds: type[T] | tuple[type[T], ...], name: str, wanted: str) -> T:
    """An argument called `name`, which must be of one of these types; `wanted` says so in words."""
    if isinstance(value, kinds):
        return value
    raise InputError(f"{name} must be {wanted}, not {a(value)}")


def mapping(value: Any, name: str, of: str = "names") -> Mapping[Any, Any]:
    """A mapping. of : what to what, for the message."""
    return instance(value, Mapping, name, f"a mapping from {of}")


def flag(value: Any, name: str) -> bool:
    """True or False, and nothing that is merely one of them in an `if`."""
    return instance(value, bool, name, "True or False")


def whole_number(value: Any, name: str, least: int, most: int | None = None) -> int:
    """A whole number from `least` on, of any type that is one, such as those of NumPy."""
    bounds = f"of {least} or more" if most is None else f"from {least} to {most}"
    try:
        number = None if isinstance(value, bool) else index(value)
    except TypeError:
        number = None
    if number is None or number < least or (most is not None and number > most):
        raise InputError(f"{name} is {brief(value)}, it must be a whole number {bounds}")
    return number


def threads(value: Any) -> int | None:
    """How many threads; None for as many as there are processors."""
    return None if value is None else whole_number(value, "threads", 1)


def executor(value: Any) -> Any:
    """Whatever can `submit`, or None."""
    if value is not None and not callable(getattr(value, "submit", None)):
        raise InputError(f"executor must have the interface of concurrent.futures.Executor, {a(value)} has not")
    return value


def path(value: Any, name: str = "filename") -> str | bytes | os.PathLike[str]:
    """A path that an operating system could have."""
    if hasattr(value, "read") or hasattr(value, "write"):
        raise InputError(f"{name} must be a path, not an open file; save() and load() give and take its bytes")
    try:
        plain = os.fspath(value)
        encoded = os.fsencode(plain)
    except (TypeError, UnicodeEncodeError) as error:
        what = a(value) if isinstance(error, TypeError) else brief(value)
        raise InputError(f"{name} must be a path, not {what}") from error
    if b"\0" in encoded:
        raise InputError(f"{name} is {brief(plain)}, no path has a zero byte")
    given: str | bytes | os.PathLike[str] = value
    return given


def output(value: Any, name: str = "out") -> None:
    """A path, or what can be written to."""
    if isinstance(value, str | os.PathLike):
        path(value, name)
    elif not callable(getattr(value, "write", None)):
        raise InputError(f"{name} must be a path or a binary file open for writing, not {a(value)}")


def function(value: Any, name: str) -> None:
    """Something that can be called, or None."""
    if value is not None and not callable(value):
        raise InputError(f"{name} must be a function, not {a(value)}")


def data(value: Any, name: str = "data") -> memoryview:
    """A file that is in memory, as bytes."""
    if isinstance(value, str | os.PathLike):
        raise InputError(f"{name} must be the bytes of a file, not its path; load_file() takes that")
    try:
        return memoryview(value).cast("B")
    except (TypeError, ValueError, BufferError) as error:
        raise InputError(f"{name} must be the bytes of a file, contiguous in memory, not {a(value)}") from error


def strings(value: Any, name: str) -> list[str]:
    """A string, or several."""
    if isinstance(value, str):
        return [value]
    several = list(value) if isinstance(value, Iterable) else [value]
    for text in several:
        instance(text, str, name, "a string, or several")
    return several


def tensor_name(value: Any) -> str:
    """The name of a tensor, in a file or for one."""
    return instance(value, str, "the name of a tensor", "a string")


def names_of_tensors(given: Iterable[Any], tensors: Iterable[str], argument: str) -> None:
    """Refuse a name that an argument has something to say of, and no tensor has; a tensor was meant by it."""
    there = set(tensors)
    for name in given:
        if name not in there:
            raise InputError(f"{argument}: {no_such('tensor', name, there)}")


def not_there(name: Any, tensors: Iterable[str], file: str | None) -> TensorNotFoundError:
    """The error of who asks a file for a tensor that it has not."""
    return TensorNotFoundError(no_such("tensor", tensor_name(name), tensors), file=file)


def unknown_option(function: str, name: str, options: Iterable[str]) -> TypeError:
    """As Python says it of its own keyword arguments, and what they are."""
    text = f"{function}() got an unexpected keyword argument {name!r}{near(name, options)}"
    return TypeError(f"{text}; the options are {', '.join(options)}")


def no_such(kind: str, name: Any, names: Iterable[str]) -> str:
    """That there is none of this name, and the names that are like it."""
    return f"there is no {kind} {brief(name)}{near(name, names)}"


def near(name: Any, names: Iterable[str]) -> str:
    """The names that may have been meant; nothing where none is like it."""
    if not isinstance(name, str):
        return ""
    # Not at the top: it is imported for errors alone.
    from difflib import get_close_matches

    # A file may have a million names, or very long ones, and a comparison takes time.
    alike = (other for other in names if abs(len(other) - len(name)) <= _SLIPS and len(other) <= _LONGEST)
    close = get_close_matches(name, list(islice(alike, _COMPARED)), n=3)
    return f", did you mean {' or '.join(map(repr, close))}?" if close else ""


def no_tensor(value: Any, name: str, advice: str) -> str:
    """That there is a value where tensors are stored, and what to do. advice : for any value"""
    return f"{a(value)}, not a tensor; {KEEP_APART if is_extra_state(name) else advice}"


def is_extra_state(name: Any) -> bool:
    """Whether a `state_dict` has under this name what is no tensor, most often."""
    return isinstance(name, str) and name.rpartition(".")[2] == "_extra_state"


def brief(value: Any) -> str:
    """A value for a message of one line, whatever it is."""
    try:
        text = " ".join(repr(value).split())
    except Exception:
        return a(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def listed(values: Iterable[Any]) -> str:
    """At most eight of them, each in brief."""
    shown = [brief(value) for value in values]
    return ", ".join(shown[:_LISTED]) + (f", ... ({len(shown):,} in all)" if len(shown) > _LISTED else "")


def a(value: Any) -> str:
    """What a value is, with an article."""
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIO' else 'a'} {name}"
