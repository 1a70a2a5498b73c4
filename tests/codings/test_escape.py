"""Values that stand apart: sparse tensors of any values, and tensors of more values than a codebook holds."""

from __future__ import annotations

import lzma
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import swsfmt
from swsfmt import dtypes
from swsfmt.codings.adaptive import ADAPTIVE
from swsfmt.codings.escape import ESCAPE, Params
from swsfmt.codings.escape.plan import plan
from swsfmt.codings.sampling import Sampled
from swsfmt.entropy import backend, escape
from swsfmt.errors import ChangedError
from swsfmt.read.reader import Reader
from swsfmt.tensor import Elements, TensorInfo
from swsfmt.write.file import encode_file
from swsfmt.write.options import Options

pytestmark = pytest.mark.usefixtures("each_kernel")

Array = npt.NDArray[Any]
SMALL = Options(profile="small")


@pytest.fixture(autouse=True)
def _without_the_adaptive_coder(monkeypatch: pytest.MonkeyPatch) -> None:
    """In Python it is slow, and nothing here is about it."""
    monkeypatch.setattr(ADAPTIVE, "profiles", frozenset())


def pruned(shape: tuple[int, ...], density: float, dtype: str = "f4", seed: int = 0) -> Array:
    """Normal weights, most of them zero."""
    random = np.random.default_rng(seed)
    weights = random.normal(size=shape).astype("f4").astype(dtype)
    return np.where(random.random(shape) < density, weights, weights.dtype.type(0))


def wide(shape: tuple[int, ...], rare: float = 0.02, dtype: str = "f4", seed: int = 0) -> Array:
    """Weights on a grid, and some between its points."""
    random = np.random.default_rng(seed)
    weights = random.normal(size=shape)
    levels = np.round(weights * 4) / 4 + 0.125
    return np.where(random.random(shape) < rare, weights, levels).astype(dtype)


def elements_of(array: Array, dtype: str = "F32") -> Sampled:
    info = TensorInfo(dtypes.BY_NAME[dtype], array.shape)
    return Sampled(info, np.ascontiguousarray(array).reshape(-1).view(info.dtype.bits))


def saved(array: Array) -> bytes:
    return swsfmt.save({"w": array}, profile="small")


def coding(data: bytes) -> Any:
    (record,) = Reader.open(data).records
    return record.coding.name, [part.coding.name for part in record.parts]


CASES: dict[str, Callable[[], Array]] = {
    "90 % zeros": lambda: pruned((60, 200), 0.1),
    "99.5 % zeros": lambda: pruned((200, 200), 0.005),
    "in chunks": lambda: pruned((700, 600), 0.1),
    "in chunks, F64": lambda: pruned((700, 600), 0.1, "f8"),
    "in chunks, dead rows and columns": lambda: np.kron(np.eye(2)[:, :1], pruned((500, 400), 0.3)).astype("f4"),
    "dead rows": lambda: np.where(np.arange(200)[:, None] % 5 == 0, pruned((200, 50), 0.9), np.float32(0)),
    "dead columns": lambda: np.where(np.arange(200) < 20, pruned((50, 200), 1), np.float32(0)),
    "one row": lambda: pruned((9000,), 0.1),
    "one column": lambda: pruned((9000, 1), 0.1),
    "filters": lambda: pruned((20, 30, 3, 3), 0.2),
    "F16": lambda: pruned((90, 90), 0.1, "f2"),
    "F64": lambda: pruned((60, 60), 0.1, "f8"),
    "integers": lambda: np.round(pruned((70, 70), 0.1, "f8") * 1e12).astype("i8"),
    "short integers": lambda: (pruned((70, 70), 0.1, "f8") * 1e4).astype("i2"),
    "complex": lambda: pruned((60, 120), 0.1).view("c8"),
    "negative zeros": lambda: pruned((60, 200), 1) * (pruned((60, 200), 0.1, seed=1) != 0).astype("f4"),
    "grid and some": lambda: wide((200, 100), 0.05),
    "grid and some, F64": lambda: wide((200, 80), 0.05, dtype="f8"),
    "pruned grid and some": lambda: wide((200, 200), 0.1) * (pruned((200, 200), 0.3, seed=1) != 0),
    "grid with zero, and some": lambda: wide((200, 100), 0.05) - np.float32(0.125),
}


@pytest.mark.parametrize("name", CASES)
def test_round_trips(name: str) -> None:
    """Whole, by rows, in threads, to memory that is there: the same bits."""
    array = CASES[name]()
    data = saved(array)
    # Complex numbers have no planes, so that a table of their differences may be smaller.
    assert coding(data)[0] == "escape" or name == "complex"
    assert len(data) < len(lzma.compress(array.tobytes(), preset=9))
    for threads in (1, 3):
        assert swsfmt.load(data, threads=threads)["w"].tobytes() == array.tobytes()
        out = {"w": np.full_like(array, 7)}
        swsfmt.load(data, threads=threads, out=out)
        assert out["w"].tobytes() == array.tobytes()
    with swsfmt.safe_open(data) as file:
        part = file.get_slice("w")
        for first, last in ((0, 1), (3, 17), (len(array) - 1, len(array)), (5, 5)):
            assert part[first:last].tobytes() == array[first:last].tobytes()


@pytest.mark.parametrize("name", CASES)
def test_equal_bytes_on_both_kernels(name: str) -> None:
    array = CASES[name]()
    for options in ({"threads": 1}, {"threads": 4}):
        with backend.use(backend.NATIVE):
            native = b"".join(encode_file({"w": elements(array)}, options=SMALL, **options).pieces())  # type: ignore[arg-type]
        assert native == saved(array)


def elements(array: Array) -> Elements:
    from swsfmt.numpy import from_array

    return from_array(array)


bits_of_floats = st.integers(0, 2**32 - 1) | st.sampled_from([0, 1 << 31, 0x7FC00000, 0xFF800001, 0x3F800000])


@settings(deadline=None)
@given(st.data())
def test_any_main_part(data: st.DataObject) -> None:
    """Any mask, any mark, any kept values: parts of a tensor make it again."""
    shape = data.draw(st.sampled_from([(64,), (8, 9), (2, 3, 11)]))
    palette = data.draw(st.lists(bits_of_floats, min_size=1, max_size=9))
    numel = int(np.prod(shape))
    bits = np.array(data.draw(st.lists(st.sampled_from(palette), min_size=numel, max_size=numel)), "<u4")
    tensor = Elements(TensorInfo(dtypes.F32, shape), bits)
    mark = data.draw(st.none() | bits_of_floats)
    kept = None
    if mark is not None:
        chosen = set(data.draw(st.lists(st.sampled_from(palette), max_size=5))) - {mark}
        kept = np.array(sorted(chosen), "<u4")
    count = int(np.count_nonzero(bits)) if kept is None else int(np.count_nonzero(~np.isin(bits, kept)))
    params = Params(count, mark, kept)
    main, values = (ESCAPE.part(params, tensor, number).bits for number in (0, 1))
    out = np.full(numel, 9, "<u4")
    if mark is None:
        assert escape.spread(main, values, out) == count
    else:
        out[:] = main
        assert escape.fill_marks(out, mark, values) == count
    assert out.tobytes() == bits.tobytes()
    assert escape.count_marks(main, 1 if mark is None else mark) == count


@pytest.mark.parametrize("itemsize", [1, 2, 4, 8])
@pytest.mark.parametrize("density", [0, 0.01, 0.3, 1])
def test_kernels(itemsize: int, density: float) -> None:
    """With as many values as marks, with fewer, and with more; in threads."""
    random = np.random.default_rng(3)
    mask = (random.random(600_000) < density).astype("u1")
    marks = int(mask.sum())
    dtype = np.dtype(f"<u{itemsize}")
    values = random.integers(1, 250, marks + 5).astype(dtype)
    for count in (marks, marks + 5, marks // 2):
        wanted = np.zeros(len(mask), dtype)
        places = np.flatnonzero(mask)
        wanted[places[:count]] = values[: min(count, marks)]
        filled = np.where(mask > 0, 251, 252).astype(dtype)
        filled[places[:count]] = values[: min(count, marks)]
        out = np.full(len(mask), 99, dtype)
        with backend.without_vectors():
            assert escape.spread(mask, values[:count], out) == marks
        assert np.array_equal(out, wanted)
        # What is not zero is a mark.
        assert escape.spread(mask * 130, values[:count], out) == marks
        assert np.array_equal(out, wanted)
        for threads in (1, 3):
            out = np.full(len(mask), 99, dtype)
            assert escape.spread(mask, values[:count], out, threads) == marks
            assert np.array_equal(out, wanted)
            out = np.where(mask > 0, 251, 252).astype(dtype)
            assert escape.fill_marks(out, 251, values[:count], threads) == marks
            assert np.array_equal(out, filled)
            assert escape.count_marks(mask, 1, threads) == marks
    picked = escape.gather(mask, wanted, marks)
    assert picked is not None
    assert np.array_equal(picked, wanted[places])
    assert escape.gather(mask, wanted, marks + 1) is None
    assert escape.gather(mask, wanted, max(0, marks - 1)) is None or marks == 0


@pytest.mark.parametrize("itemsize", [1, 2, 4, 8])
def test_kept_elements(itemsize: int) -> None:
    random = np.random.default_rng(4)
    dtype = np.dtype(f"<u{itemsize}")
    data = random.integers(0, 200, 300_000).astype(dtype)
    for kept in (np.arange(0, 200, 3), np.array([], int), np.arange(200)):
        for threads in (1, 3):
            out, others = escape.keep(data, kept.astype(dtype), 201, threads)
            is_kept = np.isin(data, kept.astype(dtype))
            assert others == np.count_nonzero(~is_kept)
            assert np.array_equal(out, np.where(is_kept, data, 201).astype(dtype))


def test_ordinary_tensors_stay_whole() -> None:
    """The plan gives up on what has neither zeros nor values that come again, before it looks at all of it."""
    random = np.random.default_rng(5)
    tensor = elements_of(random.normal(size=(300, 300)).astype("f4"))
    assert plan(tensor) is None
    assert plan(elements_of(np.zeros((9, 9), "f4"))) is None


def test_what_is_kept() -> None:
    """Frequent values are kept, and the mark is none of them: zero where there is none."""
    array = wide((200, 200))
    found = plan(elements_of(array))
    assert found is not None
    assert found.kept is not None
    assert found.mark == 0
    assert set(found.kept.view("<f4").tolist()) <= set((np.arange(-30, 30) / 4 + 0.125).tolist())
    assert found.count == np.count_nonzero(~np.isin(array.view("<u4"), found.kept))
    found = plan(elements_of(array - np.float32(0.125)))
    assert found is not None
    assert found.kept is not None
    assert found.kept[0] == 0
    assert found.mark == 1 << 31


@pytest.mark.parametrize("values", [4095, 4096, 8192])
def test_no_cliff_at_the_largest_codebook(values: int) -> None:
    """Skewed: few of them are frequent. Equal: a table would do, or values that stand apart from those that do."""
    random = np.random.default_rng(6)
    book = random.normal(size=values).astype("f4")
    numbers = np.concatenate([np.arange(values), np.minimum(random.geometric(0.05, 60_000), values) - 1])
    array = random.permutation(book[numbers])
    data = swsfmt.save({"w": array}, profile="small")
    assert swsfmt.load(data)["w"].tobytes() == array.tobytes()
    assert len(data) < len(lzma.compress(array.tobytes(), preset=9))


class Changing:
    """A tensor that is another one from the given reading on."""

    def __init__(self, before: Array, after: Array, change: int) -> None:
        self.info = TensorInfo(dtypes.F32, before.shape)
        self._readings, self._change, self._count = (before, after), change, 0

    def load(self) -> Elements:
        self._count += 1
        return elements_of(self._readings[self._count > self._change])


@pytest.mark.parametrize("change", range(1, 11))
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (pruned((50, 90), 0.1), pruned((50, 90), 0.1, seed=1)),
        (pruned((50, 90), 0.1), pruned((50, 90), 0.2)),
        (pruned((50, 90), 0.1), pruned((50, 90), 0.1) + (pruned((50, 90), 0.001, seed=2) != 0)),
        (pruned((50, 90), 0.1), np.zeros((50, 90), "f4")),
        (wide((50, 90)), wide((50, 90), seed=1)),
        (wide((50, 90)), np.where(wide((50, 90)) > 2, np.float32(0.3), wide((50, 90)))),
        (wide((50, 90)), pruned((50, 90), 0.1)),
    ],
)
def test_a_tensor_that_changes(before: Array, after: Array, change: int) -> None:
    """Between the looks at it: what is written is a tensor, or there is an error; never a file that no reader takes."""
    tensor = Changing(before, after, change)
    try:
        data = b"".join(encode_file({"w": tensor}, options=SMALL, threads=1).pieces())
    except ChangedError as error:
        where = error.tensor
    else:
        where = "w"
        assert swsfmt.load(data)["w"].shape == before.shape
    assert where == "w"


def test_inspection() -> None:
    """All bytes are told, those of the parts too; the mask's indices are column indices."""
    array = pruned((300, 300), 0.05)
    report = swsfmt.inspect(saved(array))
    (tensor,) = report.tensors
    assert tensor.coding == "escape"
    assert tensor.nonzero == np.count_nonzero(array)
    assert sum(report.sections.values()) == report.file_bytes
    assert tensor.file_bytes == sum(tensor.sections.values())


def test_frequent_values_whose_rest_is_cheap() -> None:
    """What is left without them may be far simpler than all was together."""
    random = np.random.default_rng(0)
    repeated = np.repeat(random.integers(0, 1 << 32, 1000, dtype=np.uint64).astype("<u4"), 3)
    bits = np.concatenate([repeated, 0x3F800000 | np.arange(5192, dtype="<u4")])
    random.shuffle(bits)
    tensor = Sampled(TensorInfo(dtypes.F32, bits.shape), bits)
    found = plan(tensor)
    assert found is not None
    data = swsfmt.save({"w": bits.view("<f4")})
    assert coding(data) == ("escape", ["lookup", "planes"])
    assert len(data) < 20_000
