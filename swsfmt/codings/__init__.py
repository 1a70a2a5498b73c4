"""The codings of spec/registry.md, each an object of its own (see `base`), in a module or package of its name.

base      what a coding is
registry  the codings by id
streams, chunks, matrix, plain, estimates, clustering   what several of them have in common
composite codings whose records hold others
unknown   what stands for codings of later versions

To add one, write it here and name it below.
"""

# Importing them registers them.
from . import adaptive, alias, classes, dense, escape, lookup, narrow, planes, raw, scaled, sparse  # noqa: F401
from .base import Coding
from .registry import coding_of, codings_of, register, unregister

__all__ = ["Coding", "coding_of", "codings_of", "register", "unregister"]
