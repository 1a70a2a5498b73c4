"""A coding that is none of ours; new processes can import it from here, as they could not from its test."""

from __future__ import annotations

import numpy as np

from swsfmt.codings.base import Coding, Decoded, Description, Payload, Proposal
from swsfmt.dtypes import Bits
from swsfmt.errors import PayloadError
from swsfmt.format.codebook import Codebook
from swsfmt.format.cursor import Cursor, varint
from swsfmt.format.resources import Resources
from swsfmt.format.sections import Role, Section, Span
from swsfmt.tensor import Elements, Loadable, TensorInfo

PRIVATE = 14


class ArithmeticProgression(Coding[int]):
    """Integers of four bytes that ascend by the same step: the step is the parameter, the first one the payload."""

    id = PRIVATE
    name = "progression"
    section = Section("progression", "arithmetic progressions", Role.VALUES)

    def parse(self, cursor: Cursor, tensor: TensorInfo, resources: Resources) -> int:
        # A reader that does not know the coding steps over its parameters.
        cursor.varint("parameters length")
        if tensor.dtype.name != "I32" or not tensor.numel:
            raise cursor.error("only for I32 with elements")
        return cursor.varint("step")

    def write(self, params: int, resources: Resources) -> bytes:
        step = varint(params)
        return varint(len(step)) + step

    def decode(
        self, params: int, tensor: TensorInfo, payload: Payload, threads: int = 1, out: Bits | None = None
    ) -> Decoded:
        if len(payload) != 4:
            raise PayloadError(f"a progression has 4 bytes, not {len(payload)}")
        first = np.frombuffer(payload, "<u4")
        bits = first + np.arange(tensor.numel, dtype="<u4") * np.uint32(params)
        return Decoded(bits, [Span(self.section, 0, 32)])

    def describe(self, params: int) -> Description:
        return Description(scan="rows")

    def propose_plain(self, elements: Elements, own: Codebook | None) -> Proposal | None:
        if elements.info.dtype.name != "I32" or not elements.info.numel:
            return None
        numbers = elements.bits.view("<i4").astype(np.int64)
        steps = np.unique(np.diff(numbers))
        if len(steps) > 1 or (len(steps) and steps[0] < 0):
            return None
        step = int(steps[0]) if len(steps) else 0
        return Proposal(self, step, 8 * (len(self.write(step, Resources())) + 5))

    def encode(self, params: int, tensor: Loadable, threads: int = 1) -> tuple[int, bytes]:
        return params, tensor.load().bits[:1].tobytes()
