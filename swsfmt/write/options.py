"""What a caller may fix about the encoding. Everything left open is chosen by exact cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import index

from ..codings.sparse.analysis import Freedom
from ..codings.sparse.params import MAX_PBITS, Scan
from ..errors import InputError


@dataclass(frozen=True)
class Options:
    """pbits : int or None
        Width of the relative column indices in bits, 1 to 12, for every sparse tensor.
    pbits_fc, pbits_conv : int or None
        The same for tensors of rank up to 2 and of rank 3 and more; they go before `pbits`.
    huffman : bool
        False: gaps and values are fields of fixed width.
    scan : "auto", "rows" or "columns"
        The direction in which sparse tensors are read.
    compact : "auto" or "off"
        Whether dead rows and columns may leave the matrix.
    profile : "fast" or "small", or a mapping of tensor names to these
        "small" takes the adaptive coding for a tensor where it is smaller; it decodes some ten times slower. Tensors
        that a mapping does not name are "fast".
    contexts : "auto", "full" or "light"
        The contexts of the adaptive coding: light is faster. Auto takes it for tensors of 4 million elements and more.
    """

    pbits: int | None = None
    pbits_fc: int | None = None
    pbits_conv: int | None = None
    huffman: bool = True
    scan: str = "auto"
    compact: str = "auto"
    profile: str | Mapping[str, str] = "fast"
    contexts: str = "auto"

    def __post_init__(self) -> None:
        for name in ("pbits", "pbits_fc", "pbits_conv"):
            value = getattr(self, name)
            if value is None:
                continue
            if isinstance(value, bool) or not hasattr(value, "__index__") or not 1 <= index(value) <= MAX_PBITS:
                raise InputError(f"{name} is {value!r}, it must be a whole number from 1 to {MAX_PBITS}")
            object.__setattr__(self, name, index(value))
        if not isinstance(self.huffman, bool):
            raise InputError(f"huffman is {self.huffman!r}, it must be True or False")
        if self.scan not in ("auto", "rows", "columns"):
            raise InputError(f"scan is {self.scan!r}, it must be 'auto', 'rows' or 'columns'")
        if self.compact not in ("auto", "off"):
            raise InputError(f"compact is {self.compact!r}, it must be 'auto' or 'off'")
        for profile in [self.profile] if isinstance(self.profile, str) else self.profile.values():
            if profile not in ("fast", "small"):
                raise InputError(f"profile is {profile!r}, it must be 'fast' or 'small'")
        if self.contexts not in ("auto", "full", "light"):
            raise InputError(f"contexts is {self.contexts!r}, it must be 'auto', 'full' or 'light'")

    def is_small(self, name: str) -> bool:
        """Whether the tensor of that name may take the adaptive coding."""
        profile = self.profile if isinstance(self.profile, str) else self.profile.get(name, "fast")
        return profile == "small"

    @property
    def light(self) -> bool | None:
        """Which contexts the adaptive coding has; None leaves it open."""
        return None if self.contexts == "auto" else self.contexts == "light"

    def freedom(self, rank: int) -> Freedom:
        """What is left open for a tensor of that rank."""
        own = self.pbits_conv if rank >= 3 else self.pbits_fc
        return Freedom(
            pbits=own if own is not None else self.pbits,
            scan=None if self.scan == "auto" else Scan[self.scan.upper()],
            compact=self.compact == "auto",
            huffman=self.huffman,
        )
