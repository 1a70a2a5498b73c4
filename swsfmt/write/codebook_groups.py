"""Which tensors get a codebook, and which of them share one."""

from __future__ import annotations

import sys
from collections.abc import Container, Mapping

import numpy as np

from ..codings.estimates import entropy_bits
from ..entropy import kernels
from ..entropy.code_table import cheapest_code
from ..format.codebook import MAX_VALUES, Codebook
from ..tensor import Elements

# What one more unused symbol costs in a code table, in bits, about.
_UNUSED_BITS = 2
_HEADER_BITS = 24
# Of the groups that have a value, so many of the first and so many of the last are looked at: a value that is in more
# of them, such as 1, says little, and the time for a file has to stay in proportion to its tensors.
_FIRST_AND_LAST = 32
_NOWHERE: list[int] = []
_NO_LIMITS: Mapping[int, int] = {}


def own_codebook(elements: Elements, threads: int = 1) -> Codebook | None:
    """The codebook of the distinct non-zero elements, empty for zeros; None if it cannot hold them or cannot pay."""
    dtype = elements.info.dtype
    if dtype.itemsize > 8 or len(elements.bits) == 0:
        return None
    values = kernels.distinct(elements.bits, MAX_VALUES + 1, threads)
    if values is None:
        return None
    if values[0] == 0:
        values = values[1:]
    return Codebook.of(dtype, values) if len(values) <= MAX_VALUES else None


def pays_alone(own: Codebook, plain_bits: int) -> bool:
    """Whether a codebook of its own could make a tensor smaller: its values, and at least log2(V) bits for each.

    V values that all occur cannot be coded in fewer than V log2(V) bits, whatever is known of where they are.
    plain_bits : size of the tensor without a codebook, a byte of parameters included.
    """
    symbol_bits = own.count * max(0, own.count.bit_length() - 1)
    return own.stored.nbytes + symbol_bits // 8 + 1 < plain_bits // 8


def own_bits(elements: Elements, own: Codebook) -> int:
    """What a tensor takes with a codebook of its own, in bits, about: values, code table and Huffman codes."""
    counts = own.symbols_of(elements.bits)[1]
    bits = cheapest_code(counts)[1]
    zeros, others = int(counts[0]), int(counts[1:].sum())
    if zeros > others:
        # Gaps between the others may take less than a bit for each zero.
        bits = min(bits, entropy_bits(np.array([zeros, others])) + cheapest_code(counts[1:])[1])
    return 8 * own.stored.nbytes + bits


class _Group:
    """Tensors that share a codebook. members : numbers of the tensors. limit : of its values"""

    def __init__(self, codebook: Codebook) -> None:
        self.members: list[int] = []
        self.limit = MAX_VALUES
        self.update(codebook)

    def update(self, codebook: Codebook) -> None:
        """Another codebook, with all values of the one before."""
        self.codebook = codebook
        self.values = set(codebook.values.tolist())

    def least_cost(self, own: Codebook, shared: int) -> int:
        """What a tensor adds to the file at least, in bits, of whose values the group has so many already."""
        size, more = len(self.values), own.count - shared
        itemsize = self.codebook.storage.itemsize
        union_bits = 8 * (size + more) * max(itemsize, own.storage.itemsize)
        return union_bits - 8 * size * itemsize + _UNUSED_BITS * (size - shared + len(self.members) * more)

    def joined(self, own: Codebook) -> tuple[Codebook, int]:
        """The codebook with the values of one more tensor, and what that adds to the file, in bits."""
        union = Codebook.of(own.dtype, np.union1d(self.codebook.values, own.values))
        unused = union.count - own.count + len(self.members) * (union.count - len(self.values))
        return union, 8 * (union.stored.nbytes - self.codebook.stored.nbytes) + _UNUSED_BITS * unused


class _Groups:
    """All groups by number, and those that have a value, or exactly some values."""

    def __init__(self) -> None:
        self.all: list[_Group] = []
        self._of_dtype: dict[int, list[int]] = {}
        self._with_value: dict[tuple[int, int], list[int]] = {}
        self._with_values: dict[tuple[int, bytes], set[int]] = {}

    def exactly(self, own: Codebook) -> int | None:
        """The first group that has these values and no others."""
        return min(self._with_values.get(_values_of(own), ()), default=None)

    def near(self, own: Codebook, values: set[int], all_of_them: bool) -> set[int]:
        """Groups that have one of the values; or candidates for those that have all of them."""
        groups = self._of_dtype.get(own.dtype.id, _NOWHERE)
        if len(groups) <= _FIRST_AND_LAST:
            # The same, found sooner.
            return {number for number in groups if not values.isdisjoint(self.all[number].values)}
        postings = []
        for value in values:
            postings.append(self._with_value.get((own.dtype.id, value), _NOWHERE))
            if all_of_them and not postings[-1]:
                return set()
        if all_of_them:
            postings = [min(postings, key=len)]
        near: set[int] = set()
        for numbers in postings:
            if len(near) == len(groups):
                break
            if len(numbers) > 2 * _FIRST_AND_LAST:
                near.update(numbers[:_FIRST_AND_LAST], numbers[-_FIRST_AND_LAST:])
            else:
                near.update(numbers)
        return near

    def put(self, number: int, codebook: Codebook) -> None:
        """A new group, or new values for one that is there."""
        known: set[int] = set()
        if number == len(self.all):
            self.all.append(_Group(codebook))
            self._of_dtype.setdefault(codebook.dtype.id, []).append(number)
        else:
            known = self.all[number].values
            self._with_values[_values_of(self.all[number].codebook)].discard(number)
            self.all[number].update(codebook)
        for value in self.all[number].values - known:
            self._with_value.setdefault((codebook.dtype.id, value), []).append(number)
        self._with_values.setdefault(_values_of(codebook), set()).add(number)


def _values_of(codebook: Codebook) -> tuple[int, bytes]:
    return codebook.dtype.id, codebook.values.tobytes()


def share(
    own: Mapping[int, Codebook], founders: Container[int], limits: Mapping[int, int] = _NO_LIMITS
) -> tuple[list[Codebook], dict[int, int]]:
    """Group tensors into codebooks: a tensor joins the group where that costs least, or founds its own.

    own : number of each tensor -> the codebook that it would have alone.
    founders : the tensors that may found a codebook; the others may only join one that has all their values.
    limits : how many values there may be in the codebook of a tensor that may found one, where not all codings take
        more; at least as many as it has
    Returns the codebooks and the codebook number of each tensor that has one.
    """
    groups = _Groups()
    # Those that may only join come last, when all codebooks are there.
    for number, codebook in sorted(own.items(), key=lambda item: item[0] not in founders):
        if codebook.count == 0:
            continue
        place = groups.exactly(codebook)
        if place is None:
            place, chosen = _cheapest(groups, codebook, number in founders, limits.get(number, MAX_VALUES))
            if place is None:
                continue
            if chosen is not None:
                groups.put(place, chosen)
        groups.all[place].members.append(number)
        if number in founders:
            groups.all[place].limit = min(groups.all[place].limit, limits.get(number, MAX_VALUES))
    owners = {member: i for i, group in enumerate(groups.all) for member in group.members}
    return [group.codebook for group in groups.all], owners


def _cheapest(groups: _Groups, own: Codebook, founds: bool, limit: int) -> tuple[int | None, Codebook | None]:
    """The number of the group that a tensor joins, and the codebook that this gives it where it changes."""
    values = set(own.values.tolist())
    costs = []
    for i in groups.near(own, values, all_of_them=not founds):
        group = groups.all[i]
        shared = len(group.values & values)
        more = len(values) - shared
        most = min(group.limit, limit) if founds else MAX_VALUES
        if (more == 0 or founds) and len(group.values) + more <= most:
            costs.append((group.least_cost(own, shared), i, more))
    # Of those that cost the same a new group comes first, then the others in their order.
    chosen: Codebook | None = own
    least = (8 * own.stored.nbytes + _HEADER_BITS, -1) if founds else (sys.maxsize, -1)
    for cost, i, more in sorted(costs):
        if (cost, i) >= least:
            break
        joined = None
        if more:
            joined, cost = groups.all[i].joined(own)
        if (cost, i) < least:
            least, chosen = (cost, i), joined
    if least[1] >= 0:
        return least[1], chosen
    return (len(groups.all), own) if founds else (None, None)
