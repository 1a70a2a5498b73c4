"""Coding 7: what levels and scales make of each other, to the bit, against torch; slices, threads, both kernels."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

import swsfmt
import swsfmt.scaled
import swsfmt.torch
from swsfmt import InputError
from swsfmt.dtypes import BY_NAME
from swsfmt.entropy import backend, reals, scaled
from swsfmt.entropy.scaled import Factor, Operation

pytestmark = pytest.mark.usefixtures("each_kernel")

KINDS = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "F64": torch.float64}
NUMBERS = sorted(reals.NUMBERS)


def bits_of(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    """With the NaN that the format has."""
    own = torch.where(tensor.isnan(), torch.full_like(tensor, float("nan")).abs(), tensor)
    return swsfmt.torch.from_tensor(own).bits


def random_tensor(dtype: torch.dtype, shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """Of all exponents, with zeros of both signs, subnormals, infinities and NaN."""
    rng = np.random.default_rng(seed)
    size = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}[dtype.itemsize]
    count = int(np.prod(shape))
    bits = rng.integers(0, np.iinfo(size).max, count, size, endpoint=True)
    return torch.from_numpy(bits.view(f"i{dtype.itemsize}").copy()).view(dtype).reshape(shape)


def expanded(factor: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    for d, length in enumerate(shape):
        factor = factor.repeat_interleave(-(-length // factor.shape[d]), d).narrow(d, 0, length)
    return factor


def expected(value: swsfmt.torch.Scaled) -> torch.Tensor:
    """By torch alone: in float32 or float64 with one rounding, or in the dtype of the tensor."""
    wide = torch.float64 if value.dtype == torch.float64 else torch.float32
    kind = value.dtype if value.rounding == "each" else wide

    def real(tensor: torch.Tensor) -> torch.Tensor:
        return expanded(tensor.to(wide).to(kind), value.shape) if tensor.dim() else tensor.to(wide).to(kind)

    out = value.levels.to(wide).to(kind)
    if value.zero is not None:
        out = out - real(value.zero)
    for scale in value.scales:
        out = out * real(scale)
    if value.offset is not None:
        out = out + real(value.offset)
    return out.to(value.dtype)


DTYPES = [
    (torch.int8, torch.float32),
    (torch.uint8, torch.float16),
    (torch.int16, torch.bfloat16),
    (torch.int32, torch.float8_e4m3fn),
    (torch.float16, torch.float32),
    (torch.bfloat16, torch.bfloat16),
    (torch.float32, torch.float32),
    (torch.float8_e4m3fn, torch.float16),
    (torch.float8_e5m2, torch.float32),
]
BLOCKS = [(6, 20), (1, 20), (6, 1), (1, 1), (1, 5), (1, 4), (2, 10), (3, 1), (2, 20), (6, 4)]


@pytest.mark.parametrize("rounding", ["once", "each"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("blocks", BLOCKS)
def test_as_torch_computes(kind: str, blocks: tuple[int, int], rounding: swsfmt.scaled.Rounding) -> None:
    shape = (6, 20)
    own = tuple(-(-length // block) for length, block in zip(shape, blocks, strict=True))
    for seed, (levels, factor) in enumerate(DTYPES):
        scale = random_tensor(factor, own, seed)
        more: list[dict[str, Any]] = [
            {"scales": scale},
            {"scales": (scale, random_tensor(torch.float32, (6, 1), seed))},
            {"scales": scale, "zero": random_tensor(levels, own, seed + 1)},
            {"scales": scale, "offset": random_tensor(factor, own, seed + 2)},
            {"scales": (torch.tensor(0.5), scale), "zero": random_tensor(torch.int8, (6, 1), seed + 1)},
        ]
        for arguments in more:
            own_levels = random_tensor(levels, shape, seed)
            value = swsfmt.torch.Scaled(own_levels, **arguments, dtype=KINDS[kind], rounding=rounding)
            assert np.array_equal(bits_of(value.dequantize()), bits_of(expected(value)))


@pytest.mark.parametrize("kind", ["F16", "BF16", "F32"])
def test_every_rounding(kind: str) -> None:
    """All halves between two neighbours of 16 bits, and their neighbours: ties, overflow, subnormals."""
    every = torch.arange(1 << 16, dtype=torch.int32).to(torch.int16)
    halves = torch.cat([every.view(torch.float16).float(), every.view(torch.bfloat16).float()])
    ties = torch.cat([halves, (halves.double() * 1.000244140625).float(), (halves + halves.roll(1)) / 2])
    single = torch.cat([ties, ties.nextafter(torch.tensor(float("inf"))), ties.nextafter(torch.tensor(-float("inf")))])
    value = swsfmt.torch.Scaled(single, 1.0, dtype=KINDS[kind])
    assert np.array_equal(bits_of(value.dequantize()), bits_of(single.to(KINDS[kind])))


def test_flushed_subnormals_make_no_difference() -> None:
    levels, scale = np.arange(-8, 8, dtype=np.int8), np.float32(1e-44)
    before = swsfmt.Scaled(levels, scale).dequantize()
    assert np.count_nonzero(before) == 15
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor flushes nothing")
    try:
        after = swsfmt.Scaled(levels, scale).dequantize()
    finally:
        torch.set_flush_denormal(False)
    assert after.tobytes() == before.tobytes()


@st.composite
def problems(draw: Any) -> tuple[tuple[int, ...], str, list[Any]]:
    shape = tuple(draw(st.lists(st.integers(1, 9), min_size=0, max_size=4)))
    kind = draw(st.sampled_from(sorted(KINDS)))
    factors = []
    for operation in draw(st.lists(st.sampled_from(list(Operation)), max_size=3)):
        blocks = tuple(draw(st.integers(1, length)) for length in shape)
        factors.append((operation, draw(st.sampled_from(NUMBERS)), blocks))
    return shape, kind, factors


def elements(dtype: str, count: int, seed: int) -> np.ndarray[Any, Any]:
    own = BY_NAME[dtype]
    return np.frombuffer(np.random.default_rng(seed).bytes(count * own.itemsize), own.bits)


@given(problems(), st.sampled_from(NUMBERS), st.booleans(), st.integers(0, 1 << 20), st.data())
@settings(deadline=None)
def test_both_kernels_and_every_part(
    problem: tuple[tuple[int, ...], str, list[Any]], levels: str, each: bool, seed: int, data: DataObject
) -> None:
    shape, kind, rows = problem
    count, dtype = int(np.prod(shape)), BY_NAME[kind]
    each = each and dtype.itemsize == 2
    factors = []
    for operation, name, blocks in rows:
        size = int(np.prod([-(-length // block) for length, block in zip(shape, blocks, strict=True)]))
        factors.append(Factor(operation, elements(name, size, seed + len(factors)), BY_NAME[name], blocks))
    bits = elements(levels, count, seed)
    results = []
    first = data.draw(st.integers(0, count))
    last = data.draw(st.integers(first, count))
    for name in {backend.BITARRAY, backend.active()}:
        with backend.use(name):
            out = np.empty(count, dtype.bits)
            product = scaled.Product(shape, factors, dtype, each)
            product.into(out, bits, BY_NAME[levels])
            part = np.empty(last - first, dtype.bits)
            product.into(part, bits[first:last], BY_NAME[levels], first)
        assert np.array_equal(part, out[first:last])
        results.append(out)
    assert np.array_equal(results[0], results[-1])


def random_scaled(shape: tuple[int, ...], seed: int = 0, **more: Any) -> swsfmt.Scaled:
    rng = np.random.default_rng(seed)
    levels = rng.normal(0, 9, shape).round().astype(np.int8)
    return swsfmt.Scaled(levels, rng.random((*shape[:1], *[1] * (len(shape) - 1))).astype(np.float32), **more)


@pytest.mark.parametrize("profile", ["fast", "small"])
def test_round_trip(profile: str) -> None:
    value = random_scaled((40, 64))
    data = swsfmt.save({"a": value, "b": value, "c": np.zeros(3)}, {"key": "value"}, profile=profile)
    arrays = swsfmt.load(data)
    assert arrays["a"].tobytes() == (value.levels * value.scales[0]).tobytes()
    assert arrays["b"] is arrays["a"]
    with swsfmt.safe_open(data) as file:
        assert file.metadata() == {"key": "value"}
        assert file.get_parts("c") is None
        for name in "ab":
            parts = file.get_parts(name)
            assert isinstance(parts, swsfmt.Scaled)
            assert np.array_equal(parts.levels, value.levels)
            assert np.array_equal(parts.scales[0], value.scales[0])
            assert (parts.zero, parts.offset, parts.dtype, parts.rounding) == (None, None, np.float32, "once")
            assert parts.blocks == {"scale": (1, 64)}
            assert swsfmt.save({name: parts}, profile=profile) == swsfmt.save({name: value}, profile=profile)
    report = swsfmt.verify(data)
    assert [tensor.coding for tensor in report.tensors] == ["scaled", "alias", "sparse"]
    first, tied, _ = report.tensors
    assert [(part["name"], part["dtype"], part["shape"]) for part in first.parts] == [
        ("levels", "I8", [40, 64]),
        ("scale", "F32", [40, 1]),
    ]
    assert tied.parts == []
    json.dumps(report.to_json())
    assert sum(tensor.file_bytes for tensor in report.tensors) < 40 * 64 * 3 // 4 + 160


@given(st.data())
@settings(deadline=None)
def test_slices(data: DataObject) -> None:
    shape = data.draw(st.sampled_from([(), (9,), (12, 10), (7, 3, 4), (1, 5)]))
    count = [data.draw(st.sampled_from([1, length, -(-length // 2), -(-length // 3)])) for length in shape]
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    blocks = [-(-length // own) for length, own in zip(shape, count, strict=True)]
    own = tuple(-(-length // block) for length, block in zip(shape, blocks, strict=True))
    value = swsfmt.Scaled(
        rng.integers(-9, 9, shape, np.int8),
        rng.random(own).astype(np.float32),
        rng.integers(0, 3, own, np.int8),
        blocks=blocks,
    )
    whole = value.dequantize()
    with swsfmt.safe_open(swsfmt.save({"a": value})) as file:
        part = file.get_slice("a")
        assert np.array_equal(file.get_tensor("a"), whole)
        if shape:
            first = data.draw(st.integers(0, shape[0]))
            last = data.draw(st.integers(first, shape[0]))
            assert np.array_equal(part[first:last], whole[first:last])


def test_threads_and_out() -> None:
    value = random_scaled((1200, 1000))
    data = swsfmt.save({"a": value}, threads=2)
    assert data == swsfmt.save({"a": value}, threads=1)
    out = np.empty((1200, 1000), np.float32)
    for threads in (1, 3):
        out.fill(7)
        assert swsfmt.load(data, out={"a": out}, threads=threads)["a"] is out
        assert out.tobytes() == value.dequantize().tobytes()
    odd = np.frombuffer(bytearray(out.nbytes + 1), np.float32, offset=1, count=out.size).reshape(out.shape)
    swsfmt.load(data, out={"a": odd})
    assert odd.tobytes() == out.tobytes()


def test_torch() -> None:
    levels = torch.randint(-8, 8, (16, 64), dtype=torch.int8)
    scale = torch.rand(16, 2).bfloat16()
    value = swsfmt.torch.Scaled(levels, scale, dtype=torch.bfloat16, rounding="each")
    data = swsfmt.torch.save({"a": value, "b": torch.ones(3)})
    wanted = levels.bfloat16() * scale.repeat_interleave(32, 1)
    assert torch.equal(swsfmt.torch.load(data)["a"], wanted)
    assert torch.equal(swsfmt.torch.load(data, dtype=torch.float32)["a"], wanted.float())
    with swsfmt.safe_open(data, "pt") as file:
        parts = file.get_parts("a")
        assert isinstance(parts, swsfmt.torch.Scaled)
        assert torch.equal(parts.levels, levels)
        assert torch.equal(parts.scales[0], scale)
        assert torch.equal(parts.dequantize(), wanted)
        assert (parts.dtype, parts.rounding, parts.shape) == (torch.bfloat16, "each", (16, 64))


def test_codebook_levels() -> None:
    """NF4: sixteen floats, and the largest weight of each group of 64."""
    table = np.linspace(-1, 1, 16, dtype=np.float32)
    levels = table[np.random.default_rng(0).integers(0, 16, (8, 128))]
    scale = np.random.default_rng(1).random((8, 2)).astype(np.float32)
    value = swsfmt.Scaled(levels, scale)
    data = swsfmt.save({"a": value})
    assert len(data) < 8 * 128 * 5 // 8 + 200
    assert np.array_equal(swsfmt.load(data)["a"], levels * scale.repeat(64, 1))


def test_no_elements() -> None:
    value = swsfmt.Scaled(np.zeros((0, 4), np.int8), np.ones((0, 1), np.float32))
    data = swsfmt.save({"a": value})
    assert swsfmt.load(data)["a"].shape == (0, 4)
    with swsfmt.safe_open(data) as file:
        assert file.get_parts("a") is None


LEVEL = np.zeros((6, 10), np.int8)
ONE = np.float32(1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"levels": LEVEL.astype(np.int64)}, "levels must be .* not I64: convert them to int32"),
        ({"levels": LEVEL.astype(bool)}, "levels must be"),
        ({"levels": [1]}, "levels must be a NumPy array, not a list"),
        ({"scales": np.ones((6, 1))}, "scale must be .* not F64: convert them to float32"),
        ({"scales": np.ones(6, np.float32)}, r"scale has shape \(6,\).* scale\[:, None\]"),
        ({"scales": np.ones((6, 4), np.float32)}, None),
        ({"scales": np.ones((6, 7), np.float32)}, "scale has 7 along dimension 1 of 10: no blocks"),
        ({"scales": np.ones((7, 1), np.float32)}, "at most as many factors"),
        ({"scales": np.ones((6, 0), np.float32)}, "at most as many factors"),
        ({"levels": np.zeros(100, np.int8), "scales": np.ones(3, np.float32)}, "blocks of 34 to 49 .* blocks="),
        ({"levels": np.zeros(100, np.int8), "scales": np.ones(3, np.float32), "blocks": (40,)}, None),
        ({"levels": np.zeros(100, np.int8), "scales": np.ones(3, np.float32), "blocks": (50,)}, "blocks of 34 to 49"),
        ({"blocks": (1,)}, "a length for each of the 2 dimensions"),
        ({"blocks": (1, -1)}, "a length in blocks is -1"),
        ({"scales": (ONE, ONE, ONE)}, "one or two scales"),
        ({"scales": ()}, "one or two scales"),
        ({"zero": ONE, "offset": ONE}, "a zero or an offset"),
        ({"dtype": "int8"}, "F16, BF16, F32 or F64, not I8"),
        ({"dtype": "nosuch"}, "dtype is 'nosuch'"),
        ({"rounding": "twice"}, "'once' or 'each'"),
    ],
)
def test_refused_in_words(arguments: dict[str, Any], message: str | None) -> None:
    given_ = {"levels": LEVEL, "scales": ONE, **arguments}
    if message is None:
        swsfmt.save({"a": swsfmt.Scaled(**given_)})
        return
    with pytest.raises(InputError, match=message):
        swsfmt.Scaled(**given_)


def test_parts_count_against_the_limit() -> None:
    """Levels of four bytes and a scale for each element are more than the tensor itself."""
    levels, scale = np.zeros((64, 64), np.int32), np.ones((64, 64), np.float32)
    data = swsfmt.save({"a": swsfmt.Scaled(levels, scale, dtype="float16")})
    size = 64 * 64
    assert swsfmt.load(data, limits=swsfmt.Limits(max_decoded_bytes=8 * size))["a"].shape == (64, 64)
    with pytest.raises(swsfmt.LimitError, match="parts of this tensor"):
        swsfmt.load(data, limits=swsfmt.Limits(max_decoded_bytes=8 * size - 1))
