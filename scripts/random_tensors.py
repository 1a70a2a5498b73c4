"""Random files for `stress.py`: tensors of every dtype, shape, content and layout in memory, and options to save them.

Everything comes from one seed. A tensor is made twice, for NumPy and for torch, from the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

import swsfmt
from swsfmt.dtypes import BY_NAME, DType
from swsfmt.numpy import _MAX_RANK, _ML_DTYPES, _NUMPY
from swsfmt.write.options import SETTINGS

try:
    import ml_dtypes
except ImportError:
    ml_dtypes = None
try:
    import torch
except ImportError:
    torch, TORCH = None, {}
else:
    import swsfmt.torch
    from swsfmt.torch_tensors import _DTYPES as TORCH

Bits = np.ndarray[Any, Any]

_ML = {key: np.dtype(getattr(ml_dtypes, name)) for key, name in _ML_DTYPES.items() if hasattr(ml_dtypes, name)}
NUMPY = _NUMPY | _ML
FACES = {"numpy": list(NUMPY), "torch": list(TORCH)} if torch else {"numpy": list(NUMPY)}

# Most common dtypes come more often.
_FLOATS = ("F32", "F32", "F32", "F16", "BF16", "F64")
_NAMES = {"F16": "float16", "F32": "float32", "F64": "float64"}
# -0.0, infinities, quiet and signalling NaNs, the smallest and the largest numbers, and what is near them in any width.
_SPECIAL = [0, 1, 0x7F, 0x80, 0xFF, 0x7C00, 0x7E00, 0x8000, 0xFC01, 0x7F80, 0x7FC0, 0x7F800000, 0x7F800001]
_SPECIAL += [0x7FC00123, 0x80000000, 0xFF800000, 0xFFFFFFFF, 0x007FFFFF, 0x3F800000, 1 << 63, 0x7FF << 52, 0xFFF8 << 48]


# Of dtypes with a negative zero, the unsigned integer as large as a float; complex numbers are two of them.
SIGNED_ZERO = {"F16": "<u2", "BF16": "<u2", "F32": "<u4", "F64": "<u8", "C32": "<u2", "C64": "<u4", "C128": "<u8"}
SIGNED_ZERO |= {"F8_E4M3": "u1", "F8_E5M2": "u1"}


@dataclass
class Tensor:
    """bits : the elements as unsigned integers of their size (two uint64 are a void of 16 bytes), with any strides."""

    dtype: str
    bits: Bits
    big_endian: bool = False

    def __post_init__(self) -> None:
        # NumPy makes scalars of arrays without dimensions.
        self.bits = np.asarray(self.bits)

    def positive(self) -> Tensor:
        """The same with 0.0 for -0.0, as the option `positive_zeros` stores it."""
        if self.dtype not in SIGNED_ZERO:
            return self
        parts = self.bits.reshape(-1).copy().view(SIGNED_ZERO[self.dtype])
        parts[parts == 1 << (8 * parts.itemsize - 1)] = 0
        return Tensor(self.dtype, parts.view(self.bits.dtype).reshape(self.bits.shape))

    def to_numpy(self) -> np.ndarray[Any, Any]:
        if not self.big_endian:
            return self.bits.view(NUMPY[self.dtype])
        # The two parts of a complex number are swapped each for itself.
        return self.bits.view(NUMPY[self.dtype]).byteswap().view(NUMPY[self.dtype].newbyteorder(">"))

    def to_torch(self) -> Any:
        size = self.bits.itemsize
        plain = {1: "u1", 2: "<i2", 4: "<i4", 8: "<i8", 16: "<c16"}[size]
        return torch.from_numpy(self.bits.view(plain)).view(TORCH[self.dtype])


@dataclass
class Scaled(Tensor):
    """Levels and factors, of NumPy, as `swsfmt.Scaled` takes them; `bits` are what they come to."""

    arguments: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, dtype: str, arguments: dict[str, Any]) -> Scaled:
        elements = swsfmt.Scaled(**arguments, dtype=_NAMES[dtype]).structured().load()
        return cls(dtype, elements.bits.reshape(elements.info.shape), False, arguments)

    def positive(self) -> Tensor:
        return self

    def to_numpy(self) -> Any:
        return swsfmt.Scaled(**self.arguments, dtype=_NAMES[self.dtype])

    def to_torch(self) -> Any:
        own = {name: _of_torch(value) for name, value in self.arguments.items()}
        return swsfmt.torch.Scaled(**own, dtype=TORCH[self.dtype])


def _of_torch(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_of_torch, value))
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value


@dataclass
class Case:
    """One file. tensors : by name; two names of one object are tied. face : the interface that saves them."""

    seed: int
    face: str
    tensors: dict[str, Tensor] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def elements(self) -> int:
        return sum(tensor.bits.size for tensor in self.tensors.values())

    def stored(self, tensor: Tensor) -> Tensor:
        """What comes back of one of its tensors."""
        return tensor.positive() if self.options.get("positive_zeros") else tensor

    def values(self) -> dict[str, Any]:
        """What the save functions of `face` take."""
        made: dict[int, Any] = {}
        for tensor in self.tensors.values():
            if id(tensor) not in made:
                made[id(tensor)] = tensor.to_numpy() if self.face == "numpy" else tensor.to_torch()
        return {name: made[id(tensor)] for name, tensor in self.tensors.items()}


class Maker:
    """Draws all parts of a case, one after the other."""

    def __init__(self, seed: int) -> None:
        self.seed, self.rng = seed, np.random.default_rng(seed)
        self.face = self.pick(list(FACES))
        # Of the whole file, so that tensors may share codebooks.
        self.palettes: dict[str, Bits] = {}

    def pick(self, choices: Any) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def below(self, most: int) -> int:
        """From 0 to most, small ones more often: uniform in the logarithm."""
        return int((most + 1) ** self.rng.random()) - (0 if self.chance(0.9) else 1)

    def case(self, most: int) -> Case:
        """most : elements of a tensor."""
        case = Case(self.seed, self.face)
        for number in range(self.below(3 if self.chance(0.7) else 12)):
            name = self.name(number)
            tensors = list(case.tensors.values())
            case.tensors[name] = self.again(self.pick(tensors)) if tensors and self.chance(0.2) else self.tensor(most)
        case.metadata = {self.name(i): self.pick(["", "pt", "é\n\0", "x" * 300]) for i in range(self.below(2))}
        case.options = self.options(list(case.tensors))
        return case

    def name(self, number: int) -> str:
        return self.pick(
            [f"layers.{number}.weight", f"layers.{number}.bias", f"{number}", "é" * number, f"\U0001f600{number}\n"]
        )

    def options(self, names: list[str]) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for name, setting in SETTINGS.items():
            if self.chance(0.6):
                continue
            if setting.is_flag:
                out[name] = self.chance(0.5)
            elif not setting.choices:
                out[name] = self.pick([None, *setting.widths])
            elif setting.by_name and self.chance(0.3):
                out[name] = {each: self.pick(setting.choices) for each in names if self.chance(0.6)}
            else:
                out[name] = self.pick(setting.choices)
        return out

    def again(self, tensor: Tensor) -> Tensor:
        """The same tensor, tied; an equal one; or one that looks at part of the same memory."""
        kind = self.pick(["tied", "equal", "part", "transposed"])
        if isinstance(tensor, Scaled):
            return tensor
        if kind == "equal" or tensor.big_endian:
            return Tensor(tensor.dtype, tensor.bits.copy())
        if kind == "part" and tensor.bits.ndim:
            return Tensor(tensor.dtype, tensor.bits[tensor.bits.shape[0] // 3 :])
        return Tensor(tensor.dtype, tensor.bits.T) if kind == "transposed" else tensor

    def tensor(self, most: int) -> Tensor:
        known = FACES[self.face]
        dtype = self.pick(known)
        if self.chance(0.5):
            dtype = self.pick([name for name in _FLOATS if name in known])
        shape = self.shape(most if self.chance(0.1) else min(most, 3000))
        if self.chance(0.15):
            own = self.scaled(shape)
            # Multiplied out, to be found again.
            return Tensor(own.dtype, own.bits) if own.dtype in known and self.chance(0.5) else own
        bits = self.content(BY_NAME[dtype], shape)
        return self.layout(Tensor(dtype, bits))

    def scaled(self, shape: tuple[int, ...]) -> Scaled:
        """Levels of a few bits, and one or two factors in blocks of all kinds."""
        # NumPy makes scalars of arrays without dimensions.
        rounded = np.rint(self.rng.normal(0, self.pick([0.5, 3, 40]), shape))
        levels = np.asarray(rounded).astype(self.pick(["<i1", "<i2", "<i4", "<f4"]))
        blocks = [self.pick([length, 1, min(length, 3), min(length, 32)]) for length in shape]
        own = tuple(-(-length // block) if block else 0 for length, block in zip(shape, blocks, strict=True))

        def factor() -> Bits:
            return np.asarray(self.rng.normal(0, 0.01, own)).astype(self.pick(["<f4", "<f2"]))

        arguments = {
            "levels": levels,
            "scales": (factor(), factor()) if self.chance(0.2) else factor(),
            "blocks": blocks,
        }
        if self.chance(0.4):
            arguments[self.pick(["zero", "offset"])] = factor()
        arguments["rounding"] = self.pick(["once", "each"])
        return Scaled.of(self.pick(["F32", "F32", "F16", "F64"]), arguments)

    def shape(self, most: int) -> tuple[int, ...]:
        """With at most so many elements: 0-d, empty, vectors, matrices, one row or column, many dimensions."""
        count = max(1, self.below(most))
        kind = self.pick(["scalar", "empty", "vector", "row", "column", "many", *["matrix"] * 4, *["kernels"] * 2])
        if kind == "empty":
            return self.pick([(0,), (0, 7), (7, 0), (2, 0, 3), (0, 1 << 40), (1 << 20, 0, 1 << 20)])
        side = max(1, self.below(count))
        kernel = self.pick([(1, 1), (3, 3), (5,), (2, 3, 1, 2)])
        rank = int(self.rng.integers(3, 1 + _MAX_RANK))
        return {
            "scalar": (),
            "vector": (count,),
            "row": self.pick([(1, count), (1, 1, count), (1, 2, (count + 1) // 2)]),
            "column": self.pick([(count, 1), (count, 1, 1)]),
            "many": (1,) * (rank - 2) + ((count + 1) // 2, 2) if rank > 6 else (2, 1, 3, max(1, count // 24), 2, 2),
            "matrix": (side, count // side),
            "kernels": (side, max(1, count // (side * prod(kernel))), *kernel),
        }[kind]

    def content(self, dtype: DType, shape: tuple[int, ...]) -> Bits:
        """Elements in C order. Of a BOOL only 0 and 1: others are no values of torch and NumPy."""
        count, width = prod(shape), dtype.itemsize
        if not count:
            return np.zeros(shape, _uint(width))
        kind = self.pick(["any", "few", "few", "sparse", "sparse", "dead", "dead", "normal", "zeros", "ramp", "lines"])
        if kind in ("any", "normal") or (kind == "ramp" and width > 8):
            flat = self.normal(dtype, count) if kind == "normal" and dtype.kind == "float" else self.any(dtype, count)
            return flat.reshape(shape)
        if kind == "ramp":
            return np.arange(count).astype(_uint(width)).reshape(shape) & _uint(width).type(dtype.name != "BOOL" or 1)
        palette = self.palette(dtype)
        weights = self.pick([np.ones(len(palette)), 1 / np.arange(1, len(palette) + 1), 0.5 ** np.arange(len(palette))])
        ids = np.searchsorted(np.cumsum(weights / weights.sum())[:-1], self.rng.random(count))
        out = palette[ids].reshape(shape)
        zero = np.zeros((), out.dtype)
        if kind == "zeros":
            out[...] = zero
        elif kind == "lines" and out.ndim:
            out[...] = out[:1]
        elif kind in ("sparse", "dead"):
            out[self.rng.random(shape) < self.pick([0.3, 0.7, 0.9, 0.99, 0.999])] = zero
        if kind == "dead" and out.ndim >= 2:
            out[self.rng.random(shape[0]) < self.rng.random()] = zero
            step = self.pick([1, 1, 3, 9])
            dead = np.repeat(self.rng.random(-(-shape[1] // step)) < self.rng.random(), step)[: shape[1]]
            out[:, dead] = zero
        return out

    def any(self, dtype: DType, count: int) -> Bits:
        raw = np.frombuffer(self.rng.bytes(count * dtype.itemsize), _uint(dtype.itemsize)).copy()
        return raw & np.uint8(1) if dtype.name == "BOOL" else raw

    def normal(self, dtype: DType, count: int) -> Bits:
        """Floats as of a network, of all mantissas or of few."""
        numbers = self.rng.normal(0, 0.05, count).astype("<f4")
        if self.chance(0.5):
            numbers = np.round(numbers * 64) / np.float32(64)
        if dtype.name == "BF16":
            return (numbers.view("<u4") >> 16).astype("<u2")
        return numbers.astype(f"<f{dtype.itemsize}").view(_uint(dtype.itemsize))

    def palette(self, dtype: DType) -> Bits:
        """Some values, mostly those that other tensors of the file have too."""
        if dtype.name not in self.palettes or self.chance(0.3):
            size = max(1, self.below(5000 if self.chance(0.1) else 60))
            kind = self.pick(["any", "special", "normal", "integers"])
            values = self.any(dtype, size)
            if kind == "normal" and dtype.kind == "float":
                values = self.normal(dtype, size)
            elif dtype.name != "BOOL" and dtype.itemsize <= 8 and kind != "any":
                # Cut to the width of the dtype.
                numbers = self.rng.choice(_SPECIAL, size) if kind == "special" else np.arange(size)
                values = np.array(numbers, np.uint64).astype(_uint(dtype.itemsize))
            self.palettes[dtype.name] = values
        return self.palettes[dtype.name]

    def layout(self, tensor: Tensor) -> Tensor:
        """The same elements elsewhere: in another order, with holes, read-only, big-endian."""
        bits, kind = tensor.bits, self.pick(["plain"] * 4 + ["fortran", "holes", "reversed", "read-only", "big-endian"])
        if bits.size == 0:
            return tensor
        if kind == "fortran":
            return Tensor(tensor.dtype, np.asfortranarray(bits))
        if kind == "holes" and bits.ndim:
            wide = np.repeat(bits, 2, axis=-1)
            return Tensor(tensor.dtype, wide[..., ::2])
        # Torch has none of the others.
        if self.face == "torch":
            return tensor
        if kind == "reversed" and bits.ndim:
            return Tensor(tensor.dtype, bits[::-1].copy()[::-1])
        if kind == "read-only":
            bits.flags.writeable = False
        return Tensor(tensor.dtype, bits, kind == "big-endian" and tensor.dtype in _NUMPY and bits.itemsize <= 8)


def _uint(size: int) -> np.dtype[Any]:
    return np.dtype("V16" if size == 16 else f"<u{size}")


def make(seed: int, most: int) -> Case:
    """The case of a seed, with at most so many elements in a tensor."""
    return Maker(seed).case(most)
