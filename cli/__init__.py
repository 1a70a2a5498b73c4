"""The command `sws`."""

from .main import main

__all__ = ["main"]
