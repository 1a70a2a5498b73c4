"""The torch interface: every dtype and kind of tensor, ties, models."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensors import same
from torch import nn

import swsfmt
import swsfmt.torch
import swsfmt.torch_tensors
from swsfmt import InputError
from swsfmt.read.reader import Reader, Record
from swsfmt.torch import from_tensor, load, load_file, load_model, safe_open, save, save_file, save_model, to_tensor

pytestmark = pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
Tensors = Mapping[str, torch.Tensor]
DTYPES = [
    *(torch.bool, torch.uint8, torch.int8, torch.uint16, torch.int16, torch.uint32, torch.int32, torch.uint64),
    *(torch.int64, torch.float16, torch.bfloat16, torch.float32, torch.float64),
    *(torch.complex32, torch.complex64, torch.complex128),
    *(torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz),
]
# Newer torch has these too.
DTYPES += [getattr(torch, name) for name in ("float8_e8m0fnu", "float4_e2m1fn_x2") if hasattr(torch, name)]


def round_trip(tensors: Tensors, **options: Any) -> dict[str, torch.Tensor]:
    data = save(tensors, **options)
    assert save(tensors, **options) == data
    swsfmt.verify(data)
    loaded = load(data)
    assert list(loaded) == list(tensors)
    for name, tensor in tensors.items():
        assert same(loaded[name], tensor)
        assert type(loaded[name]) is torch.Tensor
        assert loaded[name].is_contiguous()
        assert not loaded[name].requires_grad
    return loaded


def of_bits(dtype: torch.dtype, count: int, seed: int = 0) -> torch.Tensor:
    """Elements of any bit pattern."""
    generator = torch.Generator().manual_seed(seed)
    if dtype == torch.bool:
        return torch.randint(0, 2, (count,), generator=generator).bool()
    size = count * torch.empty(0, dtype=dtype).element_size()
    return torch.randint(0, 256, (size,), dtype=torch.uint8, generator=generator).view(dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype(dtype: torch.dtype) -> None:
    few = of_bits(dtype, 4).view(torch.uint8).reshape(4, -1)[torch.arange(120) % 4].reshape(-1).view(dtype)
    round_trip(
        {
            "matrix": of_bits(dtype, 60).reshape(5, 12),
            "scalar": of_bits(dtype, 1, 1).reshape(()),
            "one": of_bits(dtype, 1, 2),
            "empty": of_bits(dtype, 0),
            "empty 3d": of_bits(dtype, 0).reshape(2, 0, 3),
            "few": few,
            "zeros": torch.zeros(480, dtype=torch.uint8).view(dtype),
        }
    )


def base() -> torch.Tensor:
    return torch.arange(24, dtype=torch.float32).reshape(4, 6)


COMPLEX = torch.tensor([1 + 2j, 3 - 4j, -0.0 + 0j], dtype=torch.complex64)
VIEWS: dict[str, torch.Tensor] = {
    "transposed": base().T,
    "strided": base()[::2, ::3],
    "offset": base()[1:, 2:],
    "expanded": torch.tensor([1.0, 2.0]).expand(3, 2),
    "expanded scalar": torch.tensor(7.0).expand(4, 4),
    "permuted": torch.arange(60).reshape(3, 4, 5).permute(2, 0, 1),
    "channels last": torch.arange(48.0).reshape(2, 2, 3, 4).to(memory_format=torch.channels_last),
    "flipped": base().flip(0),
    "conjugated": COMPLEX.conj(),
    "negative": COMPLEX.conj().imag,
    "real": COMPLEX.real,
    "parameter": nn.Parameter(base()),
    "requires grad": base().requires_grad_(),
    "not a leaf": base().requires_grad_() * 2,
    "64 dimensions": torch.zeros([1] * 64),
    "diagonal": base()[:, :4].diagonal(),
    "unfolded": torch.arange(10.0).unfold(0, 4, 1),
}


@pytest.mark.parametrize("name", VIEWS)
def test_kinds_of_tensor(name: str) -> None:
    round_trip({name: VIEWS[name]})


def test_all_kinds_in_one_file_in_order() -> None:
    round_trip(VIEWS)
    round_trip(dict(reversed(VIEWS.items())))


def test_loaded_tensors_are_writable_and_own_their_memory() -> None:
    data = save({"a": base(), "b": base() + 1})
    first, second = load(data), load(data)
    first["a"].zero_()
    assert same(second["a"], base())
    assert same(load(data)["a"], base())


# ---- ties ------------------------------------------------------------------------------------------------------------


def tied(loaded: Mapping[str, torch.Tensor], a: str, b: str) -> bool:
    return loaded[a].data_ptr() == loaded[b].data_ptr()


def test_ties_are_kept() -> None:
    tensor = base()
    parameter = nn.Parameter(tensor)
    loaded = round_trip({"a": tensor, "same": tensor, "view": tensor.view(4, 6), "parameter": parameter})
    assert all(tied(loaded, "a", name) for name in ("same", "view", "parameter"))
    loaded["a"][0, 0] = 99
    assert loaded["parameter"][0, 0] == 99


def test_what_overlaps_is_not_tied() -> None:
    tensor = base()
    tensors = {
        "a": tensor,
        "rows": tensor[1:],
        "first row": tensor[0],
        "transposed": tensor.T,
        "flat": tensor.view(24),
        "other shape": tensor.view(6, 4),
        "other dtype": tensor.view(torch.int32),
        "equal": tensor.clone(),
    }
    loaded = round_trip(tensors)
    assert len({t.data_ptr() for t in loaded.values()}) == len(tensors)
    loaded["a"].zero_()
    assert same(loaded["rows"], tensor[1:])


def test_conjugated_and_plain_are_not_tied() -> None:
    loaded = round_trip({"plain": COMPLEX, "conjugated": COMPLEX.conj(), "again": COMPLEX.conj()})
    assert not tied(loaded, "plain", "conjugated")
    assert tied(loaded, "conjugated", "again")


def test_empty_tensors_are_not_tied() -> None:
    round_trip({"a": torch.zeros(0), "b": torch.zeros(0, 3), "c": torch.zeros(0, dtype=torch.int64)})


class Lazy(Mapping[str, torch.Tensor]):
    """Makes its tensors when it is asked for them; nobody else keeps them."""

    def __getitem__(self, name: str) -> torch.Tensor:
        return torch.full((2, 1000), float(name))[:, ::2]

    def __iter__(self) -> Iterator[str]:
        return (str(i) for i in range(20))

    def __len__(self) -> int:
        return 20


def test_temporary_tensors_at_the_same_address_are_not_ties() -> None:
    loaded = load(save(Lazy()))
    assert [int(tensor.max()) for tensor in loaded.values()] == list(range(20))


# ---- models ----------------------------------------------------------------------------------------------------------


class Tied(nn.Module):
    """A language model's usual tie: embedding and output layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 6)
        self.norm = nn.BatchNorm1d(6)
        self.head = nn.Linear(6, 11, bias=False)
        self.head.weight = self.embed.weight


def test_model_round_trip_with_a_tie(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, other = Tied(), Tied()
    save_model(model, tmp_path / "m.sws", metadata={"epoch": "3"})
    assert load_model(other, tmp_path / "m.sws") == ([], [])
    for name, tensor in model.state_dict().items():
        assert same(other.state_dict()[name], tensor)
    assert other.head.weight is other.embed.weight
    loaded = load_file(tmp_path / "m.sws")
    assert list(loaded) == list(model.state_dict())
    assert tied(loaded, "embed.weight", "head.weight")
    report = swsfmt.inspect(tmp_path / "m.sws")
    assert [t.alias_of for t in report.tensors if t.name == "head.weight"] == ["embed.weight"]
    with safe_open(tmp_path / "m.sws") as file:
        assert file.metadata() == {"epoch": "3"}


def test_load_model_strict_and_not(tmp_path: Path) -> None:
    path = tmp_path / "m.sws"
    save_file({"weight": torch.ones(2, 3), "extra": torch.zeros(1)}, path)
    model = nn.Linear(3, 2)
    with pytest.raises(RuntimeError, match="Missing key"):
        load_model(model, path)
    missing, unexpected = load_model(model, path, strict=False)
    assert (missing, unexpected) == (["bias"], ["extra"])
    assert torch.equal(model.weight, torch.ones(2, 3))


def test_ordered_dict_with_metadata_of_state_dict() -> None:
    state = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).state_dict()
    assert isinstance(state, OrderedDict)
    round_trip(state)


def test_files_and_slices(tmp_path: Path) -> None:
    path = tmp_path / "t.sws"
    save_file({"a": base(), "b": base().bfloat16()}, path)
    assert same(load_file(str(path))["b"], base().bfloat16())
    with safe_open(path) as file:
        assert file.keys() == ["a", "b"]
        assert same(file.get_tensor("a"), base())
        part = file.get_slice("b")
        assert (part.get_shape(), part.get_dtype()) == ([4, 6], "BF16")
        assert same(part[1:3, ::2], base().bfloat16()[1:3, ::2])
        with pytest.raises(swsfmt.TensorNotFoundError):
            file.get_slice("c")


def test_device() -> None:
    loaded = load(save({"a": base()}), device="meta")
    assert loaded["a"].is_meta


# ---- values, threads, handles --------------------------------------------------------------------------------------


def test_bool_of_another_byte_is_not_written_unreadably() -> None:
    """torch lets a bool have any byte; what is saved must be refused at once or be readable."""
    odd = torch.tensor([0, 1, 2, 255], dtype=torch.uint8).view(torch.bool)
    try:
        data = save({"a": odd})
    except InputError:
        return
    assert load(data)["a"].tolist() == [False, True, True, True]


def test_narrow_floats_with_flushed_denormals() -> None:
    """Reading is exact whatever the floating-point mode of the thread."""
    expected = torch.arange(1, 3000, dtype=torch.int32).view(torch.float32).double()
    brain = (torch.arange(1, 400, dtype=torch.int32) % 100 + 1 << 16).view(torch.float32).double()
    data = save({"narrow": expected, "codebook": brain})
    if not torch.set_flush_denormal(True):
        pytest.skip("this machine cannot flush denormals")
    try:
        loaded = load(data)
    finally:
        torch.set_flush_denormal(False)
    assert same(loaded["narrow"], expected)
    assert same(loaded["codebook"], brain)


@pytest.mark.parametrize("module", ["swsfmt", "swsfmt.read.reader", "swsfmt.read.report", "swsfmt.numpy"])
def test_import_without_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("threads", [1, 2, 5, None])
def test_threads_give_the_same_tensors(threads: int | None, tmp_path: Path) -> None:
    """Large enough that there are chunks for each thread, dense and sparse."""
    generator = torch.Generator().manual_seed(0)
    dense = torch.randint(0, 9, (500, 700), generator=generator).float() / 4
    sparse = dense * (torch.rand(500, 700, generator=generator) < 0.3)
    path = tmp_path / "a.sws"
    save_file({"dense": dense, "sparse": sparse, "columns": sparse.t().contiguous()}, path)
    found = load_file(path, threads=threads)
    assert torch.equal(found["dense"], dense)
    assert torch.equal(found["sparse"], sparse)
    assert torch.equal(found["columns"], sparse.t())


def test_small_tensors_are_decoded_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first two wait for each other, so one after the other they would wait forever; some are tied, some large."""
    tensors = {f"{number}": torch.full((300, 200), float(number)) for number in range(30)}
    tensors |= {"large": torch.randn(1100, 1000), "tied": tensors["3"], "last": torch.arange(5)}
    path = tmp_path / "a.sws"
    save_file(tensors, path)
    both, decode = threading.Barrier(2, timeout=60), Reader.decode

    def watched(reader: Reader, record: Record, threads: int = 1, *rest: Any) -> Any:
        if record.name in ("0", "1"):
            both.wait()
        assert threads == (2 if record.name == "large" else 1)
        return decode(reader, record, threads, *rest)

    monkeypatch.setattr(Reader, "decode", watched)
    places = {name: torch.empty_like(tensors[name]) for name in ("1", "large")}
    for out in (None, places):
        found = load_file(path, threads=2, out=out)
        assert list(found) == list(tensors)
        assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())
        assert found["tied"] is found["3"]
    assert found["1"].data_ptr() == places["1"].data_ptr()


class Labelled(torch.Tensor):
    """A subclass that holds its elements itself."""


def test_plain_subclasses_are_tensors() -> None:
    given = torch.arange(6.0).as_subclass(Labelled)
    assert torch.equal(load(save({"w": given}))["w"], torch.arange(6.0))


def test_public_names() -> None:
    assert all(callable(getattr(swsfmt.torch, name)) for name in swsfmt.torch.__all__)
    assert {"save_file", "load_file", "save", "load", "safe_open", "inspect", "verify"} <= set(swsfmt.torch.__all__)


def test_frameworks(tmp_path: Path) -> None:
    path = tmp_path / "m.sws"
    save_file({"w": torch.arange(4.0)}, path)
    with swsfmt.safe_open(path, framework="pt", device="cpu") as file:
        assert isinstance(file.get_tensor("w"), torch.Tensor)
    with swsfmt.safe_open(path) as file:
        assert isinstance(file.get_tensor("w"), np.ndarray)
    with safe_open(path, "pt", "meta") as file:
        assert file.get_tensor("w").is_meta
    for call, message in (
        (lambda: swsfmt.safe_open(path, "tf"), "framework 'tf' is not known"),
        (lambda: swsfmt.safe_open(path, "np", "cuda"), "cannot be on device"),
        (lambda: safe_open(path, "np"), "use swsfmt.safe_open"),
    ):
        with pytest.raises(swsfmt.InputError, match=message):
            call()


def test_elements_of_one_tensor_and_back() -> None:
    weight = torch.arange(6.0).reshape(2, 3)
    elements = from_tensor(weight)
    same(to_tensor(elements), weight)
    assert to_tensor(elements, "meta").device.type == "meta"
    assert to_tensor(elements, dtype=torch.float16).dtype is torch.float16
    # Without elements as well; and only floating-point tensors are converted.
    assert to_tensor(from_tensor(weight[:0]), dtype=torch.float16).dtype is torch.float16
    assert to_tensor(from_tensor(torch.arange(3)), dtype=torch.float16).dtype is torch.int64


def test_dtypes_that_torch_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in an older version."""
    data = save({"a": torch.zeros(3, dtype=torch.float8_e5m2fnuz), "b": torch.ones(2)})
    monkeypatch.delitem(swsfmt.torch_tensors._DTYPES, "F8_E5M2FNUZ")
    with pytest.warns(swsfmt.SwsWarning, match="left out 'a': this version of torch has no F8_E5M2FNUZ; upgrade torch"):
        assert list(load(data)) == ["b"]
    with safe_open(data) as file, pytest.raises(InputError, match="upgrade torch"):
        file.get_tensor("a")


@pytest.mark.parametrize("dtype", [torch.complex128, torch.complex64, torch.float32, torch.bool], ids=str)
def test_the_stride_of_a_single_element_is_of_no_account(dtype: torch.dtype) -> None:
    """An element that was expanded to one, with a stride of 0, is contiguous to torch."""
    tensor = torch.ones(1, 1, dtype=dtype).as_strided((1, 1), (0, 0))
    data = save({"a": tensor})
    assert torch.equal(load(data)["a"], tensor)
    out = torch.zeros(1, 1, dtype=dtype).as_strided((1, 1), (0, 0))
    assert load(data, out={"a": out})["a"] is not None
    assert torch.equal(out, tensor)


@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if dtype.itemsize == 1], ids=str)
def test_strided_elements_of_a_byte(dtype: torch.dtype) -> None:
    """Some have no copy in torch."""
    plain = torch.arange(12, dtype=torch.uint8).reshape(3, 4).remainder(2)
    tensor = plain.view(dtype).T
    assert load(save({"a": tensor}))["a"].view(torch.uint8).tolist() == plain.T.tolist()
