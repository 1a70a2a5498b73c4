"""Byte planes: exponents are coded, mantissas kept; from the tensor to the file and back, and the kernels alone."""

from __future__ import annotations

from contextlib import ExitStack
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import swsfmt
from swsfmt.codings import codings_of
from swsfmt.codings.dense import DENSE
from swsfmt.codings.planes import PLANES, Params
from swsfmt.codings.raw import RAW
from swsfmt.dtypes import BY_NAME, DType
from swsfmt.entropy import backend, planes
from swsfmt.errors import ChangedError
from swsfmt.format import index
from swsfmt.format.records import MAX_DEPTH, MAX_INLINE, Draft
from swsfmt.read.reader import Reader
from swsfmt.tensor import Elements, TensorInfo
from swsfmt.write.examine import examine
from swsfmt.write.file import encode, encode_file
from swsfmt.write.options import Options

pytestmark = pytest.mark.usefixtures("each_kernel")
native = pytest.mark.skipif(backend.active() == backend.BITARRAY, reason="the extension is not built")


@pytest.fixture(scope="module")
def writer(each_kernel: None) -> None:
    """For tests that have a writer choose: the adaptive coder is slow in Python."""
    if backend.active() == backend.BITARRAY:
        pytest.skip("the adaptive coder is slow in Python")


writes = pytest.mark.usefixtures("writer")


Bits = npt.NDArray[np.unsignedinteger]
SMALL = Options(profile="small")
FLOATS = ["F16", "BF16", "F32", "F64"]
NAMES = [*FLOATS, "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64"]
# Bits of the mantissa.
MANTISSA = {"F16": 10, "BF16": 7, "F32": 23, "F64": 52}


def special(dtype: DType) -> Bits:
    """0.0, subnormals, the largest number, infinity, numbers that are none, quiet and not; with both signs."""
    size, mantissa = 8 * dtype.itemsize, MANTISSA[dtype.name]
    infinity = (1 << size - 1) - (1 << mantissa)
    some = [0, 1, (1 << mantissa) - 1, infinity - 1, infinity, infinity + 1, infinity | 3 << mantissa - 2, infinity * 2]
    values = [value & (1 << size - 1) - 1 for value in some]
    return np.array([sign << size - 1 | value for value in values for sign in (0, 1)], dtype.bits)


def random_bits(name: str, shape: tuple[int, ...], seed: int) -> Bits:
    """Normal floats, or integers below some power of two; special values in some places."""
    dtype, rng = BY_NAME[name], np.random.default_rng(seed)
    numel = int(np.prod(shape))
    if name not in FLOATS:
        return rng.integers(0, 1 << int(rng.integers(1, 8 * dtype.itemsize)), numel, dtype.bits)
    if name == "BF16":
        bits = (rng.normal(size=numel).astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    else:
        bits = rng.normal(size=numel).astype(f"f{dtype.itemsize}").view(dtype.bits)
    places = rng.random(numel) < rng.choice([0, 0.1, 1])
    bits[places] = rng.choice(special(dtype), np.count_nonzero(places))
    return bits


def elements_of(name: str, shape: tuple[int, ...], seed: int) -> Elements:
    return Elements(TensorInfo(BY_NAME[name], shape), random_bits(name, shape, seed))


def byte_widths(dtype: DType) -> tuple[int, ...]:
    return (8,) * dtype.itemsize if dtype.itemsize > 1 else (4, 4)


@st.composite
def any_widths(draw: st.DrawFn, itemsize: int) -> tuple[int, ...]:
    """At least two, from 1 to 16, that fill an element."""
    widths: list[int] = []
    while (left := 8 * itemsize - sum(widths)) > 0:
        widths.append(draw(st.integers(1, min(16, left, 8 * itemsize - 1))))
    return tuple(widths)


def expected_plane(bits: Bits, name: str, number: int) -> list[int]:
    """As section 5.7 says it, element by element."""
    size = 8 * bits.itemsize
    numbers = [int(x) for x in bits]
    if name in FLOATS:
        numbers = [(x << 1 | x >> size - 1) & (1 << size) - 1 for x in numbers]
    return [x >> size - 8 * (number + 1) & 255 for x in numbers]


def file_of_raw_planes(elements: Elements, widths: tuple[int, ...] = ()) -> bytes:
    """A file whose tensor has all its planes as they are, whatever a writer would choose."""
    info, params = elements.info, Params(widths or byte_widths(elements.info.dtype))
    parts = []
    for number, own in enumerate(PLANES.part_infos(params, info)):
        payload = PLANES.part(params, elements, number).bits.tobytes()
        parts.append(Draft("", RAW, own, None, payload))
    draft = Draft("w", PLANES, info, PLANES.with_parts(params, parts))
    payloads = [part.payload for part in parts if part.payload_length > MAX_INLINE]
    return index.build({}, [], [draft]) + b"".join(bytes(payload) for payload in payloads)  # type: ignore[arg-type]


def encoded(tensors: dict[str, Elements], options: Options = SMALL) -> bytes:
    return encode(tensors, options=options, threads=1)


def codings(data: bytes) -> dict[str, str]:
    return {tensor.name: tensor.coding for tensor in swsfmt.inspect(data).tensors}


SHAPES = st.lists(st.integers(1, 12), max_size=3).map(tuple)


@settings(deadline=None, max_examples=25)
@given(st.data(), st.sampled_from(NAMES), SHAPES, st.integers(0, 1 << 30), st.integers(1, 3))
def test_every_dtype_comes_back(
    data: st.DataObject, name: str, shape: tuple[int, ...], seed: int, threads: int
) -> None:
    elements = elements_of(name, shape, seed)
    widths = data.draw(any_widths(elements.info.dtype.itemsize))
    with Reader.open(file_of_raw_planes(elements, widths)) as reader:
        assert reader.records[0].coding is PLANES
        found = reader.read("w", threads)
        assert found.info == elements.info
        assert found.bits.tobytes() == elements.bits.tobytes()
        out = np.zeros_like(elements.bits)
        assert reader.read("w", threads, out).bits is out
        assert out.tobytes() == elements.bits.tobytes()


@settings(deadline=None, max_examples=25)
@given(st.sampled_from(NAMES), st.integers(1, 30), st.integers(1, 30), st.integers(0, 1 << 30), st.data())
def test_rows(name: str, rows: int, columns: int, seed: int, data: st.DataObject) -> None:
    elements = elements_of(name, (rows, columns), seed)
    first = data.draw(st.integers(0, rows))
    last = data.draw(st.integers(first, rows))
    whole = elements.bits.reshape(rows, columns)
    widths = data.draw(any_widths(elements.info.dtype.itemsize))
    with Reader.open(file_of_raw_planes(elements, widths)) as reader:
        assert reader.read_rows("w", first, last).bits.tobytes() == whole[first:last].tobytes()


@writes
def test_rows_of_coded_planes() -> None:
    array = weights((60, 50))
    with swsfmt.safe_open(swsfmt.save({"w": array}, profile="small")) as f:
        for rows in (slice(0, 1), slice(59, 60), slice(7, 31), slice(5, 5), slice(None), slice(50, 2, -3)):
            assert f.get_slice("w")[rows].tobytes() == array[rows].tobytes()


@writes
@settings(deadline=None, max_examples=25)
@given(st.sampled_from(NAMES), st.integers(0, 700), st.integers(0, 1 << 30))
def test_written_with_whatever_is_smallest(name: str, numel: int, seed: int) -> None:
    elements = elements_of(name, (numel,), seed)
    data = encoded({"w": elements})
    with Reader.open(data) as reader:
        assert reader.read("w").bits.tobytes() == elements.bits.tobytes()


@pytest.mark.parametrize("name", FLOATS)
def test_special_values_only(name: str) -> None:
    bits = np.tile(special(BY_NAME[name]), 20)
    elements = Elements(TensorInfo(BY_NAME[name], (20, len(bits) // 20)), bits)
    with Reader.open(file_of_raw_planes(elements)) as reader:
        assert reader.read("w").bits.tobytes() == bits.tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_byte_planes_are_those_of_the_specification(name: str) -> None:
    bits = random_bits(name, (50,), 7)
    if name in FLOATS:
        bits = np.append(bits, special(BY_NAME[name]))
    widths = (8,) * bits.itemsize
    taken = [planes.plane(bits, widths, number, name in FLOATS) for number in range(bits.itemsize)]
    assert [plane.tolist() for plane in taken] == [expected_plane(bits, name, i) for i in range(bits.itemsize)]
    if bits.itemsize > 1:
        out = np.zeros_like(bits)
        assert planes.join(taken, widths, name in FLOATS, out)
        assert out.tobytes() == bits.tobytes()


@pytest.mark.parametrize(("number", "plane"), [(0, [0x1FE, 0x0AB]), (1, [0x55, 0x00])])
def test_the_highest_field_comes_first(number: int, plane: list[int]) -> None:
    bits = np.uint16([0xFF55, 0x5580])
    assert planes.plane(bits, (9, 7), number, False).tolist() == plane


def test_the_exponent_fills_the_first_plane() -> None:
    """Of numbers between 1 and 2, whatever their sign."""
    weight = np.random.default_rng(0).uniform(1, 2, 100).astype(np.float32)
    weight[::2] *= -1
    assert set(planes.plane(weight.view(np.uint32), (8, 8, 8, 8), 0, True).tolist()) == {127}


def test_threads_do_not_change_planes() -> None:
    bits = np.random.default_rng(1).integers(0, 1 << 16, 1000, np.uint16)
    taken = [planes.plane(bits, (8, 8), number, True) for number in range(2)]
    out = np.zeros_like(bits)
    with patch.object(planes, "_PART", 64):
        threaded = [planes.plane(bits, (8, 8), number, True, 3) for number in range(2)]
        assert [plane.tolist() for plane in threaded] == [plane.tolist() for plane in taken]
        planes.join(taken, (8, 8), True, out, 3)
    np.testing.assert_array_equal(out, bits)
    # Nor does an order that is not that of memory.
    assert planes.plane(bits[::3], (8, 8), 0, False).tolist() == (bits[::3] >> 8).tolist()


# ---- kernels ---------------------------------------------------------------------------------------------------------


@native
@settings(deadline=None)
@given(st.sampled_from([1, 2, 4, 8]).flatmap(lambda size: st.tuples(st.just(size), any_widths(size))), st.data())
def test_both_kernels_are_equal(form: tuple[int, tuple[int, ...]], data: st.DataObject) -> None:
    (itemsize, widths), rotated = form, data.draw(st.booleans())
    count = data.draw(st.sampled_from([0, 1, 7, 40, 2100]))
    dtype = f"<u{itemsize}"
    bits = np.frombuffer(np.random.default_rng(data.draw(st.integers(0, 1 << 30))).bytes(count * itemsize), dtype)
    results = []
    for name in (backend.NATIVE, backend.BITARRAY):
        kernels = backend.load(name)
        taken = tuple(np.zeros(count, planes.dtype_of(width)) for width in widths)
        for number, plane in enumerate(taken):
            kernels.plane(bits, itemsize, sum(widths[number + 1 :]), widths[number], rotated, plane)
        joined = np.zeros(count, dtype)
        assert kernels.join_planes(taken, bytes(widths), itemsize, rotated, joined)
        np.testing.assert_array_equal(joined, bits)
        results.append([plane.tolist() for plane in taken])
        number = data.draw(st.integers(0, len(widths) - 1))
        if count and widths[number] % 8:
            taken[number][data.draw(st.integers(0, count - 1))] += 1 << widths[number]
            assert not kernels.join_planes(taken, bytes(widths), itemsize, rotated, joined)
    assert results[0] == results[1]


FOUR, TWO = np.zeros(4, np.uint8), np.zeros(2, np.uint16)
BYTES, NIBBLES = b"\b\b", b"\4\4"


@native
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        *(
            ("plane", changed)
            for changed in (
                (FOUR, 3, 0, 8, False, bytearray(1)),
                (FOUR, 16, 0, 8, False, bytearray(0)),
                (FOUR, 0, 0, 8, False, bytearray(4)),
                (FOUR, -2, 0, 8, False, bytearray(2)),
                (FOUR, 1, 0, 9, False, bytearray(8)),
                (FOUR, 1, 5, 4, False, bytearray(4)),
                (TWO, 2, -1, 8, False, bytearray(2)),
                (TWO, 2, 9, 8, False, bytearray(2)),
                (TWO, 2, 0, 0, False, bytearray(2)),
                (TWO, 2, 0, -1, False, bytearray(2)),
                (FOUR, 4, 0, 17, False, bytearray(2)),
                (TWO, 2, 0, 8, False, bytearray(1)),
                (TWO, 2, 0, 8, False, bytearray(3)),
                (TWO, 2, 0, 9, False, bytearray(2)),
                (TWO, 2, 0, 8, False, bytearray(4)),
            )
        ),
        *(
            ("join_planes", changed)
            for changed in (
                ((), b"", 2, False, bytearray(4)),
                ((FOUR,), b"\b", 1, False, bytearray(4)),
                ((TWO,), b"\x10", 2, False, bytearray(4)),
                ((FOUR,), BYTES, 2, False, bytearray(8)),
                ((FOUR,) * 3, BYTES, 2, False, bytearray(8)),
                ((FOUR,) * 2, b"\b\b\b", 2, False, bytearray(8)),
                ((FOUR,) * 9, b"\b" * 9, 9, False, bytearray(36)),
                ((FOUR,) * 65, b"\1" * 65, 8, False, bytearray(32)),
                ((FOUR,) * 2, BYTES, -2, False, bytearray(8)),
                ((FOUR,) * 2, BYTES, 1, False, bytearray(4)),
                ((FOUR,) * 2, NIBBLES, 2, False, bytearray(8)),
                ((FOUR,) * 3, b"\b\0\b", 2, False, bytearray(8)),
                ((FOUR,) * 2, b"\x11\x0f", 4, False, bytearray(16)),
                ((FOUR, FOUR[:3]), BYTES, 2, False, bytearray(8)),
                ((FOUR[:3], FOUR), BYTES, 2, False, bytearray(8)),
                ((FOUR, FOUR), b"\t\7", 2, False, bytearray(8)),
                ((FOUR,) * 2, BYTES, 2, False, bytearray(7)),
                ((FOUR,) * 2, BYTES, 2, False, bytearray(9)),
                ((FOUR,) * 4, b"\b" * 4, 4, False, bytearray(8)),
            )
        ),
    ],
)
def test_native_kernels_check_sizes(name: str, arguments: tuple[object, ...]) -> None:
    with pytest.raises(ValueError, match=f"{name}: sizes do not fit"):
        getattr(backend.load(backend.NATIVE), name)(*arguments)


@native
def test_native_kernels_want_whole_arrays() -> None:
    """And a tuple of them; what is read-only is not written to."""
    kernels = backend.load(backend.NATIVE)
    fixed = bytes(4)
    with pytest.raises((ValueError, BufferError, TypeError)):
        kernels.plane(TWO, 2, 0, 8, False, fixed)  # type: ignore[arg-type]
    with pytest.raises((ValueError, BufferError, TypeError)):
        kernels.plane(np.zeros(4, np.uint16)[::2], 2, 0, 8, False, np.zeros(2, np.uint8))
    with pytest.raises((ValueError, BufferError, TypeError)):
        kernels.join_planes((FOUR[::2], FOUR[::2]), BYTES, 2, False, np.zeros(2, np.uint16))
    with pytest.raises((ValueError, BufferError, TypeError)):
        kernels.join_planes((FOUR[:2], None), BYTES, 2, False, np.zeros(2, np.uint16))  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        kernels.join_planes([FOUR[:2], FOUR[:2]], BYTES, 2, False, np.zeros(2, np.uint16))  # type: ignore[arg-type]
    with pytest.raises((ValueError, BufferError, TypeError)):
        kernels.join_planes((FOUR[:2], FOUR[:2]), BYTES, 2, False, fixed)  # type: ignore[arg-type]


# ---- what a writer chooses -------------------------------------------------------------------------------------------


def weights(shape: tuple[int, ...], seed: int = 0) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, 0.02, shape).astype(np.float32)


@writes
@pytest.mark.parametrize("name", ["F16", "F32", "F64"])
def test_small_takes_random_floats_apart(name: str) -> None:
    """And `fast` does not. There are more values than a codebook holds."""
    dtype = BY_NAME[name]
    bits = np.random.default_rng(3).normal(size=(100, 120)).astype(f"f{dtype.itemsize}").reshape(-1).view(dtype.bits)
    bits[: len(special(dtype))] = special(dtype)
    tensors = {"w": Elements(TensorInfo(dtype, (100, 120)), bits)}
    small, fast = encoded(tensors), encoded(tensors, Options(profile="fast"))
    assert codings(small) == {"w": "planes"}
    assert "planes" not in codings(fast).values()
    assert len(small) < len(fast)


def widths_of(data: bytes) -> dict[str, tuple[int, ...]]:
    with Reader.open(data) as reader:
        return {record.name: record.params.widths for record in reader.records if record.coding is PLANES}


def test_exponents_of_bfloat16_take_a_bit_of_the_mantissa() -> None:
    bits = (weights((200, 300)).view(np.uint32) >> 16).astype(np.uint16).reshape(-1)
    data = encoded({"w": Elements(TensorInfo(BY_NAME["BF16"], (200, 300)), bits)}, Options())
    assert widths_of(data) == {"w": (9, 7)}


@pytest.mark.parametrize("itemsize", [1, 4])
def test_packed_integers_come_apart(itemsize: int) -> None:
    """As GPTQ, AWQ and torchao pack them; those of 32 bits that are small, or fill their bytes, stay in bytes."""
    rng, shape = np.random.default_rng(0), (400, 200)
    halves = np.clip(np.rint(rng.normal(8, 2, (2 * itemsize, *shape)) * 1), 0, 15).astype(np.uint64)
    packed = sum(half << np.uint64(4 * k) for k, half in enumerate(halves)).astype(f"<u{itemsize}")  # type: ignore[union-attr]
    small = rng.integers(0, 12, shape).astype(packed.dtype)
    levels = np.clip(rng.normal(0, 20, shape), -127, 127).astype(np.int8)
    data = swsfmt.save({"packed": packed, "small": small, "levels": levels}, threads=1)
    assert {name: widths for name, widths in widths_of(data).items() if 4 in widths} == {"packed": (4,) * 2 * itemsize}
    with patch.object(type(PLANES), "propose_split", lambda *_: None):
        assert len(data) < len(swsfmt.save({"packed": packed, "small": small, "levels": levels}, threads=1))
    assert swsfmt.load(data)["packed"].tobytes() == packed.tobytes()


@writes
def test_what_has_few_values_stays_whole() -> None:
    values = weights((12,))
    state = {"few": np.random.default_rng(2).choice(values, (70, 70)), "zeros": np.zeros((90, 5), np.float32)}
    assert "planes" not in codings(swsfmt.save(state, profile="small")).values()


def state_of(kinds: list[tuple[str, str, int]], seed: int) -> dict[str, npt.NDArray[np.generic]]:
    rng = np.random.default_rng(seed)
    state = {}
    for number, (kind, dtype, numel) in enumerate(kinds):
        array = rng.normal(size=numel) * (1 if dtype[0] == "f" else 1000)
        if kind == "half":
            array = array.astype(np.float16)
        elif kind == "sparse":
            array = array * (rng.random(numel) < 0.1)
        elif kind == "few":
            array = rng.choice(array[:50], numel)
        elif kind == "integers":
            array = np.round(array * 10)
        state[f"{number}"] = array.astype(dtype)
        if kind == "bytes":
            state[f"{number}"] = np.frombuffer(rng.bytes(numel * int(dtype[1])), f"<{dtype}").copy()
    return state


@writes
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i2", "i4", "i8"])
@pytest.mark.parametrize("kind", ["normal", "half", "few", "integers", "bytes"])
def test_never_larger_than_without(kind: str, dtype: str) -> None:
    check_never_larger(state_of([(kind, dtype, 150)], 0))
    check_never_larger(state_of([(kind, dtype, 3000), ("normal", "f4", 2000)], 1))


@writes
@pytest.mark.parametrize(
    ("kind", "dtype", "numel", "seed"),
    [("sparse", "i8", 3358, 862266099), ("sparse", "f4", 5407, 730033431), ("normal", "f2", 364, 39)],
)
def test_codebooks_against_parts(kind: str, dtype: str, numel: int, seed: int) -> None:
    check_never_larger(state_of([(kind, dtype, numel)], seed))


def check_never_larger(state: dict[str, npt.NDArray[np.generic]]) -> None:
    data = swsfmt.save(state, profile="small", threads=1)
    with ExitStack() as stack:
        for coding in codings_of("small"):
            if coding.is_composite:
                stack.enter_context(patch.object(type(coding), "propose_split", lambda *_: None))
        without = swsfmt.save(state, profile="small", threads=1)
    assert len(data) <= len(without)
    for name, array in swsfmt.load(data).items():
        assert array.tobytes() == state[name].tobytes()


@writes
def test_threads_do_not_change_the_file() -> None:
    state = {name: weights((60, 50), seed) for seed, name in enumerate("abc")}
    data = swsfmt.save(state, profile="small", threads=1)
    assert codings(data) == dict.fromkeys("abc", "planes")
    assert swsfmt.save(state, profile="small", threads=3) == data
    for threads in (1, 3):
        for name, array in swsfmt.load(data, threads=threads).items():
            assert array.tobytes() == state[name].tobytes()


@writes
@pytest.mark.parametrize("size", [300, 3000])
def test_report(size: int) -> None:
    """Every byte has its section; codes of planes are counted as codes."""
    weight = np.random.default_rng(0).uniform(1, 2, size).astype(np.float32)
    state = {"w": weight, "fixed": np.float32([0.1, 2])}
    data = swsfmt.save(state, profile="small")
    report = swsfmt.verify(data)
    assert codings(data) == {"w": "planes", "fixed": "raw"}
    assert sum(report.sections.values()) == report.file_bytes == len(data)
    tensor = report.tensors[0]
    assert (tensor.dtype, tensor.shape, tensor.nonzero, tensor.dense_bytes) == ("F32", [size], size, 4 * size)
    assert tensor.file_bytes == sum(tensor.sections.values())
    assert 8 * tensor.file_bytes == sum(tensor.section_bits.values())
    # The exponents are all the same, and the signs beside the last bits of the mantissa.
    assert 2 * size <= tensor.sections["raw"] <= 3 * size
    assert tensor.file_bytes < 3 * size + 100


@writes
def test_report_of_undecoded_planes() -> None:
    data = swsfmt.save({"w": weights((3000,))}, profile="small")
    report = swsfmt.inspect(data, limits=swsfmt.Limits(max_decoded_bytes=11_999))
    assert report.tensors[0].nonzero is None
    assert sum(report.sections.values()) == report.file_bytes == len(data)


def test_parts_are_taken_apart_no_further_than_the_format_allows() -> None:
    elements = Elements(TensorInfo(BY_NAME["F32"], (3000,)), weights((3000,)).view(np.uint32))
    for depth in range(MAX_DEPTH + 1):
        assert (examine(elements, [RAW, DENSE, PLANES], depth).split is None) == (depth == MAX_DEPTH)


# ---- tensors that change ---------------------------------------------------------------------------------------------


class Changing:
    """A tensor that is another one from the given reading on."""

    def __init__(self, before: Elements, after: Elements, change: int) -> None:
        self.info = before.info
        self._readings = [before, after]
        self._change = change
        self.count = 0

    def load(self) -> Elements:
        self.count += 1
        return self._readings[self.count > self._change]


OTHERS = {
    "one element": lambda a: np.where(np.arange(a.size).reshape(a.shape) == 77, np.float32(1e30), a),
    "the order": lambda a: a[::-1].copy(),
    "all": lambda a: weights(a.shape, 9) * 1000,
    "only zeros": np.zeros_like,
    "the signs": np.negative,
    "the last byte": lambda a: (a.view(np.uint32) ^ 1).view(np.float32),
}


@writes
@pytest.mark.parametrize("change", range(1, 14))
@pytest.mark.parametrize("name", OTHERS)
def test_a_tensor_that_changes(name: str, change: int) -> None:
    """What is written is one reading of it, or there is an error."""
    array = weights((40, 75))
    before, after = (
        Elements(TensorInfo(BY_NAME["F32"], array.shape), np.ascontiguousarray(a).reshape(-1).view(np.uint32))
        for a in (array, OTHERS[name](array))
    )
    tensor = Changing(before, after, change)
    try:
        data = b"".join(encode_file({"w": tensor}, options=SMALL, threads=1).pieces())
    except ChangedError as error:
        where = error.tensor
    else:
        where = "w"
        assert swsfmt.load(data)["w"].tobytes() in (before.bits.tobytes(), after.bits.tobytes())
    assert where == "w"
