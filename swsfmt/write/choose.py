"""The coding of every tensor, and the codebooks of the file: a later tensor may refer to what an earlier one brings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from ..codings.base import Proposal
from ..errors import located
from ..format.codebook import Codebook
from ..format.resources import Resources
from . import examine
from .codebook_groups import share
from .examine import Survey
from .executors import Workers
from .spool import Spool
from .unit import Unit

# What a part takes in the index beside its parameters, in bits, about: head, dtype, length and checksum.
_PART_BITS = 64


def choose(
    units: Sequence[Unit], workers: Workers, spool: Spool, done: Callable[[Unit], None], repeat: Callable[[], None]
) -> list[Codebook]:
    """Give every unit its `choice`, and return the codebooks.

    spool : where payloads wait
    done : is called after each unit. repeat : where all has to be done again
    """
    while True:
        choice = _Choice(units, workers, spool)
        for unit in units:
            with located(tensor=unit.name):
                choice.make(unit)
            done(unit)
        if not choice.losers:
            return choice.codebooks
        # Without the tensors that are smaller without a codebook, the others may share theirs differently.
        repeat()
        for loser in choice.losers:
            if loser.parts:
                loser.parts = []
            else:
                loser.has_codebook = False


class _Choice:
    """One try. losers : those that are smaller as `plain` says, without the codebook or the parts that they have."""

    def __init__(self, units: Iterable[Unit], workers: Workers, spool: Spool) -> None:
        self._spool = spool
        leaves = dict(enumerate(leaf for unit in units for leaf in unit.leaves()))
        own, founders, limits = {}, set(), {}
        for number, leaf in leaves.items():
            if leaf.has_codebook and leaf.examination.own is not None:
                own[number] = leaf.examination.own
                limits[number] = leaf.most_values(leaf.examination.own.count)
                if leaf.examination.founds:
                    founders.add(number)
        self.codebooks, owners = share(own, founders, limits)
        self.losers: list[Unit] = []
        self._owners = {leaves[number]: book for number, book in owners.items()}
        self._sharers = Counter(owners.values())
        self._resources = Resources(codebooks=self.codebooks)
        self._surveys = self._survey(workers, [leaf for leaf in leaves.values() if leaf in self._owners])

    def _survey(self, workers: Workers, leaves: Sequence[Unit]) -> Iterator[Survey]:
        """Of each, in order. What the try before has told of the same codebook is taken from it."""
        books = [self.codebooks[self._owners[leaf]] for leaf in leaves]
        known = [
            leaf.surveyed is not None and leaf.surveyed[0].to_bytes() == book.to_bytes()
            for leaf, book in zip(leaves, books, strict=True)
        ]
        results = workers.map(
            examine.survey,
            (
                (leaf.tensor, self._owners[leaf], book, leaf.codings, leaf.freedom)
                for leaf, book, is_known in zip(leaves, books, known, strict=True)
                if not is_known
            ),
        )
        for leaf, book, is_known in zip(leaves, books, known, strict=True):
            if not is_known:
                leaf.surveyed = book, self._spool.survey(next(results))
            assert leaf.surveyed is not None
            yield leaf.surveyed[1]

    def make(self, unit: Unit) -> None:
        """In the order of the file."""
        plain = unit.examination.plain
        if unit.parts:
            for part in unit.parts:
                self.make(part)
            bits = sum(part.choice.bits + _PART_BITS + self._book_share(part) for part in unit.parts)
            split = unit.examination.split
            assert split is not None
            unit.choice = Proposal(split.coding, split.params, bits)
            if bits > unit.examination.whole_bits:
                self.losers.append(unit)
            return
        unit.choice = plain
        if unit in self._owners:
            book = self._owners[unit]
            survey = next(self._surveys)
            unit.choice = examine.propose(unit.tensor.info, survey, book, self._resources, unit.freedom)
            own_book = 8 * len(self.codebooks[book].to_bytes()) if self._sharers[book] == 1 else 0
            if unit.choice.bits + own_book + unit.least_saving > plain.bits:
                self.losers.append(unit)
        unit.choice.coding.number_resources(unit.choice.params, self._resources)

    def _book_share(self, unit: Unit) -> int:
        """Of its codebook, in bits: those that share it pay for it together."""
        if unit.parts or unit not in self._owners:
            return 0
        book = self._owners[unit]
        return 8 * len(self.codebooks[book].to_bytes()) // self._sharers[book]
