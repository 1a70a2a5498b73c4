"""Datasets in memory, their files, and the models that take them."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from sws import data
from sws.data import DATASETS, load, make_loaders, read_idx, split_loaders
from sws.models import MODELS, LeNet5Caffe, LeNet300100, TutorialNet, WideResNet, make_model
from sws.utils import collect_weight_params, get_device, set_seed
from swsfmt import InputError

SHAPES = {"tutorialnet": (1, 28, 28), "lenet_300_100": (1, 28, 28), "lenet5": (1, 28, 28), "wrn_16_4": (3, 32, 32)}


def test_digits() -> None:
    train, test, classes = make_loaders("digits", 100)
    assert (len(train.dataset), len(test.dataset), classes) == (1437, 360, 10)
    images, labels = next(iter(train))
    assert images.shape == (100, 1, 8, 8)
    assert images.dtype == torch.float32
    assert images.min() == 0
    assert load("digits")[0].images.std().item() == pytest.approx(1)
    assert labels.dtype == torch.int64
    assert len(train) == 15
    assert sum(len(y) for _, y in train) == 1437, "the last batch is smaller"


def test_every_image_once_an_epoch_in_a_new_order() -> None:
    train, _, _ = make_loaders("digits", 64)
    set_seed(1)
    first, second = [torch.cat([x.flatten(1) for x, _ in train]) for _ in range(2)]
    assert not torch.equal(first, second)
    wanted = load("digits")[0].images.flatten(1)
    for found in (first, second):
        assert torch.equal(found.unique(dim=0, return_counts=True)[1], wanted.unique(dim=0, return_counts=True)[1])


def test_seeds() -> None:
    def order(seed: int | None) -> torch.Tensor:
        return torch.cat([y for _, y in make_loaders("digits", 64, seed=seed)[0]])

    assert torch.equal(order(3), order(3))
    assert not torch.equal(order(3), order(4))
    set_seed(5)
    first = order(None)
    set_seed(5)
    assert torch.equal(first, order(None))


def test_validation_split() -> None:
    found = split_loaders("digits", 64, validation=200)
    assert found.validation is not None
    assert [len(x.dataset) for x in found[:3]] == [1237, 200, 360]
    everything = load("digits")[0]
    assert torch.equal(torch.cat([x for x, _ in found.validation]), everything.images[-200:])
    assert split_loaders("digits", 64, validation=0).validation is None
    with pytest.raises(InputError, match="cannot be held out"):
        split_loaders("digits", 64, validation=1437)
    with pytest.raises(InputError, match="a batch of 0"):
        make_loaders("digits", 0)


def idx(array: np.ndarray) -> bytes:  # type: ignore[type-arg]
    head = b"\0\0\x08" + bytes([array.ndim]) + np.array(array.shape, ">u4").tobytes()
    # A time would be another one in each process that collects these tests.
    return gzip.compress(head + array.tobytes(), mtime=0)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SWS_DATA", str(tmp_path))
    return tmp_path


def test_mnist_files(folder: Path) -> None:
    rng = np.random.default_rng(0)
    (folder / "mnist").mkdir()
    for part, count in (("train", 30), ("t10k", 7)):
        images, labels = rng.integers(0, 256, (count, 28, 28), np.uint8), rng.integers(0, 10, count, np.uint8)
        (folder / "mnist" / f"{part}-images-idx3-ubyte.gz").write_bytes(idx(images))
        (folder / "mnist" / f"{part}-labels-idx1-ubyte.gz").write_bytes(idx(labels))
    train, test = load("mnist")
    assert train.images.shape == (30, 1, 28, 28)
    assert test.labels.tolist() == labels.tolist()
    scale = 255 / test.images.max() if images.max() == 255 else None
    assert scale is not None
    assert torch.equal((test.images * scale).round().to(torch.uint8)[:, 0], torch.from_numpy(images))


@pytest.mark.parametrize(("name", "label_bytes"), [("cifar10", 1), ("cifar100", 2)])
def test_cifar_files(folder: Path, name: str, label_bytes: int) -> None:
    rng = np.random.default_rng(0)
    parts = [f"data_batch_{i}.bin" for i in range(1, 6)] if label_bytes == 1 else ["train.bin"]
    test_part = "test_batch.bin" if label_bytes == 1 else "test.bin"
    (folder / name).mkdir()
    with tarfile.open(folder / name / f"{name.replace('r', 'r-')}-binary.tar.gz", "w:gz") as archive:
        for part in [*parts, test_part]:
            records = rng.integers(0, 10, (4, label_bytes + 3072), np.uint8)
            info = tarfile.TarInfo(f"folder/{part}")
            info.size = records.nbytes
            archive.addfile(info, io.BytesIO(records.tobytes()))
    train, test = load(name)
    assert len(train.labels) == 4 * len(parts)
    assert test.images.shape == (4, 3, 32, 32)
    assert test.labels.tolist() == records[:, label_bytes - 1].tolist()
    assert test.images[3, 2, 31, 31] / test.images[0, 0, 0, 0] == pytest.approx(
        records[3, -1] / records[0, label_bytes]
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"hello", "damaged"),
        (gzip.compress(b"\0\0\x0d\x01\0\0\0\1\0\0\0\0", mtime=0), "not an IDX file"),
        (gzip.compress(b"\0\0\x08\x01\0\0\0\5abc", mtime=0), "does not hold"),
        (gzip.compress(b"\0\0\x08\x03\0\0", mtime=0), "damaged"),
        (gzip.compress(b"", mtime=0), "not an IDX file"),
        (idx(np.zeros((3, 3), np.uint8))[:-9], "damaged"),
    ],
)
def test_damaged_idx(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.gz").write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_idx(tmp_path / "x.gz")
    assert caught.value.file == str(tmp_path / "x.gz")


def test_damaged_archive(folder: Path) -> None:
    (folder / "cifar10").mkdir()
    (folder / "cifar10" / "cifar-10-binary.tar.gz").write_bytes(b"nothing")
    with pytest.raises(InputError, match="archive is damaged"):
        load("cifar10")


def test_no_data_and_no_network(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pooch = pytest.importorskip("pooch")

    def retrieve(*_args: object, **_more: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    with pytest.raises(InputError, match=r"not in \$SWS_DATA/mnist and cannot be fetched.*no route.*set SWS_DATA"):
        load("mnist")
    # Nobody has asked for a place beside the installed package; in a checkout shared/data may lie there.
    monkeypatch.delenv("SWS_DATA")
    monkeypatch.setattr(data, "__file__", str(folder / "package" / "sws" / "data.py"))
    with pytest.raises(InputError, match=r"^train-images-idx3-ubyte.gz is not in"):
        load("mnist")


def test_unknown_names() -> None:
    with pytest.raises(InputError, match=r"no dataset 'mnits'; choose one of digits, mnist"):
        make_loaders("mnits")
    with pytest.raises(InputError, match="no model 'vgg'"):
        make_model("vgg")


def test_checksums_are_there_for_all_that_is_fetched() -> None:
    for source in DATASETS.values():
        assert all(len(checksum) == len("md5:") + 32 for checksum in source.files.values())


@pytest.mark.parametrize(
    ("name", "kind", "parameters"),
    [
        ("tutorialnet", TutorialNet, 642_460),
        ("lenet_300_100", LeNet300100, 266_610),
        ("lenet5", LeNet5Caffe, 431_080),
        ("wrn_16_4", WideResNet, 2_748_890),
    ],
)
def test_models(name: str, kind: type, parameters: int) -> None:
    model = make_model(name).eval()
    assert isinstance(model, kind)
    assert sum(p.numel() for p in model.parameters()) == parameters
    with torch.no_grad():
        assert model(torch.zeros(2, *SHAPES[name])).shape == (2, 10)
    assert make_model(name, 7).eval()(torch.zeros(1, *SHAPES[name])).shape == (1, 7)


def test_the_model_for_digits() -> None:
    assert MODELS["digits_300_100"](10)(torch.zeros(1, 1, 8, 8)).shape == (1, 10)


def test_depth_of_a_wide_residual_network() -> None:
    with pytest.raises(InputError, match="6 n"):
        WideResNet(depth=17)


def test_weights_are_those_of_layers() -> None:
    model = make_model("wrn_16_4")
    weights = collect_weight_params(model)
    assert all(w.dim() >= 2 for w in weights)
    assert len(weights) == sum(1 for name, _ in model.named_parameters() if "conv" in name or "fc.weight" in name) + 3


def test_device() -> None:
    assert get_device().type in ("cpu", "cuda", "mps")


def test_seed_reaches_all_generators() -> None:
    import random

    set_seed(7)
    first = random.random(), np.random.random(), torch.rand(1).item()
    set_seed(7)
    assert (random.random(), np.random.random(), torch.rand(1).item()) == first


def test_evaluation_takes_no_random_numbers() -> None:
    found = split_loaders("digits", 64, validation=100)
    assert found.validation is not None
    before = torch.get_rng_state()
    for loader in (found.validation, found.test):
        for _ in loader:
            pass
    assert torch.equal(torch.get_rng_state(), before)
