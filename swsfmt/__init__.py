"""swsfmt: the .sws file format for quantised models, sparse or not.

The functions here take and give NumPy arrays; `swsfmt.torch` has the same ones for torch tensors.
"""

from ._version import __version__
from .errors import (
    ChangedError,
    CheckpointWarning,
    ChecksumError,
    FormatError,
    IndexRuleError,
    InputError,
    LimitError,
    MismatchError,
    NotSwsError,
    PayloadError,
    StateDictError,
    SwsError,
    SwsWarning,
    TensorNotFoundError,
    TruncatedError,
    UnknownCodingError,
    VersionError,
)
from .inspection import inspect, verify
from .limits import Limits
from .numpy import Scaled, load, load_file, safe_open, save, save_file
from .read.report import Report, TensorReport

__all__ = [
    "ChangedError",
    "CheckpointWarning",
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
    "Scaled",
    "StateDictError",
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
