"""What a writer gives a coding: a tensor, or a part of one that is taken apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..codings import Coding
from ..codings.base import Freedom, Proposal
from ..codings.composite import Composite, Latest, Part, Source, Structured
from ..errors import located
from ..format.codebook import MAX_VALUES, Codebook
from ..format.records import Draft
from ..tensor import Loadable
from . import examine
from .examine import Codings, Examination, Survey
from .executors import Workers
from .options import Options
from .spool import Spool

# A codebook of its own costs little where a value has so many elements.
_MANY = 256


@dataclass(eq=False)
class Unit:
    """A tensor on its way into a file, or a part of one.

    name : of the tensor
    codings : that it may have
    depth : 0 for a tensor, 1 for a part of one, and so on
    parts : what it is taken apart to; empty where it is stored as a whole
    has_codebook : whether it may have one: not after it was smaller without
    least_saving : bits that a codebook must save
    choice : how it is stored; of a unit with parts, what they take together
    surveyed : a codebook, and what is known of it as symbols of that one
    """

    name: str
    tensor: Loadable
    codings: Codings
    freedom: Freedom
    depth: int = 0
    parts: list[Unit] = field(default_factory=list)
    has_codebook: bool = True
    least_saving: int = 0

    surveyed: tuple[Codebook, Survey] | None = None
    examination: Examination = field(init=False)
    choice: Proposal = field(init=False)

    def leaves(self) -> Iterator[Unit]:
        """Itself, or the parts of its parts that have no parts, in order."""
        if not self.parts:
            yield self
        for part in self.parts:
            yield from part.leaves()

    def most_values(self, own: int) -> int:
        """How many values a codebook may have that it shares, so that no coding is lost which it may have alone.

        own : the number of its own values
        """
        if self.tensor.info.numel < _MANY * own:
            return MAX_VALUES
        most = [coding.most_values(self.tensor.info) for coding in self.codings if coding.has_symbols]
        return min([values for values in most if values >= own], default=MAX_VALUES)

    def split(self, options: Options, latest: Latest) -> None:
        """Take it apart, where its examination says so."""
        split = self.examination.split
        if split is None:
            return
        assert isinstance(split.coding, Composite)
        infos = split.coding.part_infos(split.params, self.tensor.info)
        parts: Sequence[Loadable]
        if isinstance(self.tensor, Structured):
            parts = self.tensor.parts
        else:
            source = Source(self.tensor, split.coding, split.params, infos, self.examination.crc, latest)
            parts = [Part(source, number) for number in range(len(infos))]
        for number, (part, info) in enumerate(zip(parts, infos, strict=True)):
            freedom = options.freedom(len(info.shape))
            codings, freedom = split.coding.choices(split.params, number, self.codings, freedom)
            unit = Unit(self.name, part, codings, freedom, self.depth + 1)
            unit.least_saving = split.coding.least_saving(split.params, info)
            self.parts.append(unit)

    def draft(self, written: Iterator[Draft[Coding[Any]]]) -> Draft[Coding[Any]]:
        """Its record. written : those of all leaves whose choice has no payload yet, in order."""
        if not self.parts:
            if self.choice.payload is None:
                return next(written)
            return examine.write(self.tensor, self.name, self.choice)
        coding = self.choice.coding
        assert isinstance(coding, Composite)
        params = coding.with_parts(self.choice.params, [part.draft(written) for part in self.parts])
        return Draft(self.name, coding, self.tensor.info, params)


def examine_all(
    units: Iterable[Unit], options: Options, workers: Workers, latest: Latest, spool: Spool
) -> Iterator[Unit]:
    """Look at every unit, and then at the parts of those that are taken apart; gives each unit that has been done.

    latest : what parts come from. spool : where payloads wait
    """
    units = list(units)
    whole = [unit for unit in units if not isinstance(unit.tensor, Structured)]
    results = workers.map(examine.examine, ((unit.tensor, unit.codings, unit.depth, unit.freedom) for unit in whole))
    for unit in units:
        with located(tensor=unit.name):
            if isinstance(unit.tensor, Structured):
                unit.examination = Examination.of_parts(unit.tensor)
            else:
                unit.examination = spool.examination(next(results))
        unit.split(options, latest)
        yield unit
    parts = [part for unit in units for part in unit.parts]
    if parts:
        for _ in examine_all(parts, options, workers, latest, spool):
            pass
