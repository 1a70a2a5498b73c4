"""swsfmt: the .sws file format for quantised and sparse models.

The functions here take and give NumPy arrays; `swsfmt.torch` has the same ones for torch tensors.
"""

from ._version import __version__
from .errors import (
    ChecksumError,
    FormatError,
    IndexRuleError,
    InputError,
    LimitError,
    MismatchError,
    NotSwsError,
    PayloadError,
    SwsError,
    SwsWarning,
    TensorNotFoundError,
    TruncatedError,
    UnknownCodingError,
    VersionError,
)
from .inspection import inspect, verify
from .limits import Limits
from .numpy import load, load_file, safe_open, save, save_file
from .read.report import Report, TensorReport

__all__ = [
    "ChecksumError",
    "FormatError",
    "IndexRuleError",
    "InputError",
    "LimitError",
    "Limits",
    "MismatchError",
    "NotSwsError",
    "PayloadError",
    "Report",
    "SwsError",
    "SwsWarning",
    "TensorNotFoundError",
    "TensorReport",
    "TruncatedError",
    "UnknownCodingError",
    "VersionError",
    "__version__",
    "inspect",
    "load",
    "load_file",
    "safe_open",
    "save",
    "save_file",
    "verify",
]
