"""What is said loudly, through Python's `warnings`: a network that became worse, and what was left as it was."""

from __future__ import annotations


class SwsWarning(UserWarning):
    """Base of all warnings of the trainer."""


class QualityWarning(SwsWarning):
    """A network lost more than a point of its accuracy, or of its loss relatively, or all weights of a layer."""


class SkippedWarning(SwsWarning):
    """Something that was to be compressed, removed or sorted was left as it was."""
