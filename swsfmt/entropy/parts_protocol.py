"""What the kernels of byte planes and of values that stand apart are: a part of `protocol.Kernels`."""

from __future__ import annotations

from typing import Protocol

from .arrays import Elements, Indices, Mask, Plane


class PartsKernels(Protocol):
    """See `protocol.Kernels` for what holds for all of them."""

    def plane(self, elements: Elements, itemsize: int, shift: int, width: int, rotated: bool, out: Plane, /) -> None:
        """A field of each element of 1, 2, 4 or 8 bytes: 1 to 16 bits from bit `shift` on.

        rotated : after a rotation to the left by one bit
        out : uint8 up to 8 bits, else uint16
        """
        ...

    def count_fields(self, elements: Elements, itemsize: int, widths: bytes, rotated: bool, counts: Indices, /) -> None:
        """How often each value of each field occurs, of elements of 1, 2, 4 or 8 bytes, the highest field first.

        widths : of the 1 to 64 fields, 1 to 16 bits each; they fill an element
        rotated : after a rotation to the left by one bit
        counts : int64, 2**width for each field, one after the other; added to
        """
        ...

    def join_planes(
        self, planes: tuple[Plane, ...], widths: bytes, itemsize: int, rotated: bool, out: Elements, /
    ) -> bool:
        """The inverse of `plane`, of 2 to 64 planes, the highest one first.

        widths : of the fields; they fill an element
        planes : the first one may be `out`
        Returns whether all fields are below 2**width; where they are not, `out` may hold anything.
        """
        ...

    def count_marks(self, elements: Elements, itemsize: int, mark: int, /) -> int:
        """How many elements are the mark."""
        ...

    def fill_marks(self, out: Elements, itemsize: int, mark: int, values: Elements, /) -> int:
        """Each element of `out` that is the mark becomes the next of the values.

        Returns how many marks there were; those for which no value was left stay.
        """
        ...

    def spread(self, mask: Mask, values: Elements, itemsize: int, vectors: bool, out: Elements, /) -> int:
        """The next of the values where the mask is not 0, and 0 elsewhere.

        vectors : whether it may use instructions that only some processors have; the result is the same
        Returns how many places of the mask are not 0; those for which no value was left get 0.
        """
        ...

    def gather(self, mask: Mask, elements: Elements, itemsize: int, out: Elements, /) -> int:
        """The elements where the mask is not 0, as many as `out` has room for; the rest of `out` may hold anything.

        Returns how many places of the mask are not 0. Others may write to the elements at the same time.
        """
        ...

    def keep(self, elements: Elements, itemsize: int, values: Elements, mark: int, out: Elements, /) -> int:
        """Those elements that are among the `values` (at most 4096, uint64) as they are, `mark` for all others.

        Returns how many others there are. Others may write to the elements at the same time.
        """
        ...
