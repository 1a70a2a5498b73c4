"""Every error that this package raises for its input: files, tensors, and arguments of any type.

::

    SwsError(ValueError)
     ├── FormatError              the bytes are not a valid .sws file
     │    ├── NotSwsError         another kind of file (zip, safetensors, git-lfs pointer, ...)
     │    ├── VersionError        a newer major version
     │    ├── TruncatedError      the file ends too early, or goes on after its end
     │    ├── ChecksumError       a CRC-32 does not match: the file is damaged
     │    ├── IndexRuleError      the index breaks a rule of the specification
     │    └── PayloadError        the payload of a tensor breaks a rule of the specification
     ├── LimitError               valid so far, but larger than the caller's `Limits`
     ├── UnknownCodingError       a tensor uses a coding that this version does not know
     ├── InputError               what was given cannot be stored or read as asked
     │    ├── ChangedError        a tensor or a file was written to while it was read
     │    └── StateDictError      a file and a model do not fit (also a RuntimeError)
     ├── MismatchError            two models that should be equal differ
     └── TensorNotFoundError      no tensor of that name (also a KeyError)

Warnings are `SwsWarning`; those of `swsfmt.checkpoints` on a checkpoint that it takes are `CheckpointWarning`.

What else may be raised: `OSError` for files, folders and servers; `MemoryError`, and torch's `OutOfMemoryError`, where
memory ends; `TypeError` for keyword arguments that a function does not have, or lacks; `IndexError` for an index beyond
the end, as NumPy and torch do; and whatever the caller's own code raises, such as an executor.
"""

from __future__ import annotations

import sys
import warnings
from types import TracebackType


class SwsError(ValueError):
    """Base of all errors. `file`, `tensor` and `offset` say where, as far as it is known.

    offset : int or None
        Byte offset in the file.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        tensor: str | None = None,
        offset: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.file = file
        self.tensor = tensor
        self.offset = offset

    def locate(self, *, file: str | None = None, tensor: str | None = None) -> None:
        """Add what a caller further up knows about the place."""
        self.file = self.file or file
        self.tensor = self.tensor or tensor

    def __str__(self) -> str:
        where = []
        if self.file is not None:
            where.append(self.file)
        if self.tensor is not None:
            where.append(f"tensor {self.tensor!r}")
        if self.offset is not None:
            where.append(f"byte {self.offset}")
        return f"{', '.join(where)}: {self.message}" if where else self.message


class FormatError(SwsError):
    """The bytes are not a valid .sws file."""


class NotSwsError(FormatError):
    """The bytes are another kind of file."""


class VersionError(FormatError):
    """The file has a newer major version than this reader."""


class TruncatedError(FormatError):
    """The size of the file is not what its index says."""


class ChecksumError(FormatError):
    """A CRC-32 does not match."""


class IndexRuleError(FormatError):
    """The index breaks a rule of the specification."""


class PayloadError(FormatError):
    """The payload of a tensor breaks a rule of the specification."""


class LimitError(SwsError):
    """The file is larger than the `Limits` that the caller set."""


class UnknownCodingError(SwsError):
    """A tensor uses a coding that this version does not know; the other tensors can be read."""


class InputError(SwsError):
    """What was given cannot be stored or read as asked."""


class ChangedError(InputError):
    """A tensor, or the file that it is in, was written to while it was read; nothing was written in place of what was
    there.
    """

    def __init__(
        self,
        message: str = "the tensor changed while it was saved; save a copy of it, or let nothing write to it meanwhile",
        *,
        file: str | None = None,
    ) -> None:
        super().__init__(message, file=file)


class StateDictError(InputError, RuntimeError):
    """Names or shapes of a file are not those of the model that it is loaded into."""


class MismatchError(SwsError):
    """Two models that should be equal differ."""


class TensorNotFoundError(SwsError, KeyError):
    """No tensor of that name."""


class SwsWarning(UserWarning):
    """Something is not as it was meant, and the rest of it has been done all the same."""


class CheckpointWarning(SwsWarning):
    """A checkpoint is taken, but not as one may think: it has names that no shard holds, a prefix of all names."""


def warn(message: str, category: type[SwsWarning] = SwsWarning) -> None:
    """A warning at the line that called this package."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).split(".")[0] == "swsfmt":
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


class located:  # noqa: N801
    """Errors of this package in a `with` statement of this are about this file and tensor, unless they know better."""

    # No generator: there is one of these for each tensor.
    __slots__ = ("_file", "_tensor")

    def __init__(self, *, file: str | None = None, tensor: str | None = None) -> None:
        self._file, self._tensor = file, tensor

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, SwsError):
            error.locate(file=self._file, tensor=self._tensor)
